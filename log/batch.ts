/**
 * The checks that a leader makes before it appends a batch, in Kafka's order and with its error
 * codes. Produce requests hold one batch a partition; what lies behind it, cut off, is ignored.
 *
 * Invariant: a batch that passes can be read by every client: its frame, CRC, counts, lengths,
 * offsets and timestamps agree with its records, compressed or not. Stricter than Kafka only where
 * Kafka would store what nobody can read rightly (`batch.test.ts` lists it).
 */
import { assert } from '../base/assert.ts'
import { crc32c } from '../base/crc32c.ts'
import {
  CODECS,
  type Codec,
  compress,
  DecompressionError,
  decompress,
  isReadableByAll,
} from './compression.ts'
import {
  CORRUPT_MESSAGE,
  INVALID_RECORD,
  INVALID_TIMESTAMP,
  MESSAGE_TOO_LARGE,
  NONE,
  UNKNOWN_SERVER_ERROR,
  UNSUPPORTED_COMPRESSION_TYPE,
} from './errors.ts'
import {
  ATTRIBUTES_AT,
  attributesAt,
  BATCH_LENGTH_AT,
  baseOffsetAt,
  baseSequenceAt,
  baseTimestampAt,
  batchSizeAt,
  CODEC_MASK,
  CONTROL_BIT,
  crcAt,
  HEADER_TO_MAGIC_BYTES,
  isLogAppendTimeAt,
  isTransactionalAt,
  KNOWN_ATTRIBUTES,
  LOG_APPEND_TIME_BIT,
  LOG_OVERHEAD_BYTES,
  lastOffsetDeltaAt,
  MAGIC,
  MAX_TIMESTAMP_AT,
  magicAt,
  maxTimestampAt,
  NO_PRODUCER_ID,
  NO_TIMESTAMP,
  producerEpochAt,
  producerIdAt,
  RECORDS_AT,
  recordCountAt,
  sealBatch,
  TRANSACTIONAL_BIT,
  writeInt16,
  writeInt32,
  writeInt64,
} from './format.ts'
import { RecordCursor } from './record-cursor.ts'
import { renumberRecords } from './records.ts'

export const BATCH_HEADER_BYTES = RECORDS_AT
/** Kafka's smallest record of version 0: a batch length below it is damage. */
const BATCH_LENGTH_MIN = 14
/** A batch length above it overflows in Kafka, which then answers that it does not know. */
const BATCH_LENGTH_MAX = 0x7fffffff - LOG_OVERHEAD_BYTES
const ZSTD_ID = 4
/** 140,000 years: between two such timestamps lies a safe integer. */
const TIMESTAMP_MAX = 2 ** 52
/** A batch of a million bad records gets an answer of readable size. */
const RECORD_ERRORS_MAX = 100
/** What a compressed batch may yield beyond twice the topic's limit. Kafka has no such limit. */
const INFLATED_SLACK_BYTES = 32 * 1024 * 1024
const INFLATED_BYTES_MAX = 1024 * 1024 * 1024

export interface AppendRules {
  readonly maxMessageBytes: number
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  /** How far a timestamp may lie before and after the leader's clock. */
  readonly timestampBeforeMaxMs: number
  readonly timestampAfterMaxMs: number
  /** The topic is compacted. */
  readonly requiresKey: boolean
  readonly compressionType: 'producer' | 'uncompressed' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  /** Produce 7 and later, and the node itself. */
  readonly allowsZstd: boolean
  /** Refuses what only the node itself may write: control batches, offsets already given. */
  readonly isClient: boolean
}

export interface RecordError {
  /** Which record of the batch, from 0. */
  readonly batchIndex: number
  readonly message: string
}

/** Reused: `checkBatch` sets every field. The numbers mean something only when `error` is 0. */
export class BatchVerdict {
  /** Kafka error code, 0 when the batch may be appended. */
  error = NONE
  message: string | undefined = undefined
  /** Of the first records that were refused for themselves. */
  recordErrors: RecordError[] = []
  /** Bytes of the batch to append: `rewritten` when it is there, else source from `start` on. */
  sizeBytes = 0
  recordCount = 0
  lastOffsetDelta = 0
  /** As stored: the append time when the topic says so. */
  maxTimestampMs = NO_TIMESTAMP
  /** Of the first record with that timestamp. */
  offsetOfMaxTimestampDelta = 0
  producerId = NO_PRODUCER_ID
  producerEpoch = -1
  baseSequence = -1
  isTransactional = false
  isControl = false
  /** The batch in another codec or with its records numbered anew, when that was due. */
  rewritten: Buffer | undefined = undefined
  /** What was decompressed for a look, and is nobody's now. */
  inflatedBytes = 0
}

