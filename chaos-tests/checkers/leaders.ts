/** At most one leader in each term of the Raft group and in each leader epoch of a partition. */
import { entriesOf, type History, type Violation } from './history.ts'

export function twoLeaders(history: History): Violation[] {
  const violations: Violation[] = []
  const leaders = new Map<string, number>()
  for (const { scope, epoch, node, atMs } of entriesOf(history, 'leader')) {
    const key = `${scope}, epoch ${epoch}`
    const leader = leaders.get(key)
    if (leader !== undefined && leader !== node) {
      const message = `${key}: nodes ${leader} and ${node} (${atMs} ms)`
      violations.push({ checker: 'two-leaders', message })
    }
    leaders.set(key, node)
  }
  return violations
}
