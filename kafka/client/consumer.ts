/**
 * Reads partitions in order: one Fetch a leader at a time, positions kept here. Which partitions,
 * and where committed positions live, is the caller's (or `GroupMember`'s) business.
 */
import { assert } from '../../base/assert.ts'
import { decodeBatches, type LogRecord } from '../../log/records.ts'
import { fetch } from '../api/01-fetch.ts'
import { listOffsets } from '../api/02-list-offsets.ts'
import { errorOf } from '../wire/errors.ts'
import { type Cluster, check, KafkaError } from './cluster.ts'

export type StartAt = 'earliest' | 'latest'

export interface ConsumerOptions {
  readonly startAt: StartAt
  readonly isolation?: 'uncommitted' | 'committed'
  readonly maxWaitMs?: number
}

export interface ConsumedRecord extends LogRecord {
  readonly topic: string
  readonly partition: number
}

interface Position {
  readonly topic: string
  readonly partition: number
  offset: number
}

const FETCH_BYTES_MAX = 32 * 1024 * 1024
const PARTITION_BYTES_MAX = 1024 * 1024
const RECORDS_BYTES_MAX = 256 * 1024 * 1024
const PAUSE_MS = 100
const OFFSET_OUT_OF_RANGE = 1

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
    partitions: readonly { topic: string; partition: number; offset?: number | undefined }[],
  ): Promise<void> {
    this.#positions = await Promise.all(
      partitions.map(async ({ topic, partition, offset }) => ({
        topic,
        partition,
        offset: offset ?? (await this.offset(topic, partition, this.#options.startAt)),
      })),
    )
  }

  /** Next offsets to read, for commits. */
  positions(): readonly Readonly<Position>[] {
    return this.#positions
  }

  async offset(topic: string, partition: number, at: StartAt | number): Promise<number> {
    const timestamp = at === 'earliest' ? -2 : at === 'latest' ? -1 : at
    for (;;) {
      const leaders = await this.#cluster.leaders(topic)
      const answer = await this.#cluster.request(leaders[partition], listOffsets, {
        replicaId: -1,
        isolationLevel: this.#isolationLevel,
        topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }],
      })
      const found = answer.topics[0]?.partitions[0]
      const error = found?.errorCode ?? -1
      if (error === 0) return found!.offset
      if (errorOf(error)?.isRetriable !== true) check(error, `${topic}-${partition}`)
      await this.#cluster.pause(PAUSE_MS)
    }
  }

  get #isolationLevel(): number {
    return this.#options.isolation === 'committed' ? 1 : 0
  }

  /** Records that are there, or an empty list after `maxWaitMs`. Throws KafkaError. */
  async poll(): Promise<ConsumedRecord[]> {
    if (this.#positions.length === 0) {
      await this.#cluster.pause(PAUSE_MS)
      return []
    }
    const byLeader = await this.#byLeader()
    const found = await Promise.allSettled(
      [...byLeader].map(([leader, positions]) => this.#fetch(leader, positions)),
    )
    const records = found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
    // What one leader gave must not be lost with the answer of another: positions have moved.
    const failed = found.find((one) => one.status === 'rejected')
    if (failed !== undefined && records.length === 0) throw failed.reason
    return records
  }

  async #byLeader(): Promise<Map<number, Position[]>> {
    const byLeader = new Map<number, Position[]>()
    for (const topic of new Set(this.#positions.map((position) => position.topic))) {
      const leaders = await this.#cluster.leaders(topic)
      for (const position of this.#positions) {
        if (position.topic !== topic) continue
        const leader = leaders[position.partition]
        check(leader === undefined ? 3 : 0, `${topic}-${position.partition}`)
        const row = byLeader.get(leader!)
        if (row === undefined) byLeader.set(leader!, [position])
        else row.push(position)
      }
    }
    return byLeader
  }

  async #fetch(leader: number, positions: Position[]): Promise<ConsumedRecord[]> {
    const connection = await this.#cluster.node(leader)
    // Version 12 names topics by name; 13 needs their ids.
    const version = Math.min(connection.version(fetch as never), 12)
    const maxWaitMs = this.#options.maxWaitMs ?? 500
    const answer = await connection.request(
      fetch,
      {
        replicaId: -1,
        maxWaitMs,
        minBytes: 1,
        maxBytes: FETCH_BYTES_MAX,
        isolationLevel: this.#isolationLevel,
        sessionId: 0,
        sessionEpoch: -1,
        topics: requestTopics(positions),
        forgottenTopicsData: [],
        rackId: '',
      },
      maxWaitMs + this.#cluster.options.timeoutMs,
      version,
    )
    check(answer.errorCode, 'fetch')
    const records: ConsumedRecord[] = []
    let failure: unknown
    for (const { topic, partitions } of answer.responses) {
      for (const partition of partitions) {
        const position = positions.find(
          (one) => one.topic === topic && one.partition === partition.partitionIndex,
        )
        try {
          if (position !== undefined) await this.#take(position, partition, records)
        } catch (error) {
          failure = error
        }
      }
    }
    if (failure !== undefined && records.length === 0) throw failure
    return records
  }

  async #take(
    position: Position,
    partition: { errorCode: number; records: Buffer | null },
    records: ConsumedRecord[],
  ): Promise<void> {
    const { topic } = position
    if (partition.errorCode === OFFSET_OUT_OF_RANGE) {
      position.offset = await this.offset(topic, position.partition, this.#options.startAt)
      return
    }
    if (partition.errorCode !== 0) {
      if (errorOf(partition.errorCode)?.isRetriable === true) {
        await this.#cluster.pause(PAUSE_MS)
        return
      }
      throw new KafkaError(partition.errorCode, `${topic}-${position.partition}`)
    }
    const bytes = partition.records
    if (bytes === null || bytes.length === 0) return
    for (const record of decodeBatches(bytes, 0, bytes.length, RECORDS_BYTES_MAX)) {
      if (record.offset < position.offset) continue
      records.push({ ...record, topic, partition: position.partition })
    }
    const next = nextOffset(bytes)
    assert(next >= position.offset, 'a fetch moves forward')
    position.offset = next
  }
}

function requestTopics(positions: Position[]) {
  const topics = new Map<string, Position[]>()
  for (const position of positions) {
    const row = topics.get(position.topic)
    if (row === undefined) topics.set(position.topic, [position])
    else row.push(position)
  }
  return [...topics].map(([topic, row]) => ({
    topic,
    partitions: row.map(({ partition, offset }) => ({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: offset,
      logStartOffset: -1,
      partitionMaxBytes: PARTITION_BYTES_MAX,
    })),
  }))
}

const LENGTH_AT = 8
const LAST_OFFSET_DELTA_AT = 23

/** The offset after the last whole batch, which may hold no record (compaction). */
function nextOffset(bytes: Buffer): number {
  let next = 0
  for (let at = 0; at + 61 <= bytes.length; ) {
    const sizeBytes = 12 + bytes.readInt32BE(at + LENGTH_AT)
    if (at + sizeBytes > bytes.length) break
    next = Number(bytes.readBigInt64BE(at)) + bytes.readInt32BE(at + LAST_OFFSET_DELTA_AT) + 1
    at += sizeBytes
  }
  return next
}