/**
 * Checks the one batch of source[start, end) as a leader does before an append. Makes no object for
 * a record. Never throws for bad input. Puts right in place what the header says of timestamps
 * (attributes, max timestamp, CRC), as Kafka does; nothing is changed when the verdict is an error.
 */
export function checkBatch(
  source: Buffer,
  start: number,
  end: number,
  rules: AppendRules,
  nowMs: number,
  verdict: BatchVerdict,
): void {
  if (!checkFrame(source, start, end, rules.allowsZstd, verdict)) return
  checker.check(source, start, rules, nowMs, verdict)
}

/**
 * The part that Kafka does when it reads the request, before it asks for the partition: one whole
 * batch of version 2. `checkBatch` begins with it; alone it is for answers that come earlier than
 * those of the partition. Sets `error`, `message` and `sizeBytes`; true when there is no error.
 */
export function checkFrame(
  source: Buffer,
  start: number,
  end: number,
  allowsZstd: boolean,
  verdict: BatchVerdict,
): boolean {
  assert(start >= 0 && start <= end && end <= source.length, 'range lies in the source')
  reset(verdict)
  const size = nextBatchBytes(source, start, end)
  if (size < 0) return refuse(verdict, -size === 1 ? UNKNOWN_SERVER_ERROR : CORRUPT_MESSAGE, FRAME)
  if (size === 0) return refuse(verdict, INVALID_RECORD, 'there is no whole record batch')
  if (magicAt(source, start) !== MAGIC) {
    return refuse(verdict, INVALID_RECORD, 'record batches must be of version 2')
  }
  if (!allowsZstd && (attributesAt(source, start) & CODEC_MASK) === ZSTD_ID) {
    return refuse(verdict, UNSUPPORTED_COMPRESSION_TYPE, 'zstd needs Produce 7 or later')
  }
  const second = nextBatchBytes(source, start + size, end)
  if (second < 0) return refuse(verdict, CORRUPT_MESSAGE, FRAME)
  if (second > 0) return refuse(verdict, INVALID_RECORD, 'there is more than one record batch')
  verdict.sizeBytes = size
  return true
}

/** True when the first batch of source[start, end) is whole and says that it is transactional. */
export function isTransactionalBatch(source: Buffer, start: number, end: number): boolean {
  const size = nextBatchBytes(source, start, end)
  return size >= BATCH_HEADER_BYTES && isTransactionalAt(source, start)
}

const FRAME = 'the length or the version of a record batch is damaged'
const OVERFLOW = -1
const DAMAGED = -2

/** Bytes of the whole batch at `at`; 0 when it is not whole; OVERFLOW or DAMAGED. */
function nextBatchBytes(source: Buffer, at: number, end: number): number {
  if (end - at < LOG_OVERHEAD_BYTES) return 0
  const length = batchSizeAt(source, at) - LOG_OVERHEAD_BYTES
  if (length < BATCH_LENGTH_MIN) return DAMAGED
  if (end - at < HEADER_TO_MAGIC_BYTES) return 0
  const magic = magicAt(source, at)
  if (magic < 0 || magic > MAGIC) return DAMAGED
  if (length > BATCH_LENGTH_MAX) return OVERFLOW
  return end - at < length + LOG_OVERHEAD_BYTES ? 0 : length + LOG_OVERHEAD_BYTES
}

function reset(verdict: BatchVerdict): void {
  verdict.error = NONE
  verdict.message = undefined
  if (verdict.recordErrors.length > 0) verdict.recordErrors = []
  verdict.sizeBytes = 0
  verdict.recordCount = 0
  verdict.lastOffsetDelta = 0
  verdict.maxTimestampMs = NO_TIMESTAMP
  verdict.offsetOfMaxTimestampDelta = 0
  verdict.producerId = NO_PRODUCER_ID
  verdict.producerEpoch = -1
  verdict.baseSequence = -1
  verdict.isTransactional = false
  verdict.isControl = false
  verdict.rewritten = undefined
  verdict.inflatedBytes = 0
}

function refuse(verdict: BatchVerdict, error: number, message: string): false {
  verdict.error = error
  verdict.message = message
  return false
}

function refuseSize(verdict: BatchVerdict, sizeBytes: number, rules: AppendRules): false {
  const message = `the batch has ${sizeBytes} bytes, ${rules.maxMessageBytes} are allowed`
  return refuse(verdict, MESSAGE_TOO_LARGE, message)
}

