/** Where a read begins. Reused by the caller; good until the log is truncated or closed. */

export class ReadPlan {
  /**
   * 0; 1 outside of the log; 2 when the offset lies in damaged bytes; 56 when the file can't be
   * read.
   */
  error = 0
  segment: unknown = undefined
  position = 0
  firstBatchBytes = 0
  /** Estimate of the bytes below the limit, >= 1 when there is something to read. */
  availableBytes = 0
  /** Likely not in the page cache: read it with `copyAsync`. */
  isCold = false
  /** Found in the memory of the log's owner, who alone sets this: then nothing is read. */
  isInTail = false
  /** After a copy: the offset after the last batch copied. */
  nextOffset = -1
}
