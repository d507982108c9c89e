/**
 * Reads partitions in order: one Fetch a leader at a time, positions kept here. Which partitions,
 * and where committed positions live, is the caller's (or `GroupMember`'s) business.
 *
 * Leaders that move, and nodes that fail, cost time and nothing else: a position moves with the
 * records that are returned, never without.
 */
import { assert } from '../../base/assert.ts'
import {
  baseOffsetAt,
  batchSizeAt,
  lastOffsetAt,
  leaderEpochAt,
  RECORDS_AT,
} from '../../log/format.ts'
import { decodeBatches, type LogRecord } from '../../log/records.ts'
import { fetch } from '../api/01-fetch.ts'
import { listOffsets } from '../api/02-list-offsets.ts'
import { offsetForLeaderEpoch } from '../api/23-offset-for-leader-epoch.ts'
import type { Infer } from '../wire/schema.ts'
import { ZERO_UUID } from '../wire/schema.ts'
import { type Cluster, check, KafkaError } from './cluster.ts'
import type { BrokerConnection } from './connection.ts'
import { type EpochEnd, ReadEpochs } from './read-epochs.ts'
import { delayMs, isTransient, persist } from './retry.ts'

export type StartAt = 'earliest' | 'latest'

export interface ConsumerOptions {
  readonly startAt: StartAt
  readonly isolation?: 'uncommitted' | 'committed'
  readonly maxWaitMs?: number
  /** How long no leader at all may answer before that is an error. Default: the client's timeout. */
  readonly patienceMs?: number
  /**
   * Hears that records which were read are in the log no more (KIP-320): the leader's log parted
   * from what was read at `toOffset`, and reading goes on there.
   */
  readonly onTruncation?: (truncation: Truncation) => void
}

export interface Truncation {
  readonly topic: string
  readonly partition: number
  /** Where reading would have gone on. */
  readonly fromOffset: number
  readonly toOffset: number
}

export interface ConsumedRecord extends LogRecord {
  readonly topic: string
  readonly partition: number
}

/** Where to read next, and the leader epoch of what was read last (-1 unknown): for commits. */
export interface ReadPosition {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly epoch: number
}

interface Position {
  readonly topic: string
  readonly partition: number
  offset: number
  epochs: ReadEpochs
  /** The leader of this epoch has what was read. */
  checkedEpoch: number
}

/** What one leader gave. */
interface Fetched {
  readonly records: ConsumedRecord[]
  /** The last error of a partition, or of the whole. */
  failure: unknown
  isAnswered: boolean
}

type FetchAnswer = Infer<typeof fetch.response>
type PartitionAnswer = FetchAnswer['responses'][number]['partitions'][number]

const FETCH_BYTES_MAX = 32 * 1024 * 1024
const PARTITION_BYTES_MAX = 1024 * 1024
const RECORDS_BYTES_MAX = 256 * 1024 * 1024
const PAUSE_MS = 100
/** When other nodes are asked whether the leader that does not answer still is the leader. */
const FIRST_LOOK_MS = 250
const OFFSET_OUT_OF_RANGE = 1
/** Fetch 12 names topics by name; later versions need their ids. */
const BY_NAME = 12
/** Fetch: leaders compare epochs themselves. */
const EPOCHS_SINCE = 12
/** A reader that is no replica. */
const CONSUMER = -1

export class Consumer {
  readonly #cluster: Cluster
  readonly #options: ConsumerOptions
  #positions: Position[] = []

  constructor(cluster: Cluster, options: ConsumerOptions) {
    this.#cluster = cluster
    this.#options = options
  }

