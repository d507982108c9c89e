/**
 * A member of a consumer group by the classic protocol, with the `range` assignor: joins, takes
 * its share, heartbeats, commits, and joins again when the group changes.
 */
import type { Timer } from '../../base/clock.ts'
import { offsetCommit } from '../api/08-offset-commit.ts'
import { joinGroup } from '../api/11-join-group.ts'
import { heartbeat } from '../api/12-heartbeat.ts'
import { leaveGroup } from '../api/13-leave-group.ts'
import { syncGroup } from '../api/14-sync-group.ts'
import {
  COORDINATOR_LOAD_IN_PROGRESS,
  COORDINATOR_NOT_AVAILABLE,
  ILLEGAL_GENERATION,
  MEMBER_ID_REQUIRED,
  NOT_COORDINATOR,
  REBALANCE_IN_PROGRESS,
  UNKNOWN_MEMBER_ID,
} from '../wire/errors.ts'
import type { Cluster } from './cluster.ts'
import { check } from './cluster.ts'
import type { BrokerConnection } from './connection.ts'
import { fetchCommitted, lookUpCoordinator } from './coordinator.ts'
import {
  type Assigned,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  rangeAssign,
} from './range-assignor.ts'

export interface GroupOptions {
  readonly group: string
  readonly topics: readonly string[]
  readonly sessionTimeoutMs?: number
  readonly heartbeatMs?: number
}

const RETRY_MS = 100
const REBALANCE_TIMEOUT_MS = 60_000
/** Version of the API that names topics by name; later ones need ids. */
const BY_NAME = 9
/** LeaveGroup: from here on for many members at once. */
const MANY_MEMBERS_SINCE = 3

export class GroupMember {
  readonly #cluster: Cluster
  readonly #options: Required<GroupOptions>
  #coordinator: BrokerConnection | undefined
  #memberId = ''
  #generation = -1
  #mustRejoin = true
  #heartbeat: Timer | undefined
  #isClosed = false

  constructor(cluster: Cluster, options: GroupOptions) {
    this.#cluster = cluster
    this.#options = { sessionTimeoutMs: 45_000, heartbeatMs: 3000, ...options }
  }

  /** True when `join` has to be called before reading on. */
  get mustRejoin(): boolean {
    return this.#mustRejoin
  }

