/**
 * The producer snapshot file of a log: Kafka's `NNN.snapshot`, the state of all producers before
 * offset NNN. Kafka keeps one batch of each; the others that we know follow its entries, under the
 * same CRC, where its reader does not look.
 *
 * Invariant: a snapshot whose CRC is wrong, or that breaks an invariant of Producers, is not used.
 */
import { crc32c } from '../base/crc32c.ts'
import { readInt16, readInt32, readInt64, writeInt16, writeInt32, writeInt64 } from './format.ts'
import { CACHED_BATCHES, Producer, type Producers } from './producers.ts'

const VERSION = 1
const CRC_AT = 2
const COUNT_AT = 6
const ENTRIES_AT = 10
const ENTRY_BYTES = 46
/** 'odra': what follows the entries is ours. */
const TRAILER_MARK = 0x6f647261
const TRAILER_HEADER_BYTES = 8
const TRAILER_ENTRY_BYTES = 12
const CACHED_BYTES = 24

export function encodeSnapshot(producers: Producers): Buffer {
  const all = [...producers.values()]
  const older = all.filter((producer) => producer.batches.length > 1)
  let size = ENTRIES_AT + all.length * ENTRY_BYTES
  if (older.length > 0) size += TRAILER_HEADER_BYTES
  for (const { batches } of older) size += TRAILER_ENTRY_BYTES + (batches.length - 1) * CACHED_BYTES
  const bytes = Buffer.alloc(size)
  writeInt16(bytes, 0, VERSION)
  writeInt32(bytes, COUNT_AT, all.length)
  let at = ENTRIES_AT
  for (const producer of all) at = writeEntry(bytes, at, producer)
  if (older.length > 0) {
    writeInt32(bytes, at, TRAILER_MARK)
    writeInt32(bytes, at + 4, older.length)
    at += TRAILER_HEADER_BYTES
    for (const producer of older) at = writeOlder(bytes, at, producer)
  }
  writeInt32(bytes, CRC_AT, crc32c(bytes.subarray(COUNT_AT)))
  return bytes
}

function writeEntry(bytes: Buffer, at: number, producer: Producer): number {
  const { last } = producer
  writeInt64(bytes, at, producer.producerId)
  writeInt16(bytes, at + 8, producer.epoch)
  writeInt32(bytes, at + 10, last?.lastSequence ?? -1)
  writeInt64(bytes, at + 14, last?.lastOffset ?? -1)
  writeInt32(bytes, at + 22, last?.offsetDelta ?? 0)
  writeInt64(bytes, at + 26, producer.lastTimestampMs)
  writeInt32(bytes, at + 34, producer.coordinatorEpoch)
  writeInt64(bytes, at + 38, producer.transactionStart)
  return at + ENTRY_BYTES
}

function writeOlder(bytes: Buffer, at: number, producer: Producer): number {
  const older = producer.batches.slice(0, -1)
  writeInt64(bytes, at, producer.producerId)
  writeInt32(bytes, at + 8, older.length)
  let position = at + TRAILER_ENTRY_BYTES
  for (const batch of older) {
    writeInt32(bytes, position, batch.lastSequence)
    writeInt64(bytes, position + 4, batch.lastOffset)
    writeInt32(bytes, position + 12, batch.offsetDelta)
    writeInt64(bytes, position + 16, batch.timestampMs)
    position += CACHED_BYTES
  }
  return position
}

/** Fills `producers`, which is empty; false, and empty again, when the bytes can't be right. */
export function decodeSnapshot(bytes: Buffer, producers: Producers, nowMs: number): boolean {
  if (bytes.length < ENTRIES_AT || readInt16(bytes, 0) !== VERSION) return false
  if (crc32c(bytes.subarray(COUNT_AT)) !== readInt32(bytes, CRC_AT) >>> 0) return false
  const count = readInt32(bytes, COUNT_AT)
  if (count < 0 || count > (bytes.length - ENTRIES_AT) / ENTRY_BYTES) return false
  let at = ENTRIES_AT
  for (let i = 0; i < count; i++, at += ENTRY_BYTES) {
    const producer = readEntry(bytes, at, nowMs)
    if (producer === undefined || producers.get(producer.producerId) !== undefined) {
      producers.clear()
      return false
    }
    producers.restore(producer)
  }
  producers.orderTransactions()
  if (at < bytes.length && !readTrailer(bytes, at, producers)) {
    producers.clear()
    return false
  }
  return true
}

function readEntry(bytes: Buffer, at: number, nowMs: number): Producer | undefined {
  const producerId = readInt64(bytes, at)
  const lastOffset = readInt64(bytes, at + 14)
  const timestampMs = readInt64(bytes, at + 26)
  const transactionStart = readInt64(bytes, at + 38)
  const numbers = [producerId, lastOffset, timestampMs, transactionStart]
  if (!numbers.every(Number.isSafeInteger) || producerId < 0) return undefined
  const producer = new Producer(producerId, nowMs)
  producer.epoch = readInt16(bytes, at + 8)
  producer.coordinatorEpoch = readInt32(bytes, at + 34)
  producer.lastTimestampMs = timestampMs
  producer.transactionStart = Math.max(-1, transactionStart)
  const lastSequence = readInt32(bytes, at + 10)
  const offsetDelta = readInt32(bytes, at + 22)
  if (lastOffset >= 0 && lastSequence >= 0 && offsetDelta >= 0) {
    producer.batches.push({ lastSequence, lastOffset, offsetDelta, timestampMs })
  }
  return producer
}

function readTrailer(bytes: Buffer, start: number, producers: Producers): boolean {
  if (bytes.length - start < TRAILER_HEADER_BYTES) return false
  if (readInt32(bytes, start) !== TRAILER_MARK) return false
  let left = readInt32(bytes, start + 4)
  let at = start + TRAILER_HEADER_BYTES
  for (; left > 0; left--) {
    if (bytes.length - at < TRAILER_ENTRY_BYTES) return false
    const producer = producers.get(readInt64(bytes, at))
    const count = readInt32(bytes, at + 8)
    at += TRAILER_ENTRY_BYTES
    if (producer === undefined || count < 1 || count >= CACHED_BATCHES) return false
    if (bytes.length - at < count * CACHED_BYTES) return false
    for (let i = 0; i < count; i++, at += CACHED_BYTES) {
      producer.batches.splice(i, 0, {
        lastSequence: readInt32(bytes, at),
        lastOffset: readInt64(bytes, at + 4),
        offsetDelta: readInt32(bytes, at + 12),
        timestampMs: readInt64(bytes, at + 16),
      })
    }
  }
  return left === 0 && at === bytes.length
}
