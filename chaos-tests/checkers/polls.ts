/** Readers: one session sees each record once, in order, with none left out. */
import type { History, Violation } from './history.ts'
import { indexPartitions, type PartitionIndex } from './log-index.ts'
import { trimmedTo, trimsOf } from './trims.ts'

/** Within one answer: offsets rise, from the position asked for to the one after. */
export function internalPolls(history: History): Violation[] {
  const violations: Violation[] = []
  for (const index of indexPartitions(history).values()) {
    for (const { session, records, fromOffset, toOffset, endMs } of index.polls) {
      let next = fromOffset
      for (const [offset, value] of records) {
        if (offset >= next && offset < toOffset) next = offset + 1
        else {
          const message = `${index.name}: ${session} asked from ${fromOffset} and got ${value} at ${offset} after ${next - 1} (${endMs} ms)`
          violations.push({ checker: 'int-nonmonotonic-poll', message })
          break
        }
      }
    }
  }
  return violations
}

/** From one answer to the next, the position does not move by itself. */
export function externalPolls(history: History): Violation[] {
  const violations: Violation[] = []
  for (const index of indexPartitions(history).values()) {
    const positions = new Map<string, number>()
    for (const { session, fromOffset, toOffset, endMs } of index.polls) {
      const expected = positions.get(session)
      if (expected !== undefined && expected !== fromOffset) {
        const message = `${index.name}: ${session} was at ${expected} and went on at ${fromOffset} (${endMs} ms)`
        const checker = fromOffset < expected ? 'nonmonotonic-poll' : 'poll-skip'
        violations.push({ checker, message })
      }
      if (toOffset < fromOffset) {
        const message = `${index.name}: ${session} was thrown back from ${fromOffset} to ${toOffset} (${endMs} ms)`
        violations.push({ checker: 'nonmonotonic-poll', message })
      }
      positions.set(session, toOffset)
    }
  }
  return violations
}

/** An answer that passes over a record which is known to be there, and was not deleted. */
export function skippedRecords(history: History): Violation[] {
  const violations: Violation[] = []
  const trims = trimsOf(history)
  for (const index of indexPartitions(history).values()) {
    for (const poll of index.polls) {
      const start = trimmedTo(trims.get(index.name) ?? [], poll.endMs!)
      const skipped = firstSkipped(index, poll, start)
      if (skipped === undefined) continue
      const message = `${index.name}: ${poll.session} read ${poll.fromOffset} to ${poll.toOffset} without ${skipped.value} at ${skipped.offset} (${poll.endMs} ms)`
      violations.push({ checker: 'int-poll-skip', message })
    }
  }
  return violations
}

function firstSkipped(index: PartitionIndex, poll: PartitionIndex['polls'][number], start: number) {
  const { records, fromOffset, toOffset } = poll
  const got = new Set(records.map(([offset]) => offset))
  if (got.size >= toOffset - fromOffset) return undefined
  for (let offset = Math.max(fromOffset, start); offset < toOffset; offset++) {
    const known = index.seenAt.get(offset)
    if (known !== undefined && !got.has(offset)) return known
  }
  return undefined
}
