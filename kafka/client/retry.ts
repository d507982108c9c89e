/** Which failures pass, and how often they are tried again. */
import { errorOf } from '../wire/errors.ts'
import { type Cluster, KafkaError } from './cluster.ts'
import { ClientError } from './connection.ts'

/** A leader that fails is followed by another in a few hundred milliseconds, most often. */
const QUICK_MS = 20
const QUICK_TRIES = 50
const SLOW_MS_MAX = 250

/** May another moment, or another node, give another answer? */
export function isTransient(error: unknown): boolean {
  if (error instanceof KafkaError) {
    return !error.isFinal && errorOf(error.code)?.isRetriable === true
  }
  return error instanceof ClientError && error.code !== 'unsupported' && error.code !== 'malformed'
}

/** Before the try that follows after `failures` others. */
export function delayMs(failures: number): number {
  if (failures <= QUICK_TRIES) return QUICK_MS
  return Math.min(QUICK_MS * 2 ** Math.min(failures - QUICK_TRIES, 10), SLOW_MS_MAX)
}

/**
 * Tries until it works. Throws the last error when it is not transient, at the deadline (monotonic),
 * when the client is closed, and when no node ever answered, since the addresses may be wrong.
 */
export async function persist<T>(
  cluster: Cluster,
  deadlineMs: number,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await attempt()
    } catch (error) {
      const leftMs = deadlineMs - cluster.clock.monotonicMs()
      const isOver = leftMs <= 0 || cluster.isClosed || !cluster.wasReached
      if (isOver || !isTransient(error)) throw error
      await cluster.pause(Math.min(delayMs(failures), leftMs))
    }
  }
}
