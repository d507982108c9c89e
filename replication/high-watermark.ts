/**
 * The rule that decides what is committed: everything below the lowest position of the in-sync
 * replicas. A position counts only what the topic's durability asks for: synced bytes where the
 * flush policy is `group`, bytes in the page cache otherwise.
 */
import { assert } from '../base/assert.ts'

/** `positions` has one offset per in-sync replica, the leader included. */
export function highWatermark(positions: readonly number[]): number {
  assert(positions.length > 0, 'the leader is in its own ISR')
  let lowest = positions[0]!
  for (const position of positions) if (position < lowest) lowest = position
  return lowest
}
