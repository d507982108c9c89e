/**
 * A member of a consumer group by the classic protocol, with the `range` assignor: joins, takes
 * its share, heartbeats, commits, and joins again when the group changes. A coordinator that moves
 * or fails is looked for again; the member keeps its id, so that the group need not change.
 */
import type { Timer } from '../../base/clock.ts'
import { offsetCommit } from '../api/08-offset-commit.ts'
import { joinGroup } from '../api/11-join-group.ts'
import { heartbeat } from '../api/12-heartbeat.ts'
import { leaveGroup } from '../api/13-leave-group.ts'
import { syncGroup } from '../api/14-sync-group.ts'
import {
  COORDINATOR_NOT_AVAILABLE,
  ILLEGAL_GENERATION,
  MEMBER_ID_REQUIRED,
  NOT_COORDINATOR,
  REBALANCE_IN_PROGRESS,
  UNKNOWN_MEMBER_ID,
} from '../wire/errors.ts'
import { type Cluster, check, KafkaError } from './cluster.ts'
import { ClientError } from './connection.ts'
import { CoordinatorLink, fetchCommitted } from './coordinator.ts'
import {
  type Assigned,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  rangeAssign,
} from './range-assignor.ts'
import { isTransient, persist } from './retry.ts'

export interface CommittedPosition {
  readonly topic: string
  readonly partition: number
  /** Undefined: nothing was committed. */
  readonly offset: number | undefined
  /** The leader epoch of what was read before it (KIP-320); -1 unknown. */
  readonly epoch: number
}

type Commit = Omit<CommittedPosition, 'offset' | 'epoch'> & {
  readonly offset: number
  readonly epoch?: number
}

export interface GroupOptions {
  readonly group: string
  readonly topics: readonly string[]
  readonly sessionTimeoutMs?: number
  readonly heartbeatMs?: number
  /** How long a coordinator may be missing before that is an error. Default: the client's timeout. */
  readonly patienceMs?: number
  /** Of a static member (KIP-345): it does not leave, and comes back to its share after a restart. */
  readonly instanceId?: string
}

const RETRY_MS = 50
const LEAVE_TIMEOUT_MS = 1000
const HEARTBEAT_TIMEOUT_MS_MIN = 1000
const REBALANCE_TIMEOUT_MS = 60_000
/** Version of the API that names topics by name; later ones need ids. */
const BY_NAME = 9
/** LeaveGroup: from here on for many members at once. */
const MANY_MEMBERS_SINCE = 3

export class GroupMember {
  readonly #cluster: Cluster
  readonly #options: Required<Omit<GroupOptions, 'instanceId'>>
  readonly #instanceId: string | null
  readonly #coordinator: CoordinatorLink
  #memberId = ''
  #generation = -1
  #mustRejoin = true
  #heartbeat: Timer | undefined
  #isClosed = false

