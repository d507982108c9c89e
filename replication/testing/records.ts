/** Writing and reading records in tests of replication. */

import { CorruptionError } from '../../base/errors.ts'
import { AppendOutcome } from '../../log/outcome.ts'
import { ReadPlan } from '../../log/partition-log.ts'
import { decodeBatches, encodeBatch } from '../../log/records.ts'
import type { Partition } from '../partition.ts'
import type { AckWaiter } from '../waiters.ts'

export interface Sent {
  readonly offset: number
  /** Undefined until it is answered; then Kafka's error code. */
  ack: number | undefined
}

export function batchOf(values: readonly string[]): Buffer {
  return encodeBatch(
    values.map((value) => ({
      timestampMs: 1_700_000_000_000,
      key: Buffer.from('k'),
      value: Buffer.from(value),
    })),
  )
}

/** acks=all, or 1. `ack` is the error at once when the append is refused. */
export function send(
  partition: Partition,
  values: readonly string[],
  deadlineMs = Infinity,
  acks: -1 | 1 = -1,
): Sent {
  const outcome = new AppendOutcome()
  const batch = batchOf(values)
  const options = { acks, allowsZstd: true, nowMs: 1_700_000_000_000 }
  partition.append(batch, 0, batch.length, options, outcome)
  if (outcome.error !== 0) return { offset: -1, ack: outcome.error }
  const sent: Sent = { offset: outcome.firstOffset, ack: undefined }
  const waiter: AckWaiter = {
    onAck: (_slot, error) => {
      sent.ack = error
    },
  }
  if (acks === 1) partition.awaitWrite(outcome.lastOffset, waiter, 0)
  else partition.awaitReplication(outcome.lastOffset, deadlineMs, waiter, 0)
  return sent
}

/** Values by offset, of [start, upTo). */
export function readAll(
  partition: Partition,
  upTo = partition.log.writtenOffset,
): Map<number, string> {
  const values = new Map<number, string>()
  const plan = new ReadPlan()
  for (let offset = partition.logStartOffset; offset < upTo; ) {
    partition.log.locate(offset, upTo, plan)
    if (plan.error !== 0) {
      throw new CorruptionError(partition.log.directory, `error ${plan.error} at ${offset}`)
    }
    const target = Buffer.alloc(Math.max(1 << 20, plan.firstBatchBytes))
    const bytes = partition.log.copy(plan, upTo, target, 0, target.length)
    if (bytes === 0) break
    for (const record of decodeBatches(target, 0, bytes)) {
      if (record.offset >= partition.logStartOffset) {
        values.set(record.offset, String(record.value))
      }
    }
    offset = plan.nextOffset
  }
  return values
}
