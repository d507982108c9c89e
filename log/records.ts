/** Record batches as objects: for tools, tests, coordinators and clients, not for the hot path. */
import type { Codec } from './compression.ts'

export interface RecordHeader {
  readonly key: string
  readonly value: Buffer | null
}

export interface LogRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
}

export interface NewRecord {
  readonly timestampMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly { readonly key: string; readonly value: Uint8Array | null }[]
}

export interface BatchOptions {
  readonly baseOffset?: number
  readonly leaderEpoch?: number
  readonly compression?: Codec
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly isTransactional?: boolean
  readonly isControl?: boolean
  readonly logAppendTimeMs?: number
}

export function encodeBatch(_records: readonly NewRecord[], _options?: BatchOptions): Buffer {
  return Buffer.alloc(0)
}

/**
 * The records of all whole batches in source[start, end), control batches left out. A batch that
 * is cut off at the end is ignored, as in a fetch answer. Throws CorruptionError.
 */
export function decodeBatches(
  _source: Buffer,
  _start?: number,
  _end?: number,
  _limitBytes?: number,
): LogRecord[] {
  return []
}
