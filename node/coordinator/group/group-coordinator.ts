/**
 * The group coordinator as request handlers see it: one method per API, in the shape of its latest
 * version (handlers translate). It finds the shard of each group and puts the answers together; the
 * rules are in the shard's Groups.
 *
 * Invariant: each request is answered once; answers about durable state hold after a failover.
 */
import { assert } from '../../../base/assert.ts'
import type { Clock } from '../../../base/clock.ts'
import type { Logger } from '../../../base/logger.ts'
import type { Random } from '../../../base/random.ts'
import type { Turn } from '../../../base/turn.ts'
import type {
  OffsetCommitRequest,
  OffsetCommitResponse,
} from '../../../kafka/api/08-offset-commit.ts'
import type { OffsetFetchRequest, OffsetFetchResponse } from '../../../kafka/api/09-offset-fetch.ts'
import type {
  FindCoordinatorRequest,
  FindCoordinatorResponse,
} from '../../../kafka/api/10-find-coordinator.ts'
import type { JoinGroupRequest, JoinGroupResponse } from '../../../kafka/api/11-join-group.ts'
import type { HeartbeatRequest, HeartbeatResponse } from '../../../kafka/api/12-heartbeat.ts'
import type { LeaveGroupRequest, LeaveGroupResponse } from '../../../kafka/api/13-leave-group.ts'
import type { SyncGroupRequest, SyncGroupResponse } from '../../../kafka/api/14-sync-group.ts'
import type {
  DescribeGroupsRequest,
  DescribeGroupsResponse,
} from '../../../kafka/api/15-describe-groups.ts'
import type { ListGroupsRequest, ListGroupsResponse } from '../../../kafka/api/16-list-groups.ts'
import type {
  DeleteGroupsRequest,
  DeleteGroupsResponse,
} from '../../../kafka/api/42-delete-groups.ts'
import type {
  OffsetDeleteRequest,
  OffsetDeleteResponse,
} from '../../../kafka/api/47-offset-delete.ts'
import type { RequestContext } from '../../../kafka/api/define.ts'
import type { GroupsPort } from '../../../kafka/control.ts'
import {
  COORDINATOR_LOAD_IN_PROGRESS,
  COORDINATOR_NOT_AVAILABLE,
  INVALID_GROUP_ID,
  INVALID_SESSION_TIMEOUT,
  NONE,
  NOT_COORDINATOR,
} from '../../../kafka/wire/errors.ts'
import type { CoordinatorLog } from '../log.ts'
import { CoordinatorProbe } from '../probe.ts'
import { CoordinatorRuntime, partitionOf } from '../runtime.ts'
import type { Shard } from '../shard.ts'
import {
  describe,
  describeError,
  figures,
  type GroupFigures,
  GroupFilter,
  type GroupSnapshot,
  type ListedGroup,
  list,
  snapshot,
} from './group-reads.ts'
import { Groups } from './groups.ts'
import { type FetchedGroup, fetchOffsets, type TopicLookup } from './offset-fetch.ts'
import type { PartitionError } from './offset-rules.ts'
import type { Client, GroupOptions } from './options.ts'
import { joinError, syncError } from './rebalance.ts'
import { type GroupRecord, groupRecords } from './records.ts'

/** `__consumer_offsets`, as the metadata image has it. */
export interface OffsetsTopic {
  /** 0 while it does not exist. */
  partitionCount(): number
  /** Resolves when it exists, or can't be made now. */
  create(): Promise<void>
  /** Where the partition is led, as seen from the listener of a client. */
  leader(
    partition: number,
    listener: string,
  ): { readonly nodeId: number; readonly host: string; readonly port: number } | undefined
}

export interface GroupCoordinatorParts {
  readonly clock: Clock
  readonly turn: Turn
  readonly random: Random
  readonly logger: Logger
  readonly options: GroupOptions
  readonly topics: TopicLookup
  readonly offsetsTopic: OffsetsTopic
  /** In simulation: see `World`. */
  readonly maybe?: (name: string) => boolean
}

type GroupShard = Shard<Groups, GroupRecord>
type Coordinator = NonNullable<FindCoordinatorResponse['coordinators']>[number]

