/**
 * DeleteRecords: a log begins where somebody asked it to, not later; and what was answered to be
 * gone does not come back.
 */
import { entriesOf, type History, type Trim, type Violation } from './history.ts'
import { indexPartitions } from './log-index.ts'

/** What was asked to be deleted of a partition up to a moment: nobody need find it any more. */
export function trimmedTo(trims: readonly Trim[], atMs: number): number {
  let offset = 0
  for (const trim of trims) {
    if (trim.startMs <= atMs) offset = Math.max(offset, trim.offset)
  }
  return offset
}

export function trimsOf(history: History): Map<string, Trim[]> {
  const partitions = new Map<string, Trim[]>()
  for (const trim of entriesOf(history, 'trim')) {
    const name = `${trim.topic}-${trim.partition}`
    const row = partitions.get(name)
    if (row === undefined) partitions.set(name, [trim])
    else row.push(trim)
  }
  return partitions
}

/** A position, or an answer, below what was deleted and said to be. */
export function deletedRecords(history: History): Violation[] {
  const violations: Violation[] = []
  const trims = trimsOf(history)
  for (const [name, { polls, final }] of indexPartitions(history)) {
    const done = (trims.get(name) ?? []).filter(({ outcome }) => outcome === 'ok')
    if (done.length === 0) continue
    for (const { session, records, startMs } of final === undefined ? polls : [...polls, final]) {
      const [first] = records
      const gone = done.find((trim) => {
        return trim.endMs! < startMs && first !== undefined && first[0] < trim.offset
      })
      if (gone === undefined) continue
      const message = `${name}: ${session} read ${first![1]} at ${first![0]} after ${startMs} ms; all before ${gone.offset} was deleted at ${gone.endMs} ms`
      violations.push({ checker: 'deleted-read', message })
    }
  }
  return violations
}

/** The end of the story begins later than anybody asked. */
export function lostStarts(history: History): Violation[] {
  const violations: Violation[] = []
  const trims = trimsOf(history)
  for (const [name, { final, sends }] of indexPartitions(history)) {
    if (final === undefined || sends.length === 0) continue
    const allowed = trimmedTo(trims.get(name) ?? [], final.startMs)
    if (final.fromOffset <= allowed) continue
    const message = `${name}: the log begins at ${final.fromOffset}, and nobody asked for more than ${allowed}`
    violations.push({ checker: 'lost-start', message })
  }
  return violations
}
