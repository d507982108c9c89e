/**
 * The state of one shard: its groups, of whatever kind, and their committed offsets. It hands each
 * request to the rules of the group's kind.
 *
 * Invariant: whoever has committed offsets has a group; one that only commits is an empty classic
 * group without a protocol.
 */

import { assert } from '../../../base/assert.ts'
import type { JoinGroupRequest } from '../../../kafka/api/11-join-group.ts'
import type { HeartbeatRequest } from '../../../kafka/api/12-heartbeat.ts'
import type { LeaveGroupRequest } from '../../../kafka/api/13-leave-group.ts'
import type { SyncGroupRequest, SyncGroupResponse } from '../../../kafka/api/14-sync-group.ts'
import {
  GROUP_ID_NOT_FOUND,
  ILLEGAL_GENERATION,
  NON_EMPTY_GROUP,
  NONE,
  UNKNOWN_MEMBER_ID,
} from '../../../kafka/wire/errors.ts'
import { answer, type Change, type Decision, UNCHANGED } from '../decision.ts'
import type { ShardPort, StateMachine } from '../shard.ts'
import { Deadline } from '../timers.ts'
import { ClassicGroup } from './classic-group.ts'
import { Join, type JoinReply } from './join.ts'
import { type MemberClaim, Membership } from './membership.ts'
import { type CommitTopic, OffsetRules, type PartitionError } from './offset-rules.ts'
import { type GroupOffsets, Offsets } from './offsets.ts'
import type { Client, GroupParts } from './options.ts'
import { joinError, Rebalance, syncError } from './rebalance.ts'
import type { GroupMetadataRecord, GroupRecord } from './records.ts'

/** Every kind of group has a `kind`; those of the newer protocols will join here. */
export type Group = ClassicGroup

type GroupChange = Change<GroupRecord>

/** OffsetCommit 9 knows the error for a group that does not exist. */
const NOT_FOUND_SINCE = 9

export interface CommitRequest extends MemberClaim {
  readonly groupId: string
  readonly retentionTimeMs: number
}

export class Groups implements StateMachine<GroupRecord> {
  readonly offsets = new Offsets()
  readonly #groups = new Map<string, Group>()
  readonly #parts: GroupParts
  readonly #port: ShardPort<GroupRecord>
  readonly #rebalance: Rebalance
  readonly #join: Join
  readonly #membership: Membership
  readonly #offsetRules: OffsetRules

  constructor(parts: GroupParts, port: ShardPort<GroupRecord>) {
    this.#parts = parts
    this.#port = port
    this.#rebalance = new Rebalance(parts, port)
    this.#join = new Join(parts, this.#rebalance)
    this.#membership = new Membership(this.#rebalance)
    this.#offsetRules = new OffsetRules(parts, this.offsets)
  }

  get(groupId: string): Group | undefined {
    return this.#groups.get(groupId)
  }

  all(): IterableIterator<Group> {
    return this.#groups.values()
  }

  replay(record: GroupRecord): void {
    if (record.type === 'group-metadata') {
      this.#replayGroup(record)
      return
    }
    if (record.value !== null) this.#getOrMake(record.group)
    this.offsets.replay(record)
    assert(record.value === null || this.#groups.has(record.group), 'who commits has a group')
  }

  #replayGroup({ group: groupId, value }: GroupMetadataRecord): void {
    const old = this.#groups.get(groupId)
    if (old !== undefined) this.#rebalance.forget(old)
    if (value === null) {
      assert(old === undefined || old.awaitingJoin === 0, 'nobody waits in a group that goes')
      this.#groups.delete(groupId)
      return
    }
    const group = ClassicGroup.fromRecord(groupId, value, (made, options) =>
      this.#rebalance.makeMember(made, options),
    )
    this.#groups.set(groupId, group)
  }