function codecOf(rules: AppendRules, sent: Codec): Codec {
  if (rules.compressionType === 'producer') return sent
  return rules.compressionType === 'uncompressed' ? 'none' : rules.compressionType
}

const NOTHING = Buffer.alloc(0)
const ANY_RULES: AppendRules = {
  maxMessageBytes: 0,
  timestampType: 'CreateTime',
  timestampBeforeMaxMs: 0,
  timestampAfterMaxMs: 0,
  requiresKey: false,
  compressionType: 'producer',
  allowsZstd: true,
  isClient: true,
}

/** The batch at hand as fields, so that the steps need not hand on six arguments. */
class BatchChecker {
  readonly #cursor = new RecordCursor()
  #source: Buffer = NOTHING
  #start = 0
  #rules = ANY_RULES
  #nowMs = 0
  #verdict = new BatchVerdict()
  /** Set by the walk: no record has another offset than its place says. */
  #isInOrder = true

  check(
    source: Buffer,
    start: number,
    rules: AppendRules,
    nowMs: number,
    verdict: BatchVerdict,
  ): void {
    this.#source = source
    this.#start = start
    this.#rules = rules
    this.#nowMs = nowMs
    this.#verdict = verdict
    if (this.#checkFields()) this.#checkRecords()
    // A checker that waits for the next batch must not keep a whole slab alive.
    this.#source = NOTHING
    this.#cursor.release()
  }

  /** What the header alone tells, in Kafka's order. Reads its fields into the verdict. */
  #checkFields(): boolean {
    const source = this.#source
    const start = this.#start
    const rules = this.#rules
    const verdict = this.#verdict
    const size = verdict.sizeBytes
    if (rules.isClient && baseOffsetAt(source, start) !== 0) {
      return refuse(verdict, INVALID_RECORD, 'the base offset must be 0')
    }
    if (size > rules.maxMessageBytes) return refuseSize(verdict, size, rules)
    if (size < BATCH_HEADER_BYTES) {
      return refuse(verdict, CORRUPT_MESSAGE, 'the batch is shorter than its header')
    }
    if (crc32c(source, start + ATTRIBUTES_AT, start + size) !== crcAt(source, start)) {
      return refuse(verdict, CORRUPT_MESSAGE, 'the checksum does not match')
    }
    const attributes = attributesAt(source, start)
    if (CODECS[attributes & CODEC_MASK] === undefined) {
      return refuse(verdict, UNKNOWN_SERVER_ERROR, 'the compression type is not known')
    }
    verdict.recordCount = recordCountAt(source, start)
    verdict.lastOffsetDelta = lastOffsetDeltaAt(source, start)
    verdict.producerId = producerIdAt(source, start)
    verdict.producerEpoch = producerEpochAt(source, start)
    verdict.baseSequence = baseSequenceAt(source, start)
    verdict.isTransactional = (attributes & TRANSACTIONAL_BIT) !== 0
    verdict.isControl = (attributes & CONTROL_BIT) !== 0
    if (verdict.lastOffsetDelta < 0 || verdict.recordCount <= 0) {
      return refuse(verdict, INVALID_RECORD, 'the record count or the last offset is impossible')
    }
    if (verdict.lastOffsetDelta + 1 !== verdict.recordCount) {
      return refuse(verdict, INVALID_RECORD, 'record count and last offset do not agree')
    }
    return this.#checkWriter()
  }

