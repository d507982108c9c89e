/**
 * What a coordinator needs of the partition that holds its records. `node/` makes one for each
 * partition of `__consumer_offsets` that this node leads; tests have one in memory.
 *
 * Promised: after `whenReplicated` has called back with 0 the records are never lost. Not promised:
 * anything about records that were appended only; a reader of the log may see them or not.
 */

export interface AppendResult {
  /** A Kafka error code; 0 when the batch is in the log (not yet replicated). */
  readonly error: number
  /** Of the last record of the batch; -1 with an error. */
  readonly lastOffset: number
}

export interface CoordinatorLog {
  readonly leaderEpoch: number
  readonly logStartOffset: number
  readonly logEndOffset: number
  /** A larger batch is refused. */
  readonly maxBatchBytes: number
  /** False: another coordinator may have taken over, and have answered more than this one knows. */
  readonly holdsLease: boolean
  /** 0, or the error with which an append would end now: 6, 19, 56. */
  refusal(): number
  /** One batch, offsets and epoch are given by the log. `batch` is the log's from now on. */
  append(batch: Buffer): AppendResult
  /**
   * Calls back once, later: 0 when the watermark has passed `lastOffset`, or 6 (leadership lost),
   * 56 (storage failed). There is no time limit. Calls of rising offsets call back in order.
   */
  whenReplicated(lastOffset: number, callback: (error: number) => void): void
  /**
   * Whole batches from the one that holds `offset` on, at most about `limitBytes` but at least one;
   * empty at the end of what is written. Rejects when it can't be read.
   */
  read(offset: number, limitBytes: number): Promise<Buffer>
}
