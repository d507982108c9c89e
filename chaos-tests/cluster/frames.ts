/*
 * Prebuilt request frames for load generators, so that the measured node is the bottleneck and
 * not a client. Invariant: a frame differs between two sends only in its correlation id, four bytes
 * at CORRELATION_POSITION. Layouts: Produce v12, Fetch v12, CreateTopics v5, Metadata v9.
 */
import { crc32c } from '../../base/crc32c.ts'

/** Behind the frame's length (4), the api key (2) and the version (2). */
export const CORRELATION_POSITION = 8
export const PRODUCE = 0
export const FETCH = 1
const METADATA = 3
const INIT_PRODUCER_ID = 22
const CREATE_TOPICS = 19
const CLIENT_ID = 'bench'
const BATCH_HEADER_BYTES = 61

/** Appends the wire's primitive types to a growing buffer. */
export class FrameWriter {
  #buffer = Buffer.alloc(256)
  #length = 0

  #grow(byteCount: number): number {
    const at = this.#length
    this.#length += byteCount
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(this.#buffer.length * 2, this.#length))
      this.#buffer.copy(larger, 0, 0, at)
      this.#buffer = larger
    }
    return at
  }

  int8(value: number): this {
    const at = this.#grow(1)
    this.#buffer.writeInt8(value, at)
    return this
  }

  int16(value: number): this {
    const at = this.#grow(2)
    this.#buffer.writeInt16BE(value, at)
    return this
  }

  int32(value: number): this {
    const at = this.#grow(4)
    this.#buffer.writeInt32BE(value, at)
    return this
  }

  int64(value: number): this {
    const at = this.#grow(8)
    this.#buffer.writeBigInt64BE(BigInt(value), at)
    return this
  }

  /** An unsigned varint: counts and lengths of compact fields are written plus one. */
  uvarint(value: number): this {
    let rest = value
    while (rest >= 0x80) {
      const at = this.#grow(1)
      this.#buffer[at] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    const at = this.#grow(1)
    this.#buffer[at] = rest
    return this
  }

  varint(value: number): this {
    return this.uvarint(value >= 0 ? value * 2 : -value * 2 - 1)
  }

  raw(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length)
    this.#buffer.set(bytes, at)
    return this
  }

  compactString(text: string): this {
    return this.uvarint(text.length + 1).raw(Buffer.from(text, 'latin1'))
  }

  /** The frame with its length in front. */
  finish(): Buffer {
    const frame = Buffer.alloc(4 + this.#length)
    frame.writeInt32BE(this.#length, 0)
    this.#buffer.copy(frame, 4, 0, this.#length)
    return frame
  }

  bytes(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#length))
  }
}

/** A request with header v2 (flexible). */
function request(apiKey: number, version: number): FrameWriter {
  const writer = new FrameWriter().int16(apiKey).int16(version).int32(0)
  return writer.int16(CLIENT_ID.length).raw(Buffer.from(CLIENT_ID, 'latin1')).uvarint(0)
}

export interface BatchOptions {
  /** One record for each value; built by `sampleValues` where the content does not matter. */
  values: readonly Uint8Array[]
  /** Compressed records and their codec's number, for a codec that the caller has applied. */
  compress?: { codec: number; apply: (records: Buffer) => Buffer }
  producerId?: number
  producerEpoch?: number
  baseSequence?: number
}

/** Printable, poorly compressible bytes: half random, so that lz4 gains about a third. */
export function sampleValue(sizeBytes: number, seed: number): Buffer {
  const value = Buffer.alloc(sizeBytes)
  let state = seed * 2654435761 + 1
  for (let i = 0; i < sizeBytes; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    value[i] = i % 8 < 4 ? 97 + ((state >>> 24) & 15) : 97 + (i % 16)
  }
  return value
}

export function sampleValues(count: number, sizeBytes: number): Buffer[] {
  return Array.from({ length: count }, (_, i) => sampleValue(sizeBytes, i))
}

/** One record batch (magic 2) as a producer sends it. */
export function recordBatch(options: BatchOptions): Buffer {
  const nowMs = Date.now()
  const records = new FrameWriter()
  for (const [i, value] of options.values.entries()) {
    const body = new FrameWriter().int8(0).varint(0).varint(i).varint(-1)
    const record = body.varint(value.length).raw(value).varint(0).bytes()
    records.varint(record.length).raw(record)
  }
  const payload = options.compress?.apply(records.bytes()) ?? records.bytes()
  const batch = Buffer.alloc(BATCH_HEADER_BYTES + payload.length)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(-1, 12)
  batch.writeInt8(2, 16)
  batch.writeInt16BE(options.compress?.codec ?? 0, 21)
  batch.writeInt32BE(options.values.length - 1, 23)
  batch.writeBigInt64BE(BigInt(nowMs), 27)
  batch.writeBigInt64BE(BigInt(nowMs), 35)
  batch.writeBigInt64BE(BigInt(options.producerId ?? -1), 43)
  batch.writeInt16BE(options.producerEpoch ?? -1, 51)
  batch.writeInt32BE(options.baseSequence ?? -1, 53)
  batch.writeInt32BE(options.values.length, 57)
  payload.copy(batch, BATCH_HEADER_BYTES)
  batch.writeUInt32BE(crc32c(batch, 21, batch.length) >>> 0, 17)
  return batch
}

/** Produce v12 of one batch to one partition. */
export function produceFrame(
  topic: string,
  partition: number,
  batch: Buffer,
  acks: number,
): Buffer {
  const writer = request(PRODUCE, 12).uvarint(0).int16(acks).int32(30_000)
  writer.uvarint(2).compactString(topic).uvarint(2).int32(partition)
  writer.uvarint(batch.length + 1).raw(batch)
  return writer.uvarint(0).uvarint(0).uvarint(0).finish()
}

/** Where the partition index and the fetch offset are in a frame of `fetchFrame`. */
export interface FetchFrame {
  frame: Buffer
  offsetPosition: number
}

/** Fetch v12 of one partition, without a fetch session. */
export function fetchFrame(topic: string, partition: number, partitionBytes: number): FetchFrame {
  const head = request(FETCH, 12)
    .int32(-1)
    .int32(500)
    .int32(1)
    .int32(64 * 1024 * 1024)
  head.int8(0).int32(0).int32(-1).uvarint(2).compactString(topic).uvarint(2)
  head.int32(partition).int32(-1)
  const offsetPosition = 4 + head.bytes().length
  head.int64(0).int32(-1).int64(-1).int32(partitionBytes).uvarint(0).uvarint(0)
  const frame = head.uvarint(1).compactString('').uvarint(0).finish()
  return { frame, offsetPosition }
}

/** CreateTopics v5 of topics with one replica. */
export function createTopicsFrame(
  topics: readonly { name: string; partitions: number; configs?: Record<string, string> }[],
): Buffer {
  const writer = request(CREATE_TOPICS, 5).uvarint(topics.length + 1)
  for (const { name, partitions, configs } of topics) {
    const entries = Object.entries(configs ?? {})
    writer
      .compactString(name)
      .int32(partitions)
      .int16(1)
      .uvarint(1)
      .uvarint(entries.length + 1)
    for (const [key, value] of entries) writer.compactString(key).compactString(value).uvarint(0)
    writer.uvarint(0)
  }
  return writer.int32(120_000).int8(0).uvarint(0).finish()
}

/** Metadata v9 of one topic, without auto-creation. */
export function metadataFrame(topic: string): Buffer {
  const writer = request(METADATA, 9).uvarint(2).compactString(topic).uvarint(0)
  return writer.int8(0).int8(0).int8(0).uvarint(0).finish()
}

/** InitProducerId v3 without a transactional id. */
export function initProducerIdFrame(): Buffer {
  const writer = request(INIT_PRODUCER_ID, 3).uvarint(0).int32(-1)
  return writer.int64(-1).int16(-1).uvarint(0).finish()
}

/** Reads answers of the frames above: a position in a buffer and the few types they need. */
export class AnswerReader {
  readonly buffer: Buffer
  position: number

  constructor(buffer: Buffer, position: number) {
    this.buffer = buffer
    this.position = position
  }

  int16(): number {
    this.position += 2
    return this.buffer.readInt16BE(this.position - 2)
  }

  int32(): number {
    this.position += 4
    return this.buffer.readInt32BE(this.position - 4)
  }

  int64(): number {
    this.position += 8
    return Number(this.buffer.readBigInt64BE(this.position - 8))
  }

  uvarint(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.buffer[this.position++]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }

  varint(): number {
    const value = this.uvarint() >>> 0
    return (value >>> 1) ^ -(value & 1)
  }

  skipCompact(): void {
    const sizeBytes = this.uvarint() - 1
    this.position += Math.max(0, sizeBytes)
  }

  skipTags(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint()
      const sizeBytes = this.uvarint()
      this.position += sizeBytes
    }
  }
}