  /** May this writer write this kind of batch? And can we name what it names? */
  #checkWriter(): boolean {
    const verdict = this.#verdict
    const isClient = this.#rules.isClient
    if (isClient && verdict.isControl) {
      return refuse(verdict, INVALID_RECORD, 'clients may not write control records')
    }
    const hasProducer = verdict.producerId > NO_PRODUCER_ID
    if (isClient && hasProducer && verdict.baseSequence < 0) {
      return refuse(verdict, INVALID_RECORD, 'a batch with a producer id needs a sequence number')
    }
    if (!Number.isSafeInteger(verdict.producerId)) {
      return refuse(verdict, INVALID_RECORD, 'no producer has such an id')
    }
    if (Math.abs(baseTimestampAt(this.#source, this.#start)) > TIMESTAMP_MAX) {
      const message = 'the base timestamp is out of range'
      verdict.recordErrors.push({ batchIndex: 0, message })
      return refuse(verdict, INVALID_TIMESTAMP, message)
    }
    return true
  }

  #checkRecords(): void {
    const source = this.#source
    const verdict = this.#verdict
    const recordsAt = this.#start + RECORDS_AT
    const end = this.#start + verdict.sizeBytes
    const codec = CODECS[attributesAt(source, this.#start) & CODEC_MASK]!
    if (codec === 'none') {
      if (!this.#walk(source, recordsAt, end)) return
      if (!this.#isInOrder) {
        refuse(verdict, INVALID_RECORD, 'the records are not numbered 0, 1, 2, ...')
      } else if (codecOf(this.#rules, codec) === codec || verdict.isControl) {
        this.#correctTimestamps()
      } else {
        this.#rewrite(source.subarray(recordsAt, end), codecOf(this.#rules, codec))
      }
      return
    }
    const records = this.#inflate(codec, source.subarray(recordsAt, end))
    if (records === undefined || !this.#walk(records, 0, records.length)) return
    // Kafka numbers the records of a compressed batch anew, for the sake of old clients.
    if (!this.#isInOrder) {
      this.#rewrite(renumberRecords(records, verdict.recordCount), codecOf(this.#rules, codec))
    } else if (codecOf(this.#rules, codec) === codec) {
      this.#correctTimestamps()
    } else {
      this.#rewrite(records, codecOf(this.#rules, codec))
    }
  }

  #inflate(codec: Codec, bytes: Buffer): Buffer | undefined {
    const most = 2 * this.#rules.maxMessageBytes + INFLATED_SLACK_BYTES
    try {
      const records = decompress(codec, bytes, Math.min(most, INFLATED_BYTES_MAX))
      this.#verdict.inflatedBytes = records.length
      if (isReadableByAll(codec, bytes)) return records
      refuse(
        this.#verdict,
        UNKNOWN_SERVER_ERROR,
        `${codec}: one frame of independent blocks, please`,
      )
    } catch (error) {
      if (!(error instanceof DecompressionError)) throw error
      // Kafka's decompressors fail with an I/O error, for which it has no code of its own.
      const code = error.fault === 'corrupt' ? UNKNOWN_SERVER_ERROR : INVALID_RECORD
      refuse(this.#verdict, code, error.message)
    }
    return undefined
  }

  /** Checks the records in records[from, to). Sets the error, or max timestamp and its offset. */
  #walk(records: Buffer, from: number, to: number): boolean {
    const cursor = this.#cursor
    const verdict = this.#verdict
    const count = verdict.recordCount
    let minDelta = Number.POSITIVE_INFINITY
    let maxDelta = Number.NEGATIVE_INFINITY
    let offsetOfMax = 0
    let keyless = 0
    let misplaced = 0
    cursor.reset(records, from, to)
    for (let index = 0; index < count; index++) {
      if (!cursor.next()) return this.#refuseRecord()
      if (cursor.offsetDelta !== index) misplaced++
      if (cursor.keyLength < 0) keyless++
      const delta = cursor.timestampDelta
      if (delta < minDelta) minDelta = delta
      if (delta > maxDelta) {
        maxDelta = delta
        offsetOfMax = index
      }
    }
    if (!cursor.isAtEnd()) {
      return refuse(verdict, INVALID_RECORD, 'there are more records than declared')
    }
    const isCreateTime = this.#rules.timestampType === 'CreateTime'
    const isSuspect =
      (keyless > 0 && this.#rules.requiresKey) ||
      isLogAppendTimeAt(this.#source, this.#start) ||
      (isCreateTime && this.#isOutside(this.#timestampOf(minDelta))) ||
      (isCreateTime && this.#isOutside(this.#timestampOf(maxDelta)))
    if (isSuspect && !this.#judge(records, from, to)) return false
    this.#isInOrder = misplaced === 0
    const maxTimestamp = Math.max(NO_TIMESTAMP, this.#timestampOf(maxDelta))
    verdict.maxTimestampMs = isCreateTime ? maxTimestamp : this.#nowMs
    verdict.offsetOfMaxTimestampDelta = isCreateTime && maxTimestamp >= 0 ? offsetOfMax : 0
    return true
  }

  #timestampOf(delta: number): number {
    return isLogAppendTimeAt(this.#source, this.#start)
      ? maxTimestampAt(this.#source, this.#start)
      : baseTimestampAt(this.#source, this.#start) + delta
  }

  #refusesTimestamp(timestamp: number): boolean {
    if (this.#rules.timestampType === 'LogAppendTime' || timestamp === NO_TIMESTAMP) {
      return isLogAppendTimeAt(this.#source, this.#start)
    }
    return this.#isOutside(timestamp)
  }

  #isOutside(timestamp: number): boolean {
    // Kafka would take what is no safe integer, if its limits are set wide enough.
    if (Math.abs(timestamp) > TIMESTAMP_MAX) return true
    const aheadMs = timestamp - this.#nowMs
    return -aheadMs > this.#rules.timestampBeforeMaxMs || aheadMs > this.#rules.timestampAfterMaxMs
  }

  /** The second walk, for a batch in which something may be wrong: which records are refused? */
  #judge(records: Buffer, from: number, to: number): boolean {
    const cursor = this.#cursor
    const verdict = this.#verdict
    cursor.reset(records, from, to)
    for (let index = 0; cursor.next(); index++) {
      const timestamp = this.#timestampOf(cursor.timestampDelta)
      if (cursor.keyLength < 0 && this.#rules.requiresKey) {
        this.#addError(index, INVALID_RECORD, 'a compacted topic needs a key')
      } else if (this.#refusesTimestamp(timestamp)) {
        const hasAppendTime = isLogAppendTimeAt(this.#source, this.#start)
        const what = hasAppendTime ? 'an append time that only the leader sets' : 'out of range'
        this.#addError(index, INVALID_TIMESTAMP, `timestamp ${timestamp}: ${what}`)
      }
    }
    if (verdict.error === NONE) return true
    const shown = verdict.recordErrors[0]!
    return refuse(verdict, verdict.error, `record ${shown.batchIndex}: ${shown.message}`)
  }

  #refuseRecord(): false {
    const cursor = this.#cursor
    const error = cursor.isLengthUnending ? UNKNOWN_SERVER_ERROR : INVALID_RECORD
    return refuse(this.#verdict, error, cursor.fault ?? 'a record is damaged')
  }

  #addError(batchIndex: number, error: number, message: string): void {
    const verdict = this.#verdict
    // One bad timestamp among records without a key makes it 32, as in Kafka.
    if (verdict.error !== INVALID_TIMESTAMP) verdict.error = error
    if (verdict.recordErrors.length >= RECORD_ERRORS_MAX) return
    verdict.recordErrors.push({ batchIndex, message })
  }

  /** The attributes to store; bits without a meaning go, as with Kafka whenever it writes them. */
  #attributes(codec: Codec): number {
    const sent = attributesAt(this.#source, this.#start) & KNOWN_ATTRIBUTES
    const kept = sent & ~CODEC_MASK & ~LOG_APPEND_TIME_BIT
    const time = this.#rules.timestampType === 'LogAppendTime' ? LOG_APPEND_TIME_BIT : 0
    return kept | time | CODECS.indexOf(codec)
  }

  #correctTimestamps(): void {
    const source = this.#source
    const start = this.#start
    const hasAppendTime = isLogAppendTimeAt(source, start)
    const wantsAppendTime = this.#rules.timestampType === 'LogAppendTime'
    const maxTimestamp = this.#verdict.maxTimestampMs
    if (hasAppendTime === wantsAppendTime && maxTimestampAt(source, start) === maxTimestamp) return
    const codec = CODECS[attributesAt(source, start) & CODEC_MASK]!
    writeInt16(source, start + ATTRIBUTES_AT, this.#attributes(codec))
    writeInt64(source, start + MAX_TIMESTAMP_AT, maxTimestamp)
    sealBatch(source, start, start + this.#verdict.sizeBytes)
  }

  /** The same batch with other record bytes, in another codec. */
  #rewrite(records: Buffer, codec: Codec): void {
    const verdict = this.#verdict
    const body = compress(codec, records)
    const batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + body.length)
    this.#source.copy(batch, 0, this.#start, this.#start + BATCH_HEADER_BYTES)
    body.copy(batch, BATCH_HEADER_BYTES)
    writeInt32(batch, BATCH_LENGTH_AT, batch.length - LOG_OVERHEAD_BYTES)
    writeInt16(batch, ATTRIBUTES_AT, this.#attributes(codec))
    writeInt64(batch, MAX_TIMESTAMP_AT, verdict.maxTimestampMs)
    sealBatch(batch, 0, batch.length)
    verdict.sizeBytes = batch.length
    verdict.rewritten = batch
    if (batch.length <= this.#rules.maxMessageBytes) return
    verdict.rewritten = undefined
    refuseSize(verdict, batch.length, this.#rules)
  }
}

const checker = new BatchChecker()
