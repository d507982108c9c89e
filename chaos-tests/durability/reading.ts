/* A partition read to its end around the batches that its node refuses because they are damaged. */
import { fetchAnswer, fetchFrame, recordValues } from '../cluster/frames.ts'
import { ask } from '../cluster/wire.ts'

const FETCH_BYTES = 4 * 1024 * 1024
const KAFKA_STORAGE_ERROR = 56

export interface ReadingOptions {
  readonly topic: string
  readonly partition: number
  /** Of the first batch; each has `perBatch` records. */
  readonly start: number
  readonly end: number
  readonly perBatch: number
  /** Hears of each record that is served; `expected` is the offset that is next. */
  readonly onRecord: (record: { offset: number; value: Buffer }, expected: number) => void
}

export interface Reading {
  /** Batches that were refused as damaged. */
  readonly refused: number
  /** Before the end: no answer, another error, or an answer without a record. */
  readonly stopped?: Stop
}

export interface Stop {
  readonly offset: number
  readonly why: 'no answer' | 'nothing' | number
  readonly highWatermark: number
}

/** All that the node at this port serves. */
export async function readAround(port: number, options: ReadingOptions): Promise<Reading> {
  const { start, end, perBatch, onRecord } = options
  const { frame, offsetPosition } = fetchFrame(options.topic, options.partition, FETCH_BYTES)
  let refused = 0
  for (let offset = start; offset < end; ) {
    frame.writeBigInt64BE(BigInt(offset), offsetPosition)
    const answer = await ask(port, frame)
    if (answer === undefined) {
      return { refused, stopped: { offset, why: 'no answer', highWatermark: -1 } }
    }
    const { error, highWatermark, recordBytes, recordsPosition } = fetchAnswer(answer, 0)
    if (error === KAFKA_STORAGE_ERROR) {
      refused++
      offset += perBatch - ((offset - start) % perBatch)
      continue
    }
    if (error !== 0) return { refused, stopped: { offset, why: error, highWatermark } }
    const before = offset
    for (const record of recordValues(answer, recordsPosition, recordsPosition + recordBytes)) {
      if (record.offset < offset) continue
      onRecord(record, offset)
      offset = record.offset + 1
    }
    if (offset === before) return { refused, stopped: { offset, why: 'nothing', highWatermark } }
  }
  return { refused }
}
