/** Groups as clients and people see them. Nothing here changes anything. */
import type { DescribeGroupsResponse } from '../../../kafka/api/15-describe-groups.ts'
import type { ListGroupsResponse } from '../../../kafka/api/16-list-groups.ts'
import { GROUP_ID_NOT_FOUND, NONE } from '../../../kafka/wire/errors.ts'
import { EMPTY_BYTES } from '../../../kafka/wire/reader.ts'
import type { ClassicGroup } from './classic-group.ts'
import { type AssignedTopic, assignedTopics } from './consumer-protocol.ts'
import type { Group, Groups } from './groups.ts'
import type { GroupOffsets } from './offsets.ts'

export type DescribedGroup = DescribeGroupsResponse['groups'][number]
export type ListedGroup = ListGroupsResponse['groups'][number]

export function describeError(groupId: string, errorCode: number): DescribedGroup {
  return {
    errorCode,
    errorMessage: null,
    groupId,
    groupState: '',
    protocolType: '',
    protocolData: '',
    members: [],
  }
}

/** KIP-1043: a group that does not exist is an error. Handlers of old versions leave it out. */
export function describe(groups: Groups, groupId: string): DescribedGroup {
  const group = groups.get(groupId)
  if (group === undefined) {
    return {
      ...describeError(groupId, GROUP_ID_NOT_FOUND),
      errorMessage: `Group ${groupId} not found.`,
      groupState: 'Dead',
    }
  }
  const protocol = group.state === 'Stable' ? group.protocol : undefined
  return {
    errorCode: NONE,
    errorMessage: null,
    groupId,
    groupState: group.state,
    protocolType: group.protocolType ?? '',
    protocolData: protocol ?? '',
    members: [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: protocol === undefined ? EMPTY_BYTES : member.metadata(protocol),
      memberAssignment: member.assignment,
    })),
  }
}

/** Filters compare without regard to case; an empty one lets all pass. */
export class GroupFilter {
  readonly #states: ReadonlySet<string>
  readonly #kinds: ReadonlySet<string>

  constructor(states: readonly string[], kinds: readonly string[]) {
    this.#states = new Set(states.map((state) => state.trim().toLowerCase()))
    this.#kinds = new Set(kinds.map((kind) => kind.trim().toLowerCase()))
  }

  passes(group: Group): boolean {
    const hasState = this.#states.size === 0 || this.#states.has(group.state.toLowerCase())
    return hasState && (this.#kinds.size === 0 || this.#kinds.has(group.kind))
  }
}

export function list(group: Group): ListedGroup {
  return {
    groupId: group.groupId,
    protocolType: group.protocolType ?? '',
    groupState: group.state,
    groupType: group.kind,
  }
}

export interface MemberSnapshot {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** Null when the members speak another language than consumers do. */
  readonly assignment: readonly AssignedTopic[] | null
}

export interface OffsetSnapshot {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string
  readonly committedAtMs: number
}

export interface GroupSnapshot {
  readonly groupId: string
  readonly kind: string
  readonly state: string
  readonly protocolType: string
  readonly protocol: string
  readonly generation: number
  readonly leaderId: string | null
  /** Of `__consumer_offsets`. */
  readonly coordinatorPartition: number
  readonly members: readonly MemberSnapshot[]
  readonly offsets: readonly OffsetSnapshot[]
}

/** What metrics read of a group: nothing is copied. */
export interface GroupFigures {
  readonly groupId: string
  readonly kind: string
  readonly state: string
  readonly memberCount: number
  /** Members whose join waits for others. */
  readonly waitingJoins: number
  readonly offsets: GroupOffsets
}

export function figures(groups: Groups, group: Group): GroupFigures {
  return {
    groupId: group.groupId,
    kind: group.kind,
    state: group.state,
    memberCount: group.members.size,
    waitingJoins: group.awaitingJoin,
    offsets: groups.committed(group.groupId),
  }
}

export function snapshot(groups: Groups, group: ClassicGroup, partition: number): GroupSnapshot {
  const offsets: OffsetSnapshot[] = []
  for (const [topic, partitions] of groups.committed(group.groupId)) {
    for (const [index, committed] of partitions) {
      offsets.push({
        topic,
        partition: index,
        offset: committed.offset,
        leaderEpoch: committed.leaderEpoch,
        metadata: committed.metadata,
        committedAtMs: committed.commitTimestampMs,
      })
    }
  }
  return {
    groupId: group.groupId,
    kind: group.kind,
    state: group.state,
    protocolType: group.protocolType ?? '',
    protocol: group.protocol ?? '',
    generation: group.generation,
    leaderId: group.leaderId ?? null,
    coordinatorPartition: partition,
    members: [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      assignment: group.usesConsumerProtocol ? (assignedTopics(member.assignment) ?? null) : null,
    })),
    offsets,
  }
}
