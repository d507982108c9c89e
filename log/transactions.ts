/**
 * Aborted transactions of one segment: Kafka's `.txnindex`, entries of 34 bytes in the order of
 * their markers; and how a commit or abort marker is read from its batch.
 */
import { assert } from '../base/assert.ts'
import {
  baseTimestampAt,
  CONTROL_ABORT,
  CONTROL_COMMIT,
  producerEpochAt,
  producerIdAt,
  RECORDS_AT,
  readInt16,
  readInt32,
  readInt64,
  writeInt16,
  writeInt64,
} from './format.ts'
import { RecordCursor } from './record-cursor.ts'

export const ABORTED_ENTRY_BYTES = 34
const VERSION = 0

export interface AbortedEntry {
  readonly producerId: number
  readonly firstOffset: number
  /** Of the marker. */
  readonly lastOffset: number
  /** When the marker was written: all below was decided. */
  readonly lastStableOffset: number
}

export function encodeAborted(entries: readonly AbortedEntry[]): Buffer {
  const bytes = Buffer.alloc(entries.length * ABORTED_ENTRY_BYTES)
  let at = 0
  for (const entry of entries) {
    assert(entry.firstOffset <= entry.lastOffset, 'a transaction has a direction')
    writeInt16(bytes, at, VERSION)
    writeInt64(bytes, at + 2, entry.producerId)
    writeInt64(bytes, at + 10, entry.firstOffset)
    writeInt64(bytes, at + 18, entry.lastOffset)
    writeInt64(bytes, at + 26, entry.lastStableOffset)
    at += ABORTED_ENTRY_BYTES
  }
  return bytes
}

/** Undefined when the bytes are no list of entries with rising markers. */
export function decodeAborted(bytes: Buffer): AbortedEntry[] | undefined {
  if (bytes.length % ABORTED_ENTRY_BYTES !== 0) return undefined
  const entries: AbortedEntry[] = []
  for (let at = 0; at < bytes.length; at += ABORTED_ENTRY_BYTES) {
    const entry = {
      producerId: readInt64(bytes, at + 2),
      firstOffset: readInt64(bytes, at + 10),
      lastOffset: readInt64(bytes, at + 18),
      lastStableOffset: readInt64(bytes, at + 26),
    }
    const last = entries.at(-1)
    const isPlausible =
      readInt16(bytes, at) === VERSION &&
      Object.values(entry).every(Number.isSafeInteger) &&
      entry.firstOffset <= entry.lastOffset &&
      (last === undefined || last.lastOffset < entry.lastOffset)
    if (!isPlausible) return undefined
    entries.push(entry)
  }
  return entries
}

export interface Marker {
  readonly producerId: number
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  readonly timestampMs: number
  readonly isAbort: boolean
}

/** The marker in the control batch of source[start, end); undefined when it is of another kind. */
export function readMarker(source: Buffer, start: number, end: number): Marker | undefined {
  const producerId = producerIdAt(source, start)
  if (producerId < 0) return undefined
  const cursor = new RecordCursor()
  cursor.reset(source, start + RECORDS_AT, end)
  if (!cursor.next() || cursor.keyLength < 4) return undefined
  const type = readInt16(source, cursor.keyStart + 2)
  if (type !== CONTROL_ABORT && type !== CONTROL_COMMIT) return undefined
  if (cursor.valueLength < 6) return undefined
  return {
    producerId,
    producerEpoch: producerEpochAt(source, start),
    coordinatorEpoch: readInt32(source, cursor.valueStart + 2),
    timestampMs: baseTimestampAt(source, start) + cursor.timestampDelta,
    isAbort: type === CONTROL_ABORT,
  }
}