  /** As the coordinator gave them; '' and -1 before the first join. */
  get identity(): { readonly memberId: string; readonly generation: number } {
    return { memberId: this.#memberId, generation: this.#generation }
  }

  /** Joins and returns this member's share with the committed offsets (undefined: none). */
  async join(): Promise<{ topic: string; partition: number; offset: number | undefined }[]> {
    for (;;) {
      const assigned = await this.#joinOnce()
      if (assigned !== undefined) {
        this.#mustRejoin = false
        this.#scheduleHeartbeat()
        return this.#committed(assigned)
      }
      await this.#cluster.pause(RETRY_MS)
    }
  }

  /**
   * Resolves when all is committed, or `mustRejoin` is set because the group has changed. Throws
   * KafkaError and ClientError; a coordinator that moves is waited for first.
   */
  async commit(
    positions: readonly { topic: string; partition: number; offset: number }[],
  ): Promise<void> {
    if (positions.length === 0 || this.#generation === -1) return
    const deadlineMs = this.#cluster.clock.monotonicMs() + this.#cluster.options.timeoutMs
    for (;;) {
      const errors = await this.#commitOnce(positions)
      for (const error of errors) {
        if (!this.#react(error)) check(error, `commit of group ${this.#options.group}`)
      }
      if (errors.length === 0 || this.#mustRejoin) return
      if (this.#cluster.clock.monotonicMs() > deadlineMs) {
        check(errors[0]!, `commit of group ${this.#options.group}`)
      }
      await this.#cluster.pause(RETRY_MS)
    }
  }

  /** The error codes of partitions that were not committed. */
  async #commitOnce(
    positions: readonly { topic: string; partition: number; offset: number }[],
  ): Promise<number[]> {
    const connection = await this.#connection()
    const answer = await connection.request(
      offsetCommit,
      {
        groupId: this.#options.group,
        generationIdOrMemberEpoch: this.#generation,
        memberId: this.#memberId,
        groupInstanceId: null,
        topics: byTopic(positions).map(([name, row]) => ({
          name,
          partitions: row.map(({ partition, offset }) => ({
            partitionIndex: partition,
            committedOffset: offset,
            committedLeaderEpoch: -1,
            committedMetadata: '',
          })),
        })),
      },
      this.#cluster.options.timeoutMs,
      Math.min(connection.version(offsetCommit as never), BY_NAME),
    )
    return answer.topics.flatMap(({ partitions }) =>
      partitions.map(({ errorCode }) => errorCode).filter((errorCode) => errorCode !== 0),
    )
  }

  /** Leaves, so that the others need not wait for the session to end. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#heartbeat?.cancel()
    if (this.#memberId === '' || this.#coordinator?.isOpen !== true) return
    const isMany = this.#coordinator.version(leaveGroup as never) >= MANY_MEMBERS_SINCE
    await this.#coordinator.request(
      leaveGroup,
      {
        groupId: this.#options.group,
        ...(isMany
          ? { members: [{ memberId: this.#memberId, groupInstanceId: null }] }
          : { memberId: this.#memberId }),
      },
      this.#cluster.options.timeoutMs,
    )
  }

  async #connection(): Promise<BrokerConnection> {
    while (this.#coordinator?.isOpen !== true) {
      const { errorCode: error, nodeId } = await lookUpCoordinator(
        this.#cluster,
        this.#options.group,
      )
      if (error === 0) {
        await this.#cluster.metadata([])
        this.#coordinator = await this.#cluster.node(nodeId)
      } else if (isCoordinatorOnTheWay(error)) await this.#cluster.pause(RETRY_MS)
      else check(error, `coordinator of group ${this.#options.group}`)
    }
    return this.#coordinator
  }

  async #joinOnce(): Promise<Assigned[] | undefined> {
    const connection = await this.#connection()
    const answer = await connection.request(
      joinGroup,
      {
        groupId: this.#options.group,
        sessionTimeoutMs: this.#options.sessionTimeoutMs,
        rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
        memberId: this.#memberId,
        groupInstanceId: null,
        protocolType: 'consumer',
        protocols: [{ name: 'range', metadata: encodeSubscription(this.#options.topics) }],
        reason: null,
      },
      REBALANCE_TIMEOUT_MS + this.#cluster.options.timeoutMs,
    )
    if (answer.errorCode === MEMBER_ID_REQUIRED) this.#memberId = answer.memberId
    if (answer.errorCode !== 0) {
      if (!this.#react(answer.errorCode)) check(answer.errorCode, this.#options.group)
      return undefined
    }
    this.#memberId = answer.memberId
    this.#generation = answer.generationId
    const isLeader = answer.leader === answer.memberId && !answer.skipAssignment
    return this.#sync(connection, isLeader ? await this.#assignments(answer.members) : [])
  }

  async #sync(
    connection: BrokerConnection,
    assignments: { memberId: string; assignment: Buffer }[],
  ): Promise<Assigned[] | undefined> {
    const answer = await connection.request(
      syncGroup,
      {
        groupId: this.#options.group,
        generationId: this.#generation,
        memberId: this.#memberId,
        groupInstanceId: null,
        protocolType: 'consumer',
        protocolName: 'range',
        assignments,
      },
      REBALANCE_TIMEOUT_MS + this.#cluster.options.timeoutMs,
    )
    if (answer.errorCode === 0) return decodeAssignment(answer.assignment)
    if (!this.#react(answer.errorCode)) check(answer.errorCode, this.#options.group)
    return undefined
  }

  async #assignments(members: readonly { memberId: string; metadata: Buffer }[]) {
    const subscriptions = members.map(({ memberId, metadata }) => ({
      memberId,
      topics: decodeSubscription(metadata),
    }))
    const counts = new Map<string, number>()
    for (const topic of new Set(subscriptions.flatMap(({ topics }) => topics))) {
      counts.set(topic, (await this.#cluster.leaders(topic)).length)
    }
    return rangeAssign(subscriptions, counts).map(({ memberId, assigned }) => ({
      memberId,
      assignment: encodeAssignment(assigned),
    }))
  }

  async #committed(assigned: Assigned[]) {
    const connection = await this.#connection()
    const topics = byTopic(assigned).map(([name, row]) => ({
      name,
      partitionIndexes: row.map(({ partition }) => partition),
    }))
    const found = await fetchCommitted(connection, this.#options.group, topics, {
      requireStable: true,
      timeoutMs: this.#cluster.options.timeoutMs,
    })
    const offsets = new Map<string, number>()
    for (const { name, partitions } of found) {
      for (const { partitionIndex, committedOffset, errorCode } of partitions) {
        check(errorCode, `committed offset of ${name}-${partitionIndex}`)
        if (committedOffset >= 0) offsets.set(`${name}/${partitionIndex}`, committedOffset)
      }
    }
    return assigned.map(({ topic, partition }) => ({
      topic,
      partition,
      offset: offsets.get(`${topic}/${partition}`),
    }))
  }

  #scheduleHeartbeat(): void {
    this.#heartbeat?.cancel()
    this.#heartbeat = this.#cluster.clock.after(this.#options.heartbeatMs, () => {
      void this.#beat()
    })
  }

  async #beat(): Promise<void> {
    if (this.#isClosed || this.#mustRejoin) return
    try {
      const connection = await this.#connection()
      const answer = await connection.request(
        heartbeat,
        {
          groupId: this.#options.group,
          generationId: this.#generation,
          memberId: this.#memberId,
          groupInstanceId: null,
        },
        this.#cluster.options.timeoutMs,
      )
      if (answer.errorCode !== 0) this.#react(answer.errorCode)
    } catch {
      // The connection broke: the next call finds the coordinator again, or reports.
      this.#coordinator = undefined
    }
    if (!this.#mustRejoin && !this.#isClosed) this.#scheduleHeartbeat()
  }

  /** What an error means for this member. False when it is not one that a member mends itself. */
  #react(error: number): boolean {
    switch (error) {
      case MEMBER_ID_REQUIRED:
      case REBALANCE_IN_PROGRESS:
        break
      case ILLEGAL_GENERATION:
        this.#generation = -1
        break
      case UNKNOWN_MEMBER_ID:
        this.#memberId = ''
        this.#generation = -1
        break
      case NOT_COORDINATOR:
      case COORDINATOR_NOT_AVAILABLE:
        this.#coordinator = undefined
        return true
      case COORDINATOR_LOAD_IN_PROGRESS:
        return true
      default:
        return false
    }
    this.#mustRejoin = true
    return true
  }
}

function isCoordinatorOnTheWay(error: number): boolean {
  return [COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR].includes(error)
}

function byTopic<T extends { readonly topic: string }>(rows: readonly T[]): [string, T[]][] {
  const topics = new Map<string, T[]>()
  for (const row of rows) {
    const known = topics.get(row.topic)
    if (known === undefined) topics.set(row.topic, [row])
    else known.push(row)
  }
  return [...topics]
}
