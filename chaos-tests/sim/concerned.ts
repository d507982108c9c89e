/**
 * The operations that a sentence about a failure speaks of: those that wrote or read a value that it
 * names, and else those of the partition that it names, at the offsets that it names.
 */
import type { Entry, History, Violation } from '../checkers/history.ts'

const SHOWN_MAX = 40
/** Of a long answer, around what is meant. */
const RECORDS_AROUND = 2

/** In the order of the history, the first ones; without the records that are not meant. */
export function concerned(history: History, { message }: Violation): Entry[] {
  const words = new Set(message.split(/[\s,;()[\]{}"]+/).map((word) => word.replace(/[.:]+$/, '')))
  const numbers = new Set([...words].filter((word) => /^\d+$/.test(word)).map(Number))
  const byValue: Entry[] = []
  const byPlace: Entry[] = []
  for (const entry of history) {
    if (byValue.length >= SHOWN_MAX) break
    if (entry.op === 'send') {
      if (entry.values.some((value) => words.has(value))) byValue.push(entry)
      else if (isAt(entry, words, numbers)) byPlace.push(entry)
    } else if (entry.op === 'poll') {
      const isMeant = ([, value]: readonly [number, string]) => words.has(value)
      if (entry.records.some(isMeant))
        byValue.push({ ...entry, records: around(entry.records, isMeant) })
      else if (isAt({ ...entry, offset: entry.fromOffset }, words, numbers)) {
        byPlace.push({ ...entry, records: entry.records.slice(0, RECORDS_AROUND) })
      }
    } else if (entry.op === 'latest' && isAt(entry, words, numbers)) byPlace.push(entry)
  }
  return (byValue.length > 0 ? byValue : byPlace).slice(0, SHOWN_MAX)
}

interface Placed {
  readonly topic: string
  readonly partition: number
  readonly offset?: number
}

/** At an offset that is named; when none is, anywhere in the partition. */
function isAt(
  { topic, partition, offset }: Placed,
  words: ReadonlySet<string>,
  numbers: ReadonlySet<number>,
): boolean {
  if (!words.has(`${topic}-${partition}`)) return false
  return numbers.size === 0 || (offset !== undefined && numbers.has(offset))
}

function around<T>(records: readonly T[], isMeant: (record: T) => boolean): T[] {
  return records.filter((_, at) => {
    return records.slice(Math.max(0, at - RECORDS_AROUND), at + RECORDS_AROUND + 1).some(isMeant)
  })
}
