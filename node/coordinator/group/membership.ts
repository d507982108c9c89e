/**
 * What members of a classic group send between joins: SyncGroup, Heartbeat, LeaveGroup, and what
 * an OffsetCommit has to do with membership.
 */
import { assert } from '../../../base/assert.ts'
import type { HeartbeatRequest } from '../../../kafka/api/12-heartbeat.ts'
import type { LeaveGroupRequest } from '../../../kafka/api/13-leave-group.ts'
import type { SyncGroupRequest, SyncGroupResponse } from '../../../kafka/api/14-sync-group.ts'
import {
  ILLEGAL_GENERATION,
  INCONSISTENT_GROUP_PROTOCOL,
  NONE,
  REBALANCE_IN_PROGRESS,
  UNKNOWN_MEMBER_ID,
} from '../../../kafka/wire/errors.ts'
import { type Change, UNCHANGED } from '../decision.ts'
import type { ClassicGroup } from './classic-group.ts'
import { type Rebalance, syncError, synced } from './rebalance.ts'
import type { GroupRecord } from './records.ts'

type GroupChange = Change<GroupRecord>

/** Who asks, as far as a group checks it. */
export interface MemberClaim {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly generationId: number
}

export interface Leaver {
  readonly memberId: string
  readonly groupInstanceId: string | null
}

export class Membership {
  readonly #rebalance: Rebalance

  constructor(rebalance: Rebalance) {
    this.#rebalance = rebalance
  }

  /** `reply` is called now, or when the leader's assignment is kept. */
  sync(
    group: ClassicGroup,
    request: SyncGroupRequest,
    reply: (response: SyncGroupResponse) => void,
  ): GroupChange {
    const error = checkSync(group, request)
    if (error !== NONE) {
      reply(syncError(error))
      return UNCHANGED
    }
    const member = group.members.get(request.memberId)!
    this.#rebalance.noteSync(group, member.memberId)
    if (group.state === 'Stable') {
      reply(synced(group, member))
      return UNCHANGED
    }
    assert(group.state === 'CompletingRebalance', 'a sync is due')
    // A client that asks again has given up on its first request.
    member.answerSync(syncError(REBALANCE_IN_PROGRESS))
    member.syncReply = reply
    if (!group.isLeader(member.memberId)) return UNCHANGED
    const assignments = new Map<string, Buffer>()
    for (const { memberId, assignment } of request.assignments) {
      assignments.set(memberId, Buffer.from(assignment))
    }
    return this.#rebalance.keepAssignments(group, assignments)
  }

  heartbeat(group: ClassicGroup, request: HeartbeatRequest): number {
    const error = checkClaim(group, request)
    if (error !== NONE) return error
    this.#rebalance.resetSession(group.members.get(request.memberId)!)
    return group.state === 'PreparingRebalance' ? REBALANCE_IN_PROGRESS : NONE
  }

  /** The error of each, and what follows when somebody has gone. */
  leave(
    group: ClassicGroup,
    leavers: LeaveGroupRequest['members'],
  ): { errors: number[]; change: GroupChange } {
    const errors = leavers.map((leaver) => this.#leave(group, leaver))
    if (!errors.includes(NONE)) return { errors, change: UNCHANGED }
    const change =
      group.state === 'PreparingRebalance'
        ? this.#rebalance.completeJoinPhase(group)
        : group.state === 'Empty'
          ? UNCHANGED
          : this.#rebalance.prepare(group, 'member-left')
    return { errors, change }
  }

  #leave(group: ClassicGroup, { memberId, groupInstanceId }: Leaver): number {
    // An administrator removes a static member by its instance alone.
    if (memberId === '') {
      const holder = groupInstanceId === null ? undefined : group.instanceMember(groupInstanceId)
      if (holder === undefined) return UNKNOWN_MEMBER_ID
      this.#rebalance.takeOut(group, group.members.get(holder)!)
      return NONE
    }
    if (group.pendingJoin.has(memberId)) {
      this.#rebalance.remove(group, memberId)
      return NONE
    }
    const error = group.checkMember(memberId, groupInstanceId)
    if (error === NONE) this.#rebalance.takeOut(group, group.members.get(memberId)!)
    return error
  }

  /** May this member (or, of an empty group, anybody) commit? A commit is a sign of life. */
  checkCommit(group: ClassicGroup, claim: MemberClaim): number {
    if (claim.generationId < 0 && group.state === 'Empty') return NONE
    const isMember =
      claim.generationId >= 0 || claim.memberId !== '' || claim.groupInstanceId !== null
    if (!isMember) return UNKNOWN_MEMBER_ID
    const error = checkClaim(group, claim)
    if (error !== NONE) return error
    // It knows the generation from its join, and commits before it has its assignment.
    if (group.state === 'CompletingRebalance') return REBALANCE_IN_PROGRESS
    this.#rebalance.resetSession(group.members.get(claim.memberId)!)
    return NONE
  }
}

function checkClaim(group: ClassicGroup, claim: MemberClaim): number {
  const error = group.checkMember(claim.memberId, claim.groupInstanceId)
  if (error !== NONE) return error
  return claim.generationId === group.generation ? NONE : ILLEGAL_GENERATION
}

function checkSync(group: ClassicGroup, request: SyncGroupRequest): number {
  const error = checkClaim(group, request)
  if (error !== NONE) return error
  const { protocolType, protocolName } = request
  const isOther = (given: string | null, own: string | undefined) =>
    given !== null && own !== undefined && given !== own
  if (isOther(protocolType, group.protocolType) || isOther(protocolName, group.protocol)) {
    return INCONSISTENT_GROUP_PROTOCOL
  }
  return group.state === 'PreparingRebalance' ? REBALANCE_IN_PROGRESS : NONE
}