const GROUP_KEY = 0

export class GroupCoordinator implements GroupsPort {
  readonly probe = new CoordinatorProbe()
  readonly #options: GroupOptions
  readonly #topics: TopicLookup
  readonly #offsetsTopic: OffsetsTopic
  readonly #runtime: CoordinatorRuntime<Groups, GroupRecord>

  constructor(parts: GroupCoordinatorParts) {
    const { clock, turn, random, logger, options } = parts
    this.#options = options
    this.#topics = parts.topics
    this.#offsetsTopic = parts.offsetsTopic
    const groupParts = { clock, random, logger, probe: this.probe, options }
    this.#runtime = new CoordinatorRuntime<Groups, GroupRecord>({
      clock,
      turn,
      logger,
      probe: this.probe,
      codec: groupRecords,
      appendTimeoutMs: options.commitTimeoutMs,
      ...(parts.maybe && { maybe: parts.maybe }),
      makeState: (port) => new Groups(groupParts, port),
    })
  }

  /** This node leads the partition of `__consumer_offsets` from now on, in `log.leaderEpoch`. */
  onLeadership(partition: number, log: CoordinatorLog): void {
    this.#runtime.onLeadership(partition, log)
  }

  onResignation(partition: number): void {
    this.#runtime.onResignation(partition)
  }

  /** What was committed for these topics is of no use any more. */
  onTopicsDeleted(topics: readonly { name: string; topicId: string }[]): void {
    for (const shard of this.#runtime.shards()) {
      shard.defer((groups) => groups.deleteTopics(topics))
    }
  }

  close(): void {
    this.#runtime.close()
  }

  /** All groups whose coordinator is here and has loaded. */
  *snapshot(): Generator<GroupSnapshot> {
    for (const shard of this.#runtime.shards()) {
      const groups = shard.state
      if (groups === undefined) continue
      for (const group of groups.all()) yield snapshot(groups, group, shard.partition)
    }
  }

  /** The same groups, for metrics. */
  *figures(): Generator<GroupFigures> {
    for (const { state: groups } of this.#runtime.shards()) {
      if (groups === undefined) continue
      for (const group of groups.all()) yield figures(groups, group)
    }
  }

  /** Undefined: not here. */
  groupSnapshot(groupId: string): GroupSnapshot | undefined {
    const shard = this.#shardOf(groupId)
    const group = shard?.state?.get(groupId)
    return group === undefined ? undefined : snapshot(shard!.state!, group, shard!.partition)
  }

  /** Shards by state; for readiness and metrics. */
  shardCounts(): Record<'unloaded' | 'loading' | 'active' | 'failed', number> {
    const counts = { unloaded: 0, loading: 0, active: 0, failed: 0 }
    for (const shard of this.#runtime.shards()) counts[shard.phase]++
    return counts
  }

  #shardOf(groupId: string): GroupShard | undefined {
    const partitionCount = this.#offsetsTopic.partitionCount()
    if (partitionCount === 0) return undefined
    return this.#runtime.shard(partitionOf(groupId, partitionCount))
  }

  joinGroup(context: RequestContext, request: JoinGroupRequest): Promise<JoinGroupResponse> {
    const { apiVersion } = context
    return new Promise((resolve) => {
      const reply = (response: JoinGroupResponse) => resolve(shapeJoin(response, apiVersion))
      const refuse = (error: number) => reply(joinError(request.memberId, error))
      const { minSessionTimeoutMs, maxSessionTimeoutMs } = this.#options
      const { groupId, sessionTimeoutMs } = request
      if (groupId === '') return refuse(INVALID_GROUP_ID)
      if (sessionTimeoutMs < minSessionTimeoutMs || sessionTimeoutMs > maxSessionTimeoutMs) {
        return refuse(INVALID_SESSION_TIMEOUT)
      }
      const shard = this.#shardOf(groupId)
      if (shard === undefined) return refuse(NOT_COORDINATOR)
      const client = clientOf(context)
      return shard.change((groups) => groups.join(request, client, reply), refuse)
    })
  }

  syncGroup(_context: RequestContext, request: SyncGroupRequest): Promise<SyncGroupResponse> {
    return new Promise((resolve) => {
      const refuse = (error: number) => resolve(syncError(error))
      if (request.groupId === '') return refuse(INVALID_GROUP_ID)
      const shard = this.#shardOf(request.groupId)
      if (shard === undefined) return refuse(NOT_COORDINATOR)
      return shard.change((groups) => groups.sync(request, resolve), refuse)
    })
  }

  async heartbeat(_context: RequestContext, request: HeartbeatRequest): Promise<HeartbeatResponse> {
    if (request.groupId === '') return { errorCode: INVALID_GROUP_ID }
    const shard = this.#shardOf(request.groupId)
    if (shard === undefined) return { errorCode: NOT_COORDINATOR }
    // While it loads, nobody's session runs: all is well.
    if (shard.refusal === COORDINATOR_LOAD_IN_PROGRESS) return { errorCode: NONE }
    if (shard.refusal !== NONE) return { errorCode: shard.refusal }
    return { errorCode: shard.state!.heartbeat(request) }
  }

  async leaveGroup(
    _context: RequestContext,
    request: LeaveGroupRequest,
  ): Promise<LeaveGroupResponse> {
    const fail = (errorCode: number): LeaveGroupResponse => ({ errorCode, members: [] })
    const { groupId, members } = request
    if (groupId === '') return fail(INVALID_GROUP_ID)
    const shard = this.#shardOf(groupId)
    if (shard === undefined) return fail(NOT_COORDINATOR)
    const errors = await shard.perform<number[] | number>(
      (groups) => groups.leave(groupId, members),
      (error) => error,
    )
    if (typeof errors === 'number') return fail(errors)
    assert(errors.length === members.length, 'each who leaves is told')
    return {
      errorCode: NONE,
      members: members.map(({ memberId, groupInstanceId }, i) => ({
        memberId,
        groupInstanceId,
        errorCode: errors[i]!,
      })),
    }
  }

  /** Topics and partitions exist; each topic has its name and its id. */
  async offsetCommit(
    context: RequestContext,
    request: OffsetCommitRequest,
  ): Promise<OffsetCommitResponse> {
    const errors = await this.#commit(context, request)
    const topics = request.topics.map(({ name, topicId, partitions }, i) => ({
      name,
      topicId,
      partitions:
        typeof errors === 'number'
          ? partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: errors }))
          : errors[i]!,
    }))
    for (const { partitions } of topics) {
      for (const { errorCode } of partitions) this.probe.committed(errorCode)
    }
    return { topics }
  }

  #commit(context: RequestContext, request: OffsetCommitRequest) {
    const { groupId, memberId, groupInstanceId, retentionTimeMs } = request
    const shard = this.#shardOf(groupId)
    if (shard === undefined) return NOT_COORDINATOR
    const generationId = request.generationIdOrMemberEpoch
    const commit = { groupId, memberId, groupInstanceId, generationId, retentionTimeMs }
    return shard.perform<number | PartitionError[][]>(
      (groups) => groups.commit(commit, request.topics, context.apiVersion),
      (error) => error,
    )
  }

  /** Groups are in `groups`, topics have names. */
  async offsetFetch(
    _context: RequestContext,
    request: OffsetFetchRequest,
  ): Promise<OffsetFetchResponse> {
    const groups = await Promise.all(request.groups.map((group) => this.#fetch(group)))
    return { topics: [], errorCode: NONE, groups }
  }

  #fetch(
    group: Pick<OffsetFetchRequest['groups'][number], 'groupId' | 'topics'>,
  ): FetchedGroup | Promise<FetchedGroup> {
    const { groupId } = group
    const refuse = (errorCode: number): FetchedGroup => ({ groupId, topics: [], errorCode })
    const shard = this.#shardOf(groupId)
    if (shard === undefined) return refuse(NOT_COORDINATOR)
    return shard.read(
      (groups) => fetchOffsets(group, groups.committed(groupId), this.#topics),
      refuse,
    )
  }

  async describeGroups(
    _context: RequestContext,
    request: DescribeGroupsRequest,
  ): Promise<DescribeGroupsResponse> {
    return {
      groups: request.groups.map((groupId) => {
        const shard = this.#shardOf(groupId)
        const groups = shard?.state
        if (groups !== undefined) return describe(groups, groupId)
        return describeError(groupId, shard?.refusal ?? NOT_COORDINATOR)
      }),
    }
  }

  async listGroups(
    _context: RequestContext,
    request: ListGroupsRequest,
  ): Promise<ListGroupsResponse> {
    const filter = new GroupFilter(request.statesFilter, request.typesFilter)
    const groups: ListedGroup[] = []
    for (const shard of this.#runtime.shards()) {
      // A part of the list would look like all of it.
      if (shard.phase === 'loading') return { errorCode: COORDINATOR_LOAD_IN_PROGRESS, groups: [] }
      for (const group of shard.state?.all() ?? []) {
        if (filter.passes(group)) groups.push(list(group))
      }
    }
    return { errorCode: NONE, groups }
  }

  async deleteGroups(
    _context: RequestContext,
    request: DeleteGroupsRequest,
  ): Promise<DeleteGroupsResponse> {
    const results = [...new Set(request.groupsNames)].map(async (groupId) => {
      const shard = this.#shardOf(groupId)
      const errorCode =
        shard === undefined
          ? NOT_COORDINATOR
          : await shard.perform(
              (groups) => groups.deleteGroup(groupId),
              (error) => error,
            )
      return { groupId, errorCode }
    })
    return { results: await Promise.all(results) }
  }

  async offsetDelete(
    _context: RequestContext,
    request: OffsetDeleteRequest,
  ): Promise<OffsetDeleteResponse> {
    const fail = (errorCode: number): OffsetDeleteResponse => ({ errorCode, topics: [] })
    const { groupId } = request
    if (groupId === '') return fail(INVALID_GROUP_ID)
    const shard = this.#shardOf(groupId)
    if (shard === undefined) return fail(NOT_COORDINATOR)
    const topics = request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => partitionIndex),
    }))
    const errors = await shard.perform<number | PartitionError[][]>(
      (groups) => groups.deleteOffsets(groupId, topics),
      (error) => error,
    )
    if (typeof errors === 'number') return fail(errors)
    return {
      errorCode: NONE,
      topics: topics.map(({ name }, i) => ({ name, partitions: errors[i]! })),
    }
  }

  /** Keys are in `coordinatorKeys`. The topic is made when the first group asks for it. */
  async findCoordinator(
    context: RequestContext,
    request: FindCoordinatorRequest,
  ): Promise<FindCoordinatorResponse> {
    assert(request.keyType === GROUP_KEY, 'handlers refuse other kinds of coordinators')
    if (this.#offsetsTopic.partitionCount() === 0) await this.#offsetsTopic.create()
    const coordinators = request.coordinatorKeys.map((key) => this.#find(key, context.listener))
    return { errorCode: NONE, errorMessage: null, nodeId: 0, host: '', port: 0, coordinators }
  }

  #find(key: string, listener: string): Coordinator {
    const partitionCount = this.#offsetsTopic.partitionCount()
    const leader =
      partitionCount === 0
        ? undefined
        : this.#offsetsTopic.leader(partitionOf(key, partitionCount), listener)
    if (leader === undefined) {
      const errorMessage = 'Its coordinator has no leader now.'
      return {
        key,
        nodeId: -1,
        host: '',
        port: -1,
        errorCode: COORDINATOR_NOT_AVAILABLE,
        errorMessage,
      }
    }
    const { nodeId, host, port } = leader
    return { key, nodeId, host, port, errorCode: NONE, errorMessage: null }
  }
}

/** JoinGroup: the protocol's name may be null. */
const NULL_PROTOCOL_SINCE = 7

function shapeJoin(response: JoinGroupResponse, apiVersion: number): JoinGroupResponse {
  if (response.protocolName !== null || apiVersion >= NULL_PROTOCOL_SINCE) return response
  return { ...response, protocolName: '' }
}

/** Kafka shows addresses as Java prints them. */
function clientOf({ clientId, clientHost, apiVersion }: RequestContext): Client {
  return {
    clientId,
    clientHost: clientHost.startsWith('/') ? clientHost : `/${clientHost}`,
    apiVersion,
  }
}
