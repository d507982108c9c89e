/**
 * Whether a follower may go on from the end of its log: its epochs are compared with the leader's
 * (KIP-101, 279, 595). What does not agree is cut by the follower, which then asks again.
 */
import { assert } from '../base/assert.ts'
import { CorruptionError } from '../base/errors.ts'
import { batchSizeAt, leaderEpochAt, RECORDS_AT } from '../log/format.ts'
import type { EpochEnd, PartitionLog } from '../log/partition-log.ts'
import {
  FENCED_LEADER_EPOCH,
  KAFKA_STORAGE_ERROR,
  NOT_LEADER_OR_FOLLOWER,
  OFFSET_OUT_OF_RANGE,
} from './errors.ts'
import type { Leader } from './leader.ts'
import type { Subscribe } from './messages.ts'
import type { RemoteReplica } from './remote-replica.ts'

export type Admission =
  | { readonly kind: 'admitted'; readonly remote: RemoteReplica }
  /** This node's metadata is behind the follower's. */
  | { readonly kind: 'later' }
  | { readonly kind: 'refused'; readonly error: number }
  | { readonly kind: 'diverged'; readonly epoch: number; readonly endOffset: number }

/** The replica that is asked. */
export interface Admitting {
  readonly log: PartitionLog
  readonly leader: Leader | undefined
  readonly leaderEpoch: number
  /** By the image; its role may still have to begin. */
  readonly isLeading: boolean
  readonly canServe: boolean
}

export function admit(asked: Admitting, followerId: number, subscribe: Subscribe): Admission {
  const { log, leader, leaderEpoch } = asked
  if (subscribe.leaderEpoch > leaderEpoch) return { kind: 'later' }
  if (subscribe.leaderEpoch < leaderEpoch) return refused(FENCED_LEADER_EPOCH)
  if (leader === undefined) {
    return asked.isLeading ? { kind: 'later' } : refused(NOT_LEADER_OR_FOLLOWER)
  }
  if (!asked.canServe) return refused(KAFKA_STORAGE_ERROR)
  const remote = leader.remote(followerId)
  if (remote === undefined) return { kind: 'later' }
  assert(leader.epoch === leaderEpoch, 'a leader of the present epoch')
  const { fetchOffset, lastEpoch } = subscribe
  if (isBeforeAll(log, fetchOffset)) return refused(OFFSET_OUT_OF_RANGE)
  if (lastEpoch >= 0) {
    const { epoch, endOffset } = endOfEpoch(log, leaderEpoch, lastEpoch)
    if (epoch < lastEpoch || endOffset < fetchOffset) return { kind: 'diverged', epoch, endOffset }
  }
  if (fetchOffset > log.logEndOffset) return refused(OFFSET_OUT_OF_RANGE)
  return { kind: 'admitted', remote }
}

function refused(error: number): Admission {
  return { kind: 'refused', error }
}

/** A log may start within a batch; who has all before that batch, or nothing, is sent the whole of it. */
export function isBeforeAll(log: PartitionLog, offset: number): boolean {
  return offset < log.logStartOffset && offset < log.firstBatchOffset()
}

/** As the leader, which also knows of the epochs in which nothing was written. */
export function endOfEpoch(log: PartitionLog, leaderEpoch: number, requested: number): EpochEnd {
  const { latestEpoch, logEndOffset } = log
  if (requested === leaderEpoch) return { epoch: requested, endOffset: logEndOffset }
  if (requested < latestEpoch) return log.endOffsetForEpoch(requested)
  return { epoch: latestEpoch, endOffset: logEndOffset }
}

/** The epoch of a batch is outside of its checksum: one that has not been yet is damage. */
export function checkEpochs(
  source: Buffer,
  start: number,
  end: number,
  leaderEpoch: number,
  path: string,
): void {
  for (let at = start; at + RECORDS_AT <= end; ) {
    if (leaderEpochAt(source, at) > leaderEpoch) {
      throw new CorruptionError(path, 'a fetched batch is of an epoch that has not been')
    }
    const size = batchSizeAt(source, at)
    if (size < RECORDS_AT) return // the log says what it thinks of that
    at += size
  }
}