  constructor(cluster: Cluster, options: GroupOptions) {
    this.#cluster = cluster
    const { instanceId = null, ...given } = options
    this.#instanceId = instanceId
    this.#options = {
      sessionTimeoutMs: 45_000,
      heartbeatMs: 3000,
      patienceMs: cluster.options.timeoutMs,
      ...given,
    }
    this.#coordinator = new CoordinatorLink(cluster, options.group)
  }

  /** True when `join` has to be called before reading on. */
  get mustRejoin(): boolean {
    return this.#mustRejoin
  }

  /** As the coordinator gave them; '' and -1 before the first join. */
  get identity(): { readonly memberId: string; readonly generation: number } {
    return { memberId: this.#memberId, generation: this.#generation }
  }

  /** Joins and returns this member's share. Throws KafkaError and ClientError. */
  async join(): Promise<CommittedPosition[]> {
    for (;;) {
      const assigned = await persist(this.#cluster, this.#deadlineMs(), () => this.#joinOnce())
      if (assigned !== undefined) {
        this.#mustRejoin = false
        this.#scheduleHeartbeat(this.#options.heartbeatMs)
        return persist(this.#cluster, this.#deadlineMs(), () => this.#committed(assigned))
      }
      await this.#cluster.pause(RETRY_MS)
    }
  }

  #deadlineMs(): number {
    return this.#cluster.clock.monotonicMs() + this.#options.patienceMs
  }

  /**
   * Resolves when all is committed, or `mustRejoin` is set because the group has changed. Throws
   * KafkaError and ClientError; a coordinator that moves is waited for first.
   */
  async commit(positions: readonly Commit[]): Promise<void> {
    if (positions.length === 0 || this.#generation === -1) return
    await persist(this.#cluster, this.#deadlineMs(), async () => {
      const errors = await this.#commitOnce(positions)
      for (const error of errors) this.#mend(error, `commit of group ${this.#options.group}`)
    })
  }

  /** The error codes of partitions that were not committed. */
  async #commitOnce(positions: readonly Commit[]): Promise<number[]> {
    const answer = await this.#coordinator.ask(
      offsetCommit,
      () => ({
        groupId: this.#options.group,
        generationIdOrMemberEpoch: this.#generation,
        memberId: this.#memberId,
        groupInstanceId: this.#instanceId,
        topics: byTopic(positions).map(([name, row]) => ({
          name,
          partitions: row.map(({ partition, offset, epoch = -1 }) => ({
            partitionIndex: partition,
            committedOffset: offset,
            committedLeaderEpoch: epoch,
            committedMetadata: '',
          })),
        })),
      }),
      { timeoutMs: this.#cluster.options.timeoutMs, newestVersion: BY_NAME },
    )
    return answer.topics.flatMap(({ partitions }) =>
      partitions.map(({ errorCode }) => errorCode).filter((errorCode) => errorCode !== 0),
    )
  }

  /** Leaves, so that the others need not wait for the session to end; a static member stays. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#heartbeat?.cancel()
    const connection = this.#coordinator.openConnection
    if (this.#memberId === '' || connection === undefined || this.#instanceId !== null) return
    const isMany = connection.version(leaveGroup as never) >= MANY_MEMBERS_SINCE
    const body = {
      groupId: this.#options.group,
      ...(isMany
        ? { members: [{ memberId: this.#memberId, groupInstanceId: null }] }
        : { memberId: this.#memberId }),
    }
    try {
      await connection.request(leaveGroup, body, LEAVE_TIMEOUT_MS)
    } catch (error) {
      // The session then ends by itself.
      if (!(error instanceof ClientError)) throw error
    }
  }

  async #joinOnce(): Promise<Assigned[] | undefined> {
    const answer = await this.#coordinator.ask(
      joinGroup,
      () => ({
        groupId: this.#options.group,
        sessionTimeoutMs: this.#options.sessionTimeoutMs,
        rebalanceTimeoutMs: REBALANCE_TIMEOUT_MS,
        memberId: this.#memberId,
        groupInstanceId: this.#instanceId,
        protocolType: 'consumer',
        protocols: [{ name: 'range', metadata: encodeSubscription(this.#options.topics) }],
        reason: null,
      }),
      { timeoutMs: REBALANCE_TIMEOUT_MS + this.#cluster.options.timeoutMs },
    )
    if (answer.errorCode === MEMBER_ID_REQUIRED) this.#memberId = answer.memberId
    if (answer.errorCode !== 0) {
      this.#mend(answer.errorCode, `group ${this.#options.group}`)
      return undefined
    }
    this.#memberId = answer.memberId
    this.#generation = answer.generationId
    const isLeader = answer.leader === answer.memberId && !answer.skipAssignment
    return this.#sync(isLeader ? await this.#assignments(answer.members) : [])
  }

  async #sync(
    assignments: { memberId: string; assignment: Buffer }[],
  ): Promise<Assigned[] | undefined> {
    const answer = await this.#coordinator.ask(
      syncGroup,
      () => ({
        groupId: this.#options.group,
        generationId: this.#generation,
        memberId: this.#memberId,
        groupInstanceId: this.#instanceId,
        protocolType: 'consumer',
        protocolName: 'range',
        assignments,
      }),
      { timeoutMs: REBALANCE_TIMEOUT_MS + this.#cluster.options.timeoutMs },
    )
    if (answer.errorCode === 0) return decodeAssignment(answer.assignment)
    this.#mend(answer.errorCode, `group ${this.#options.group}`)
    return undefined
  }

  async #assignments(members: readonly { memberId: string; metadata: Buffer }[]) {
    const subscriptions = members.map(({ memberId, metadata }) => ({
      memberId,
      topics: decodeSubscription(metadata),
    }))
    const counts = new Map<string, number>()
    for (const topic of new Set(subscriptions.flatMap(({ topics }) => topics))) {
      counts.set(topic, (await this.#cluster.refresh(topic)).partitions.length)
    }
    return rangeAssign(subscriptions, counts).map(({ memberId, assigned }) => ({
      memberId,
      assignment: encodeAssignment(assigned),
    }))
  }

  async #committed(assigned: Assigned[]) {
    const connection = await this.#coordinator.connection()
    const topics = byTopic(assigned).map(([name, row]) => ({
      name,
      partitionIndexes: row.map(({ partition }) => partition),
    }))
    const committed = new Map<string, { offset: number; epoch: number }>()
    try {
      const found = await fetchCommitted(connection, this.#options.group, topics, {
        requireStable: true,
        timeoutMs: this.#cluster.options.timeoutMs,
      })
      for (const { name, partitions } of found) {
        for (const partition of partitions) {
          const { partitionIndex, committedOffset: offset, committedLeaderEpoch: epoch } = partition
          check(partition.errorCode, `committed offset of ${name}-${partitionIndex}`)
          if (offset >= 0) committed.set(`${name}/${partitionIndex}`, { offset, epoch })
        }
      }
    } catch (error) {
      if (error instanceof KafkaError && isCoordinatorElsewhere(error.code)) {
        this.#coordinator.forget()
      }
      throw error
    }
    return assigned.map(({ topic, partition }) => {
      const { offset, epoch = -1 } = committed.get(`${topic}/${partition}`) ?? {}
      return { topic, partition, offset, epoch }
    })
  }

  #scheduleHeartbeat(delayMs: number): void {
    this.#heartbeat?.cancel()
    this.#heartbeat = this.#cluster.clock.after(delayMs, () => {
      void this.#beat()
    })
  }

  async #beat(): Promise<void> {
    if (this.#isClosed || this.#mustRejoin) return
    const { heartbeatMs, sessionTimeoutMs } = this.#options
    const generation = this.#generation
    const timeoutMs = Math.max(sessionTimeoutMs / 3, HEARTBEAT_TIMEOUT_MS_MIN)
    let delayMs = heartbeatMs
    try {
      const answer = await this.#coordinator.ask(
        heartbeat,
        () => ({
          groupId: this.#options.group,
          generationId: generation,
          memberId: this.#memberId,
          groupInstanceId: this.#instanceId,
        }),
        { timeoutMs: Math.min(timeoutMs, this.#cluster.options.timeoutMs) },
      )
      // What concerns an older generation came too late to mean anything.
      if (generation !== this.#generation) return
      this.#mend(answer.errorCode, 'heartbeat')
    } catch (error) {
      // The coordinator failed or moved: soon again. What does not pass, the next commit reports.
      if (isTransient(error)) delayMs = Math.min(RETRY_MS, heartbeatMs)
    }
    if (!this.#mustRejoin && !this.#isClosed) this.#scheduleHeartbeat(delayMs)
  }

  /**
   * What an error means for this member. Returns when it is mended by joining again, and throws
   * KafkaError otherwise: a transient one when the coordinator is elsewhere or not ready yet.
   */
  #mend(error: number, context: string): void {
    switch (error) {
      case 0:
        return
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
      default:
        if (isCoordinatorElsewhere(error)) this.#coordinator.forget()
        throw new KafkaError(error, context)
    }
    this.#mustRejoin = true
  }
}

function isCoordinatorElsewhere(error: number): boolean {
  return error === NOT_COORDINATOR || error === COORDINATOR_NOT_AVAILABLE
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
