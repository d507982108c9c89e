/**
 * Reading a coordinator's whole log, a slice at a time so that the loop breathes in between.
 *
 * Invariant: records come in the order of the log, each once; control batches are left out.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import { CorruptionError } from '../../base/errors.ts'
import { BATCH_HEADER_BYTES } from '../../log/batch.ts'
import { batchSizeAt, lastOffsetAt } from '../../log/format.ts'
import { decodeBatches, type LogRecord } from '../../log/records.ts'
import type { CoordinatorLog } from './log.ts'

const SLICE_BYTES = 256 * 1024
const READ_AGAIN_MS = 5

/** The log can't be read; there is nothing wrong with the coordinator. */
export class LoadError extends Error {
  override readonly name = 'LoadError'
}

export interface LoadOptions {
  readonly log: CoordinatorLog
  readonly clock: Clock
  /** False: the load is of no use any more, and ends. */
  isWanted(): boolean
  replay(key: Buffer, value: Buffer | null): void
}

/**
 * Replays the log up to the end that it has now: nobody else appends. Resolves with the number of
 * records; rejects with LoadError.
 */
export async function loadLog({ log, clock, isWanted, replay }: LoadOptions): Promise<number> {
  const endOffset = log.logEndOffset
  let offset = log.logStartOffset
  let records = 0
  assert(offset <= endOffset, 'a log begins before it ends')
  while (offset < endOffset) {
    const bytes = await read(log, offset)
    if (!isWanted()) return records
    if (bytes.length === 0) {
      // What was appended last is not in the page cache yet, or will be refused by the disk.
      if (offset >= log.logEndOffset) break
      await new Promise<void>((resolve) => clock.after(READ_AGAIN_MS, resolve))
      if (!isWanted()) return records
      continue
    }
    for (const record of decode(bytes)) {
      if (record.offset < offset) continue
      records++
      if (record.key !== null) replay(record.key, record.value)
    }
    const nextOffset = endOf(bytes)
    assert(nextOffset > offset, 'a read brings the load forward')
    offset = nextOffset
  }
  return records
}

async function read(log: CoordinatorLog, offset: number): Promise<Buffer> {
  try {
    return await log.read(offset, SLICE_BYTES)
  } catch (cause) {
    throw new LoadError(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

function decode(bytes: Buffer): LogRecord[] {
  try {
    return decodeBatches(bytes)
  } catch (cause) {
    if (!(cause instanceof CorruptionError)) throw cause
    throw new LoadError(cause.message, { cause })
  }
}

/** The offset after the last whole batch. */
function endOf(bytes: Buffer): number {
  let end = -1
  for (let at = 0; at + BATCH_HEADER_BYTES <= bytes.length; at += batchSizeAt(bytes, at)) {
    assert(batchSizeAt(bytes, at) >= BATCH_HEADER_BYTES, 'decoding has checked the sizes')
    if (at + batchSizeAt(bytes, at) <= bytes.length) end = lastOffsetAt(bytes, at) + 1
  }
  return end
}