/** The error of the one partition in a Produce v12 answer; `answer` begins behind the length. */
export function produceError(answer: Buffer, start: number): { error: number; offset: number } {
  const reader = new AnswerReader(answer, start + 4)
  reader.skipTags()
  reader.uvarint()
  reader.skipCompact()
  reader.uvarint()
  reader.int32()
  const error = reader.int16()
  return { error, offset: reader.int64() }
}

/** What a Fetch v12 answer holds for its one partition. */
export interface FetchAnswer {
  error: number
  highWatermark: number
  recordBytes: number
  /** Where the records begin in the answer. */
  recordsPosition: number
}

export function fetchAnswer(answer: Buffer, start: number): FetchAnswer {
  const reader = new AnswerReader(answer, start + 4)
  reader.skipTags()
  reader.int32()
  const topError = reader.int16()
  reader.int32()
  if (reader.uvarint() < 2) {
    return { error: topError, highWatermark: -1, recordBytes: 0, recordsPosition: 0 }
  }
  reader.skipCompact()
  reader.uvarint()
  reader.int32()
  const error = reader.int16()
  const highWatermark = reader.int64()
  reader.int64()
  reader.int64()
  const aborted = reader.uvarint()
  for (let i = 1; i < aborted; i++) {
    reader.int64()
    reader.int64()
    reader.skipTags()
  }
  reader.int32()
  const recordBytes = Math.max(0, reader.uvarint() - 1)
  const recordsPosition = reader.position
  return { error: topError || error, highWatermark, recordBytes, recordsPosition }
}

/** Offsets and values of the uncompressed batches in buffer[start, end); a cut batch ends them. */
export function* recordValues(
  buffer: Buffer,
  start: number,
  end: number,
): Generator<{ offset: number; value: Buffer }> {
  for (let at = start; at + BATCH_HEADER_BYTES <= end; ) {
    const batchEnd = at + 12 + buffer.readInt32BE(at + 8)
    if (batchEnd > end) return
    const baseOffset = Number(buffer.readBigInt64BE(at))
    const reader = new AnswerReader(buffer, at + BATCH_HEADER_BYTES)
    const count = buffer.readInt32BE(at + 57)
    for (let i = 0; i < count; i++) {
      const sizeBytes = reader.varint()
      const recordEnd = reader.position + sizeBytes
      reader.position++
      reader.varint()
      const offset = baseOffset + reader.varint()
      const keyBytes = Math.max(0, reader.varint())
      reader.position += keyBytes
      const valueBytes = Math.max(0, reader.varint())
      yield { offset, value: buffer.subarray(reader.position, reader.position + valueBytes) }
      reader.position = recordEnd
    }
    at = batchEnd
  }
}