  /** Replaces what is read. `offset` undefined: where `startAt` says. */
  async assign(
    partitions: readonly {
      topic: string
      partition: number
      offset?: number | undefined
      /** The leader epoch of the record before `offset`; -1 unknown. */
      epoch?: number | undefined
    }[],
  ): Promise<void> {
    this.#positions = await Promise.all(
      partitions.map(async ({ topic, partition, offset, epoch = -1 }) => {
        const at = offset ?? (await this.offset(topic, partition, this.#options.startAt))
        const epochs = new ReadEpochs(offset === undefined ? -1 : epoch, at)
        return { topic, partition, offset: at, epochs, checkedEpoch: -1 }
      }),
    )
  }

  /** Next offsets to read, for commits. */
  positions(): readonly ReadPosition[] {
    return this.#positions.map(({ topic, partition, offset, epochs }) => {
      return { topic, partition, offset, epoch: epochs.last }
    })
  }

  /** The offset of a time (or -1), or one of the ends. Throws KafkaError and ClientError. */
  offset(topic: string, partition: number, at: StartAt | number): Promise<number> {
    const timestamp = at === 'earliest' ? -2 : at === 'latest' ? -1 : at
    return persist(this.#cluster, this.#deadlineMs(), async () => {
      try {
        return await this.#askOffset(topic, partition, timestamp)
      } catch (error) {
        this.#cluster.suspect(topic)
        throw error
      }
    })
  }

  async #askOffset(topic: string, partition: number, timestamp: number): Promise<number> {
    const { leaderId } = await this.#cluster.leader(topic, partition)
    const connection = await this.#cluster.node(leaderId)
    const asked = connection.request(
      listOffsets,
      {
        replicaId: CONSUMER,
        isolationLevel: this.#isolationLevel,
        topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }],
      },
      this.#cluster.options.timeoutMs,
    )
    const answer = await this.#fromLeader(connection, asked, leaderId, [{ topic, partition }])
    const found = answer.topics[0]?.partitions[0]
    check(found?.errorCode ?? -1, `${topic}-${partition}`)
    return found!.offset
  }

  /** The answer of a leader that may be one no more. */
  #fromLeader<T>(
    connection: BrokerConnection,
    asked: Promise<T>,
    leaderId: number,
    places: readonly { readonly topic: string; readonly partition: number }[],
    waitMs = 0,
  ): Promise<T> {
    return this.#cluster.waitFor(connection, asked, {
      firstLookMs: waitMs + FIRST_LOOK_MS,
      looks: 1,
      isElsewhere: () => this.#cluster.isLedElsewhere(leaderId, places),
    })
  }

  #deadlineMs(): number {
    const { patienceMs = this.#cluster.options.timeoutMs } = this.#options
    return this.#cluster.clock.monotonicMs() + patienceMs
  }

  get #isolationLevel(): number {
    return this.#options.isolation === 'committed' ? 1 : 0
  }

  /**
   * Records that are there, or an empty list after `maxWaitMs`. While no leader at all can be asked
   * it waits for one. Throws KafkaError and ClientError; then no position has moved.
   */
  async poll(): Promise<ConsumedRecord[]> {
    if (this.#positions.length === 0) {
      await this.#cluster.pause(PAUSE_MS)
      return []
    }
    const deadlineMs = this.#deadlineMs()
    for (let failures = 1; ; failures++) {
      const found = await this.#fetchAll()
      const records = found.flatMap((one) => one.records)
      // What one leader gave must not be lost with the error of another.
      if (records.length > 0) return records
      const failed = found.filter(({ failure }) => failure !== undefined)
      const fatal = failed.find(({ failure }) => !isTransient(failure))
      if (fatal !== undefined) throw fatal.failure
      if (found.some(({ isAnswered }) => isAnswered)) return []
      const isOver = this.#cluster.isClosed || this.#cluster.clock.monotonicMs() >= deadlineMs
      if (isOver || !this.#cluster.wasReached) throw failed[0]!.failure
      await this.#cluster.pause(delayMs(failures))
    }
  }

  async #fetchAll(): Promise<Fetched[]> {
    const byLeader = new Map<number, Position[]>()
    const found: Fetched[] = []
    const leaders = await Promise.all(this.#positions.map((position) => this.#leaderOf(position)))
    this.#positions.forEach((position, i) => {
      const { leaderId, failure } = leaders[i]!
      const row = byLeader.get(leaderId)
      if (leaderId === -1) found.push({ records: [], failure, isAnswered: false })
      else if (row === undefined) byLeader.set(leaderId, [position])
      else row.push(position)
    })
    const asked = [...byLeader].map(([leaderId, positions]) => this.#fetch(leaderId, positions))
    return [...found, ...(await Promise.all(asked))]
  }

  /** The leader to read from, once it is known that it has what was read; -1 with a failure. */
  async #leaderOf(position: Position): Promise<{ leaderId: number; failure?: unknown }> {
    const { topic, partition, epochs } = position
    try {
      const { leaderId, leaderEpoch } = await this.#cluster.leader(topic, partition)
      if (epochs.last >= 0 && leaderEpoch > position.checkedEpoch) {
        await this.#compare(position, leaderId, leaderEpoch)
      }
      position.checkedEpoch = leaderEpoch
      return { leaderId }
    } catch (failure) {
      if (failure instanceof KafkaError) this.#cluster.suspect(topic)
      return { leaderId: -1, failure }
    }
  }

  /** Asks a leader that is new to this reader where the epoch of what was read last ends. */
  async #compare(position: Position, leaderId: number, leaderEpoch: number): Promise<void> {
    const { topic, partition, epochs } = position
    const connection = await this.#cluster.node(leaderId)
    if (!connection.knows(offsetForLeaderEpoch.key)) return
    const asked = connection.request(
      offsetForLeaderEpoch,
      {
        replicaId: CONSUMER,
        topics: [
          {
            topic,
            partitions: [{ partition, currentLeaderEpoch: leaderEpoch, leaderEpoch: epochs.last }],
          },
        ],
      },
      this.#cluster.options.timeoutMs,
    )
    const answer = await this.#fromLeader(connection, asked, leaderId, [position])
    const found = answer.topics[0]?.partitions[0]
    check(found?.errorCode ?? -1, `${topic}-${partition}`)
    const end = { epoch: found!.leaderEpoch, endOffset: found!.endOffset }
    // It knows nothing as old as that; the fetch will tell whether the offset is there.
    if (end.epoch === -1 || end.endOffset === -1) return
    if (epochs.hasParted(end, position.offset)) this.#rewind(position, end)
  }

  #rewind(position: Position, end: EpochEnd): void {
    const { topic, partition, offset } = position
    position.offset = position.epochs.rewind(end, offset)
    this.#options.onTruncation?.({
      topic,
      partition,
      fromOffset: offset,
      toOffset: position.offset,
    })
  }

  async #fetch(leaderId: number, positions: readonly Position[]): Promise<Fetched> {
    const found: Fetched = { records: [], failure: undefined, isAnswered: false }
    try {
      const answer = await this.#ask(leaderId, positions)
      check(answer.errorCode, 'fetch')
      for (const { topic, topicId, partitions } of answer.responses) {
        for (const partition of partitions) {
          const position = positions.find(
            (one) =>
              one.partition === partition.partitionIndex &&
              (topic === '' ? this.#idOf(one) === topicId : one.topic === topic),
          )
          if (position !== undefined) await this.#take(position, partition, answer, found)
        }
      }
    } catch (error) {
      found.failure = error
      for (const { topic } of positions) this.#cluster.suspect(topic)
    }
    return found
  }

  #idOf({ topic }: Position): string {
    return this.#cluster.known(topic)?.id ?? ZERO_UUID
  }

  async #ask(leaderId: number, positions: readonly Position[]): Promise<FetchAnswer> {
    const connection = await this.#cluster.node(leaderId)
    const newest = connection.version(fetch as never)
    const hasIds = positions.every((position) => this.#idOf(position) !== ZERO_UUID)
    const version = hasIds ? newest : Math.min(newest, BY_NAME)
    const maxWaitMs = this.#options.maxWaitMs ?? 500
    const asked = connection.request(
      fetch,
      {
        ...(version < 15 && { replicaId: CONSUMER }),
        maxWaitMs,
        minBytes: 1,
        maxBytes: FETCH_BYTES_MAX,
        isolationLevel: this.#isolationLevel,
        sessionId: 0,
        sessionEpoch: -1,
        topics: this.#topicsOf(positions, version),
        forgottenTopicsData: [],
        rackId: '',
      },
      maxWaitMs + this.#cluster.options.timeoutMs,
      version,
    )
    return this.#fromLeader(connection, asked, leaderId, positions, maxWaitMs)
  }

  #topicsOf(positions: readonly Position[], version: number) {
    const isById = version > BY_NAME
    const topics = new Map<string, Position[]>()
    for (const position of positions) {
      const row = topics.get(position.topic)
      if (row === undefined) topics.set(position.topic, [position])
      else row.push(position)
    }
    return [...topics].map(([topic, row]) => ({
      ...(isById ? { topicId: this.#cluster.known(topic)!.id } : { topic }),
      partitions: row.map(({ partition, offset, epochs }) => ({
        partition,
        // So that a node that does not know yet that it was replaced gives nothing (KIP-320).
        currentLeaderEpoch: this.#cluster.known(topic)?.partitions[partition]?.leaderEpoch ?? -1,
        fetchOffset: offset,
        ...(version >= EPOCHS_SINCE && { lastFetchedEpoch: epochs.last }),
        logStartOffset: -1,
        partitionMaxBytes: PARTITION_BYTES_MAX,
      })),
    }))
  }

  async #take(
    position: Position,
    answer: PartitionAnswer,
    { nodeEndpoints }: FetchAnswer,
    found: Fetched,
  ): Promise<void> {
    const { topic, partition } = position
    if (answer.errorCode === OFFSET_OUT_OF_RANGE) {
      found.isAnswered = true
      position.offset = await this.offset(topic, partition, this.#options.startAt)
      position.epochs = new ReadEpochs(-1, position.offset)
      return
    }
    if (answer.errorCode !== 0) {
      found.failure = new KafkaError(answer.errorCode, `${topic}-${partition}`)
      if (!this.#cluster.learnLeader(position, answer.currentLeader, nodeEndpoints)) {
        this.#cluster.suspect(topic)
      }
      return
    }
    found.isAnswered = true
    const { divergingEpoch, records: bytes } = answer
    if (divergingEpoch.endOffset >= 0) {
      this.#rewind(position, divergingEpoch)
      return
    }
    if (bytes === null || bytes.length === 0) return
    for (const record of decodeBatches(bytes, 0, bytes.length, RECORDS_BYTES_MAX)) {
      if (record.offset < position.offset) continue
      found.records.push({ ...record, topic, partition })
    }
    const next = advance(position.epochs, bytes)
    assert(next >= position.offset, 'a fetch moves forward')
    position.offset = next
  }
}

/**
 * Takes note of the epochs of whole batches. Returns the offset after the last of them, which may
 * hold no record (compaction).
 */
function advance(epochs: ReadEpochs, bytes: Buffer): number {
  let next = 0
  for (let at = 0; at + RECORDS_AT <= bytes.length; ) {
    const sizeBytes = batchSizeAt(bytes, at)
    if (at + sizeBytes > bytes.length) break
    epochs.onRead(leaderEpochAt(bytes, at), baseOffsetAt(bytes, at))
    next = lastOffsetAt(bytes, at) + 1
    at += sizeBytes
  }
  return next
}
