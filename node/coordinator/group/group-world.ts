/** A group coordinator on a simulated clock, with its logs in memory: for tests and simulations. */
import { type Logger, SILENT } from '../../../base/logger.ts'
import { SimClock } from '../../../base/sim/clock.ts'
import { SimRandom } from '../../../base/sim/random.ts'
import { Scheduler } from '../../../base/sim/scheduler.ts'
import { Turn } from '../../../base/turn.ts'
import type { OffsetCommitRequest } from '../../../kafka/api/08-offset-commit.ts'
import type { JoinGroupRequest, JoinGroupResponse } from '../../../kafka/api/11-join-group.ts'
import type { SyncGroupResponse } from '../../../kafka/api/14-sync-group.ts'
import type { RequestContext } from '../../../kafka/api/define.ts'
import { ZERO_UUID } from '../../../kafka/wire/schema.ts'
import { Writer } from '../../../kafka/wire/writer.ts'
import { MemoryLog, MemoryPartition } from '../memory-log.ts'
import { GroupCoordinator } from './group-coordinator.ts'
import { DEFAULT_GROUP_OPTIONS, type GroupOptions } from './options.ts'

/** What consumers announce: the topics that they read. */
export function subscription(...topics: string[]): Buffer {
  const writer = new Writer()
  writer.int16(0)
  writer.int32(topics.length)
  for (const topic of topics) writer.string(topic)
  writer.bytes(Buffer.alloc(0))
  return writer.finish()
}

export function context(apiVersion: number, clientId = 'client'): RequestContext {
  return {
    clientId,
    clientHost: '10.0.0.1',
    listener: 'PLAINTEXT',
    principal: 'User:ANONYMOUS',
    apiKey: 0,
    apiVersion,
    connectionId: 1,
    nowMs: () => 0,
  }
}

export interface JoinOptions extends Partial<JoinGroupRequest> {
  readonly apiVersion?: number
}

export class GroupWorld {
  readonly scheduler = new Scheduler()
  readonly clock = new SimClock(this.scheduler)
  readonly topics = new Map<string, { id: string }>()
  readonly coordinator: GroupCoordinator
  readonly partitions: MemoryPartition[]
  readonly logs: MemoryLog[]
  #epoch = 0

  constructor(
    options: Partial<GroupOptions> & {
      partitionCount?: number
      seed?: string
      logger?: Logger
    } = {},
  ) {
    const { partitionCount = 1, seed = 'groups', logger = SILENT, ...rest } = options
    this.partitions = Array.from({ length: partitionCount }, () => new MemoryPartition())
    this.logs = []
    for (const name of ['orders', 'clicks']) this.addTopic(name)
    this.coordinator = new GroupCoordinator({
      clock: this.clock,
      turn: new Turn(this.clock),
      random: new SimRandom(seed),
      logger,
      options: { ...DEFAULT_GROUP_OPTIONS, initialRebalanceDelayMs: 0, ...rest },
      topics: { topic: (name) => this.topics.get(name) },
      offsetsTopic: {
        partitionCount: () => this.partitions.length,
        create: async () => {
          this.partitions.push(new MemoryPartition())
        },
        leader: () => ({ nodeId: 1, host: 'localhost', port: 9092 }),
      },
    })
  }

  addTopic(name: string): void {
    const id = Buffer.from(`${name}-${this.topics.size}`.padEnd(16).slice(0, 16))
    this.topics.set(name, { id: id.toString('base64url') })
  }

