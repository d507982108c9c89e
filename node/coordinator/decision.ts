/**
 * "Decide, then replay": what an operation wants. Deciding changes no durable state; the runtime
 * appends the records, replays them, and answers when they are replicated.
 *
 * What a protocol never logs (who waits for a rebalance, sessions) is volatile: deciding may change
 * it, and it ends with the shard's term.
 */

export interface Decision<Response, R> {
  readonly records: readonly R[]
  readonly response: Response
  /** False: the state does not change by replay but in `settled`. */
  readonly isReplayed?: boolean
  /** True: the records make sense together only, and go into one batch. */
  readonly isAtomic?: boolean
  /**
   * Once the records are replicated (0), or were refused or took too long (a Kafka error as clients
   * of a coordinator see it). Not called when the shard gives up its state.
   */
  readonly settled?: (error: number) => Change<R> | undefined
}

/** A decision that nobody waits for: of a timer, or one whose answer goes another way. */
export type Change<R> = Decision<undefined, R>

const NO_RECORDS: readonly never[] = Object.freeze([])

/** Nothing to write. */
export const UNCHANGED: Change<never> = { records: NO_RECORDS, response: undefined }

/** An answer without records. */
export function answer<Response>(response: Response): Decision<Response, never> {
  return { records: NO_RECORDS, response }
}
