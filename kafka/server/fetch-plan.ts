/**
 * Decides what a fetch would be answered now: for each partition an error, how much of its records,
 * another node to ask, or nothing. Reads no records, so that it can be asked again each time
 * something changed.
 *
 * Followers serve those readers alone that say where they are (KIP-392): others come here because
 * their metadata is old, and are sent to the leader. An offset outside a follower's log proves
 * nothing, since the leader's may have it, so there the answer is NOT_LEADER_OR_FOLLOWER too: an
 * OFFSET_OUT_OF_RANGE makes many clients start over.
 */
import { assert } from '../../base/assert.ts'
import { CorruptionError } from '../../base/errors.ts'
import { ReadPlan } from '../../log/partition-log.ts'
import type { DataPort, Isolation, PartitionPort, TopicPort } from '../broker.ts'
import {
  INCONSISTENT_TOPIC_ID,
  KAFKA_STORAGE_ERROR,
  NONE,
  NOT_LEADER_OR_FOLLOWER,
  OFFSET_NOT_AVAILABLE,
  OFFSET_OUT_OF_RANGE,
  UNKNOWN_TOPIC_ID,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../wire/errors.ts'
import type { EntryList, FetchEntry } from './fetch-entries.ts'

/** What a partition's part of an answer takes beside its records, at most, without transactions. */
export const PARTITION_BYTES = 112
/** Header, fixed fields, and the places of a few nodes. */
export const ANSWER_BYTES = 256

export interface PlanLimits {
  readonly usesTopicIds: boolean
  readonly isolation: Isolation
  /** Where the reader is; '' unknown. */
  readonly rack: string
  readonly listener: string
  /** Of all records together; the first batch is taken even if it is larger. */
  maxBytes: number
  /** Leave out partitions of which the client knows all (KIP-227). */
  readonly isIncremental: boolean
  /** An error for every partition; 0: none. */
  readonly refusal: number
}

export class FetchPlanner {
  /** The entries that go into the answer, in order. */
  readonly included: FetchEntry[] = []
  /** Bytes of records. */
  recordBytes = 0
  /** An upper bound for the whole answer, transactions left out. */
  answerBytes = 0
  /** Something that should not wait: an error, or a log that parted from the client's. */
  isUrgent = false
  isCold = false
  readonly #data: DataPort
  #lastKey = ''
  #lastTopic: TopicPort | undefined

  constructor(data: DataPort) {
    this.#data = data
  }

  plan(entries: EntryList, limits: PlanLimits): void {
    this.included.length = 0
    this.recordBytes = 0
    this.answerBytes = ANSWER_BYTES
    this.isUrgent = false
    this.isCold = false
    this.#lastKey = ''
    for (let entry = entries.first; entry !== undefined; entry = entry.next) {
      this.#look(entry, limits)
      if (isUrgent(entry.error) || isSentAway(entry)) this.isUrgent = true
      if (limits.isIncremental && !hasNews(entry)) continue
      this.included.push(entry)
      this.answerBytes += PARTITION_BYTES + entry.wantedBytes + 3 * entry.topicKey.length
    }
    this.#lastTopic = undefined
  }

  #look(entry: FetchEntry, limits: PlanLimits): void {
    entry.wantedBytes = 0
    entry.divergingEpoch = -1
    entry.preferredReplica = -1
    entry.partition = undefined
    entry.error = limits.refusal
    if (entry.error === 0) entry.error = this.#resolve(entry, limits.usesTopicIds)
    if (entry.error !== 0) return
    const partition = hosted(entry)
    entry.error = partition.checkReader(entry.leaderEpoch, limits.rack !== '')
    if (entry.error === 0) entry.error = compareEpochs(entry)
    if (entry.error !== 0 || entry.divergingEpoch !== -1) return
    entry.limitOffset = partition.readLimit(limits.isolation)
    const { fetchOffset } = entry
    if (fetchOffset < partition.logStartOffset || fetchOffset > partition.logEndOffset) {
      entry.error = outOfRange(entry)
      return
    }
    entry.preferredReplica = this.#preferredReplica(entry, limits)
    if (entry.preferredReplica !== -1) return
    if (fetchOffset < entry.limitOffset) this.#locate(entry, limits.maxBytes)
    // The watermark that this leader knows may be below what the client was told before.
    else if (!partition.isWatermarkKnown) entry.error = OFFSET_NOT_AVAILABLE
  }

  /** A replica that is nearer to the reader, and that it can reach. */
  #preferredReplica(entry: FetchEntry, { rack, listener }: PlanLimits): number {
    if (rack === '') return -1
    const nodeId = hosted(entry).preferredReplica(rack, entry.fetchOffset)
    return nodeId === -1 || this.#data.endpoint(nodeId, listener) === undefined ? -1 : nodeId
  }

  /** Finds the partition. Returns an error, also when this node does not host it. */
  #resolve(entry: FetchEntry, usesTopicIds: boolean): number {
    if (entry.topicKey !== this.#lastKey) {
      this.#lastKey = entry.topicKey
      this.#lastTopic = usesTopicIds
        ? this.#data.topicById(entry.topicKey)
        : this.#data.topic(entry.topicKey)
    }
    const topic = this.#lastTopic
    entry.topic = topic
    if (topic === undefined) return usesTopicIds ? this.#whyNoId(entry) : UNKNOWN_TOPIC_OR_PARTITION
    entry.topicName = topic.name
    if (entry.index < 0 || entry.index >= topic.partitionCount) return UNKNOWN_TOPIC_OR_PARTITION
    entry.partition = topic.partitions[entry.index]
    return entry.partition === undefined ? NOT_LEADER_OR_FOLLOWER : NONE
  }

  /** The topic was known in this session: it is gone, or another one has its name now. */
  #whyNoId(entry: FetchEntry): number {
    if (entry.topicName === '') return UNKNOWN_TOPIC_ID
    return this.#data.topic(entry.topicName) === undefined
      ? UNKNOWN_TOPIC_OR_PARTITION
      : INCONSISTENT_TOPIC_ID
  }

  #locate(entry: FetchEntry, maxBytes: number): void {
    entry.plan ??= new ReadPlan()
    const { plan } = entry
    hosted(entry).locate(entry.fetchOffset, entry.limitOffset, plan)
    entry.error = locateError(entry, plan)
    if (entry.error !== 0) return
    const takesFirst = this.recordBytes === 0
    const limitBytes = Math.max(0, Math.min(entry.maxBytes, maxBytes - this.recordBytes))
    let wantedBytes = Math.min(Math.max(plan.availableBytes, plan.firstBatchBytes), limitBytes)
    if (wantedBytes < plan.firstBatchBytes) wantedBytes = takesFirst ? plan.firstBatchBytes : 0
    entry.wantedBytes = wantedBytes
    this.recordBytes += wantedBytes
    if (wantedBytes > 0 && plan.isCold) this.isCold = true
  }
}