  /** Leads all partitions anew: what was not replicated is gone. */
  async lead(): Promise<void> {
    this.#epoch++
    for (const [index, partition] of this.partitions.entries()) {
      this.logs[index]?.depose()
      this.coordinator.onResignation(index)
      partition.truncateToCommitted()
      const log = new MemoryLog(partition, this.#epoch, this.clock)
      this.logs[index] = log
      this.coordinator.onLeadership(index, log)
    }
    await this.scheduler.runUntil(() => this.coordinator.shardCounts().loading === 0, 10_000)
  }

  complete<T>(promise: Promise<T>, limitMs?: number): Promise<T> {
    return this.scheduler.complete(promise, limitMs)
  }

  join(options: JoinOptions = {}): Promise<JoinGroupResponse> {
    const { apiVersion = 9, ...request } = options
    return this.coordinator.joinGroup(context(apiVersion), {
      groupId: 'group',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 30_000,
      memberId: '',
      groupInstanceId: null,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: subscription('orders') }],
      reason: null,
      ...request,
    })
  }

  /** A dynamic member in both steps: an id first, then the join. Resolves when it has joined. */
  async enter(options: JoinOptions = {}): Promise<JoinGroupResponse> {
    const { memberId, errorCode } = await this.join(options)
    if (errorCode !== 79) throw new Error(`an id was expected, not error ${errorCode}`)
    return this.join({ ...options, memberId })
  }

  sync(
    joined: Pick<JoinGroupResponse, 'memberId' | 'generationId'> & { instanceId?: string },
    assignments: Record<string, string> = {},
  ): Promise<SyncGroupResponse> {
    return this.coordinator.syncGroup(context(5), {
      groupId: 'group',
      generationId: joined.generationId ?? -1,
      memberId: joined.memberId,
      groupInstanceId: joined.instanceId ?? null,
      protocolType: null,
      protocolName: null,
      assignments: Object.entries(assignments).map(([memberId, text]) => ({
        memberId,
        assignment: Buffer.from(text),
      })),
    })
  }

  /** All members of a generation sync, the leader with an assignment for each. */
  async syncAll(joined: readonly JoinGroupResponse[]): Promise<SyncGroupResponse[]> {
    const assignments: Record<string, string> = {}
    for (const { memberId } of joined) assignments[memberId] = `work of ${memberId}`
    const syncs = joined.map((each) =>
      this.sync(each, each.leader === each.memberId ? assignments : {}),
    )
    return this.complete(Promise.all(syncs))
  }

  /** A stable group of new members. */
  async stable(count: number, options: JoinOptions = {}): Promise<JoinGroupResponse[]> {
    const entering = Array.from({ length: count }, () => this.enter(options))
    const joined = await this.complete(Promise.all(entering))
    await this.syncAll(joined)
    return joined
  }

  async heartbeat(
    { memberId, generationId = -1 }: Pick<JoinGroupResponse, 'memberId' | 'generationId'>,
    groupInstanceId: string | null = null,
  ): Promise<number> {
    const request = { groupId: 'group', generationId, memberId, groupInstanceId }
    return (await this.coordinator.heartbeat(context(4), request)).errorCode
  }

  async leave(...members: { memberId: string; groupInstanceId?: string | null | undefined }[]) {
    return this.coordinator.leaveGroup(context(5), {
      groupId: 'group',
      memberId: '',
      members: members.map(({ memberId, groupInstanceId = null }) => ({
        memberId,
        groupInstanceId,
        reason: null,
      })),
    })
  }

  /** The error of the one partition. */
  async commit(
    offset: number,
    options: Partial<OffsetCommitRequest> & {
      topic?: string
      partition?: number
      metadata?: string
      apiVersion?: number
    } = {},
  ): Promise<number> {
    const { topic = 'orders', partition = 0, metadata = '', apiVersion = 9, ...request } = options
    const { topics } = await this.coordinator.offsetCommit(context(apiVersion), {
      groupId: 'group',
      generationIdOrMemberEpoch: -1,
      memberId: '',
      groupInstanceId: null,
      retentionTimeMs: -1,
      topics: [
        {
          name: topic,
          topicId: this.topics.get(topic)?.id ?? ZERO_UUID,
          partitions: [
            {
              partitionIndex: partition,
              committedOffset: offset,
              committedLeaderEpoch: -1,
              committedMetadata: metadata,
            },
          ],
        },
      ],
      ...request,
    })
    return topics[0]!.partitions[0]!.errorCode
  }

  /** Offsets by 'topic/partition'; all that the group has. */
  async offsets(groupId = 'group'): Promise<Record<string, number>> {
    const { groups } = await this.coordinator.offsetFetch(context(9), {
      groupId: '',
      topics: null,
      groups: [{ groupId, memberId: null, memberEpoch: -1, topics: null }],
      requireStable: true,
    })
    const found: Record<string, number> = {}
    for (const { name, partitions } of groups![0]!.topics) {
      for (const { partitionIndex, committedOffset } of partitions) {
        found[`${name}/${partitionIndex}`] = committedOffset
      }
    }
    return found
  }

  async describe(groupId = 'group') {
    const request = { groups: [groupId], includeAuthorizedOperations: false }
    const { groups } = await this.coordinator.describeGroups(context(6), request)
    return groups[0]!
  }

  async state(groupId = 'group'): Promise<string> {
    return (await this.describe(groupId)).groupState
  }
}