  activate(): void {
    assert(this.#port.timers.size === 0, 'no deadline runs while records are replayed')
    for (const group of this.#groups.values()) this.#rebalance.activate(group)
    const everyMs = this.#parts.options.offsetsRetentionCheckMs
    const sweep = new Deadline(() => {
      this.#port.timers.set(sweep, everyMs)
      this.#port.apply(this.expire())
    })
    this.#port.timers.set(sweep, everyMs)
  }

  deactivate(error: number): void {
    for (const group of this.#groups.values()) {
      for (const member of group.members.values()) {
        group.answerJoin(member, joinError(member.memberId, error))
        member.answerSync(syncError(error))
      }
    }
  }

  /** `reply` is called now or later, exactly once. */
  join(request: JoinGroupRequest, client: Client, reply: JoinReply): GroupChange {
    const { groupId, memberId } = request
    const found = this.#groups.get(groupId)
    if (found === undefined && memberId !== '') {
      reply(joinError(memberId, UNKNOWN_MEMBER_ID))
      return UNCHANGED
    }
    const group = this.#getOrMake(groupId)
    assert(group.groupId === groupId)
    const change = this.#join.join(group, request, client, reply)
    const isUnused = group.members.size === 0 && group.pendingJoin.size === 0
    if (found === undefined && isUnused) this.#groups.delete(groupId)
    return change
  }

  sync(request: SyncGroupRequest, reply: (response: SyncGroupResponse) => void): GroupChange {
    const group = this.#groups.get(request.groupId)
    if (group !== undefined) return this.#membership.sync(group, request, reply)
    reply(syncError(UNKNOWN_MEMBER_ID))
    return UNCHANGED
  }

  /** The error of the answer. */
  heartbeat(request: HeartbeatRequest): number {
    const group = this.#groups.get(request.groupId)
    return group === undefined ? UNKNOWN_MEMBER_ID : this.#membership.heartbeat(group, request)
  }

  /** The error of each who leaves. */
  leave(groupId: string, leavers: LeaveGroupRequest['members']): Decision<number[], GroupRecord> {
    const group = this.#groups.get(groupId)
    if (group === undefined) return answer(leavers.map(() => UNKNOWN_MEMBER_ID))
    const { errors, change } = this.#membership.leave(group, leavers)
    return { ...change, response: errors }
  }

  /** One error for all, or those of each topic's partitions. */
  commit(
    request: CommitRequest,
    topics: readonly CommitTopic[],
    apiVersion: number,
  ): Decision<number | PartitionError[][], GroupRecord> {
    const { groupId, retentionTimeMs } = request
    const error = this.#checkCommit(this.#groups.get(groupId), request, apiVersion)
    if (error !== NONE) return answer(error)
    return this.#offsetRules.commit(groupId, topics, retentionTimeMs)
  }

  #checkCommit(group: Group | undefined, claim: MemberClaim, apiVersion: number): number {
    if (group !== undefined) return this.#membership.checkCommit(group, claim)
    // Replay will make a group for whoever commits without being in one.
    if (claim.generationId < 0) return NONE
    return apiVersion >= NOT_FOUND_SINCE ? GROUP_ID_NOT_FOUND : ILLEGAL_GENERATION
  }

  /** Empty for a group that does not exist. */
  committed(groupId: string): GroupOffsets {
    return this.offsets.of(groupId)
  }

  /** One error for all, or those of each topic's partitions. */
  deleteOffsets(
    groupId: string,
    topics: readonly { name: string; partitions: readonly number[] }[],
  ): Decision<number | PartitionError[][], GroupRecord> {
    const group = this.#groups.get(groupId)
    if (group === undefined) return answer(GROUP_ID_NOT_FOUND)
    if (group.state !== 'Empty' && !group.usesConsumerProtocol) return answer(NON_EMPTY_GROUP)
    return this.#offsetRules.delete(group, topics)
  }

  deleteGroup(groupId: string): Decision<number, GroupRecord> {
    const group = this.#groups.get(groupId)
    if (group === undefined) return answer(GROUP_ID_NOT_FOUND)
    if (group.state !== 'Empty') return answer(NON_EMPTY_GROUP)
    assert(group.members.size === 0, 'an empty group has no members')
    const records = this.#offsetRules.deleteAll(groupId)
    records.push({ type: 'group-metadata', group: groupId, value: null })
    return { records, response: NONE }
  }

  deleteTopics(topics: readonly { name: string; topicId: string }[]): GroupChange {
    return { records: this.#offsetRules.deleteTopics(topics), response: undefined }
  }

  /** Expired offsets, and the empty groups that have none left. */
  expire(): GroupChange {
    const records: GroupRecord[] = []
    for (const group of this.#groups.values()) {
      const expired = this.#offsetRules.expire(group)
      for (const record of expired.records) records.push(record)
      if (expired.isAll && group.state === 'Empty' && group.pendingJoin.size === 0) {
        records.push({ type: 'group-metadata', group: group.groupId, value: null })
      }
    }
    return { records, response: undefined }
  }

  #getOrMake(groupId: string): Group {
    let group = this.#groups.get(groupId)
    if (group === undefined) {
      group = new ClassicGroup(groupId, this.#parts.clock.nowMs())
      this.#groups.set(groupId, group)
    }
    return group
  }
}