/** The error for the reader when there is one in the plan; the partition is told of damage. */
export function locateError(entry: FetchEntry, plan: ReadPlan): number {
  if (plan.error === NONE) return NONE
  if (plan.error === OFFSET_OUT_OF_RANGE) return outOfRange(entry)
  const partition = hosted(entry)
  const name = `${partition.topic}-${partition.index}`
  partition.onCorruption(new CorruptionError(name, `offset ${entry.fetchOffset} can't be read`))
  return KAFKA_STORAGE_ERROR
}

/**
 * KIP-320: has the log parted from what the client read last? Then the client is told where,
 * instead of records.
 */
function compareEpochs(entry: FetchEntry): number {
  if (entry.lastFetchedEpoch < 0) return NONE
  const partition = hosted(entry)
  const { epoch, endOffset } = partition.endOffsetForEpoch(entry.lastFetchedEpoch)
  if (epoch === -1 || endOffset === -1) return outOfRange(entry)
  if (entry.fetchOffset < partition.logStartOffset) return outOfRange(entry)
  if (epoch < entry.lastFetchedEpoch || endOffset < entry.fetchOffset) {
    entry.divergingEpoch = epoch
    entry.divergingEndOffset = endOffset
  }
  return NONE
}

/** The leader alone knows what is out of range. */
function outOfRange(entry: FetchEntry): number {
  const isLeader = hosted(entry).checkReader(-1) !== NOT_LEADER_OR_FOLLOWER
  return isLeader ? OFFSET_OUT_OF_RANGE : NOT_LEADER_OR_FOLLOWER
}

/** A watermark that is not known yet will be in a moment: better to wait for it. */
function isUrgent(error: number): boolean {
  return error !== NONE && error !== OFFSET_NOT_AVAILABLE
}

/** Is the reader told to look elsewhere than here, or than behind its offset? */
function isSentAway(entry: FetchEntry): boolean {
  return entry.divergingEpoch !== -1 || entry.preferredReplica !== -1
}

function hosted(entry: FetchEntry): PartitionPort {
  assert(entry.partition !== undefined, 'no error, so it is here')
  return entry.partition
}

/** Is there anything that the client of a session was not told yet? */
function hasNews(entry: FetchEntry): boolean {
  if (entry.error !== 0 || entry.wantedBytes > 0 || isSentAway(entry)) return true
  const partition = hosted(entry)
  return (
    partition.highWatermark !== entry.toldHighWatermark ||
    partition.logStartOffset !== entry.toldLogStartOffset
  )
}
