/**
 * After faults have ended, each partition that somebody writes to takes writes again within a
 * bound, and is read to its end. The runner marks the end of faults with a fault named 'healed',
 * whose `forMs` is the bound, and the end of the load with one named 'load ends'.
 */
import { entriesOf, type History, type Violation } from './history.ts'
import { indexPartitions } from './log-index.ts'

export function unavailability(history: History): Violation[] {
  const faults = entriesOf(history, 'fault')
  const healed = faults.find(({ name }) => name === 'healed')
  const loadEnd = faults.find(({ name }) => name === 'load ends')
  if (healed === undefined || loadEnd === undefined) return []
  const violations: Violation[] = []
  const deadlineMs = healed.atMs + healed.forMs
  for (const { name, sends, final } of indexPartitions(history).values()) {
    const late = sends.filter(
      ({ startMs, acks }) => acks === -1 && startMs > deadlineMs && startMs < loadEnd.atMs,
    )
    const failed = late.find(({ outcome, endMs }) => {
      return outcome !== 'ok' && endMs !== undefined
    })
    if (failed !== undefined) {
      const message = `${name}: ${failed.values[0]} sent at ${failed.startMs} ms failed (${failed.error}), though faults ended at ${healed.atMs} ms`
      violations.push({ checker: 'unavailable', message })
    }
    if (sends.length > 0 && final === undefined) {
      const message = `${name}: could not be read to its end after everything`
      violations.push({ checker: 'unavailable', message })
    }
  }
  return violations
}
