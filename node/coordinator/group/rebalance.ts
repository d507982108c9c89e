/**
 * How a classic group goes from one generation to the next: all join, the leader assigns, all
 * sync. Besides members that join and leave, deadlines drive it: of the first rebalance, of the
 * join and the sync phase, and of each member's session.
 *
 * Invariant: a member that waits for a join or a sync is answered exactly once, whatever happens.
 */
import { assert } from '../../../base/assert.ts'
import type { JoinGroupResponse } from '../../../kafka/api/11-join-group.ts'
import type { SyncGroupResponse } from '../../../kafka/api/14-sync-group.ts'
import { NONE, REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID } from '../../../kafka/wire/errors.ts'
import { EMPTY_BYTES } from '../../../kafka/wire/reader.ts'
import { type Change, UNCHANGED } from '../decision.ts'
import type { RebalanceReason } from '../probe.ts'
import type { ShardPort } from '../shard.ts'
import { Deadline } from '../timers.ts'
import { type ClassicGroup, ClassicMember, type MemberOptions } from './classic-group.ts'
import type { GroupParts } from './options.ts'
import type { GroupRecord } from './records.ts'

type GroupChange = Change<GroupRecord>

/** A join phase that nobody came to is not repeated sooner, whatever timeouts members have. */
const JOIN_AGAIN_MIN_MS = 500

export class Rebalance {
  readonly #parts: GroupParts
  readonly #port: ShardPort<GroupRecord>

  constructor(parts: GroupParts, port: ShardPort<GroupRecord>) {
    this.#parts = parts
    this.#port = port
  }

  makeMember(group: ClassicGroup, options: MemberOptions): ClassicMember {
    const expire = () => this.#port.apply(this.#expireSession(group, options.memberId))
    return new ClassicMember(options, new Deadline(expire))
  }

  /** The member is alive: its session begins again. */
  resetSession(member: ClassicMember, timeoutMs = member.sessionTimeoutMs): void {
    this.#port.timers.set(member.session, timeoutMs)
  }

  /** The member's id is no longer in use. */
  stopSession(member: ClassicMember): void {
    this.#port.timers.cancel(member.session)
  }

  /** A member id was given out (KIP-394): its owner has one session's time to join with it. */
  expectMember(group: ClassicGroup, memberId: string, sessionTimeoutMs: number): void {
    assert(!group.members.has(memberId), 'a new id is not in use')
    const deadline = new Deadline(() => {
      group.dropPendingJoin(memberId)
      this.#port.apply(this.#completeIfAllJoined(group))
    })
    group.pendingJoin.set(memberId, deadline)
    this.#port.timers.set(deadline, sessionTimeoutMs)
  }

  /** Takes a member, or an id that was given out, from the group. Its requests were answered. */
  remove(group: ClassicGroup, memberId: string): void {
    const member = group.members.get(memberId)
    assert(member === undefined || !member.awaitsJoin, 'a join is answered before its member goes')
    member?.answerSync(syncError(UNKNOWN_MEMBER_ID))
    if (member !== undefined) this.#port.timers.cancel(member.session)
    const pending = group.pendingJoin.get(memberId)
    if (pending !== undefined) this.#port.timers.cancel(pending)
    group.remove(memberId)
  }

  /** The group is deleted: none of its deadlines matters any more. */
  forget(group: ClassicGroup): void {
    for (const member of group.members.values()) this.#port.timers.cancel(member.session)
    for (const pending of group.pendingJoin.values()) this.#port.timers.cancel(pending)
    this.#cancelPhase(group)
  }

  /** Members of a loaded group have a whole session to show themselves. */
  activate(group: ClassicGroup): void {
    assert(group.state === 'Stable' || group.state === 'Empty', 'a loaded group is at rest')
    for (const member of group.members.values()) this.resetSession(member)
    if (group.members.size > this.#parts.options.sizeMax) {
      this.#port.apply(this.prepare(group, 'over-capacity'))
    }
  }

  /** Something changed: a new generation, or the end of the join phase if that is under way. */
  prepareOrComplete(group: ClassicGroup, reason: RebalanceReason): GroupChange {
    return group.state === 'PreparingRebalance'
      ? this.completeJoinPhase(group)
      : this.prepare(group, reason)
  }

  /** The join phase begins: members learn of it from their heartbeats, and join again. */
  prepare(group: ClassicGroup, reason: RebalanceReason): GroupChange {
    const { clock, options, probe, logger } = this.#parts
    if (group.state === 'CompletingRebalance') {
      this.#assign(group, new Map(), REBALANCE_IN_PROGRESS)
    }
    assert(group.state !== 'PreparingRebalance', 'one join phase at a time')
    group.pendingSync.clear()
    this.#cancelPhase(group)
    const isFirst = group.state === 'Empty'
    group.transition('PreparingRebalance', clock.nowMs())
    group.hasNewMember = false
    group.rebalanceStartedMs = clock.monotonicMs()
    probe.rebalances[reason]++
    logger.info('A group prepares to rebalance.', {
      group: group.groupId,
      generation: group.generation,
      members: group.members.size,
      reason,
    })
    if (!isFirst) return this.#completeOrWait(group)
    const delayMs = options.initialRebalanceDelayMs
    this.#waitForMore(group, delayMs, Math.max(group.rebalanceTimeoutMs - delayMs, 0))
    return UNCHANGED
  }

  /** The first rebalance of an empty group waits a while, and longer while members keep coming. */
  #waitForMore(group: ClassicGroup, delayMs: number, leftMs: number): void {
    this.#setJoinDeadline(group, delayMs, () => {
      if (!group.hasNewMember || leftMs === 0) return this.complete(group)
      group.hasNewMember = false
      const nextMs = Math.min(this.#parts.options.initialRebalanceDelayMs, leftMs)
      this.#waitForMore(group, nextMs, Math.max(leftMs - delayMs, 0))
      return UNCHANGED
    })
  }

  #completeOrWait(group: ClassicGroup): GroupChange {
    if (group.hasAllJoined) return this.complete(group)
    this.#setJoinDeadline(group, group.rebalanceTimeoutMs, () => this.complete(group))
    return UNCHANGED
  }

  /** Ends the join phase when all are there; a first rebalance ends by its deadline only. */
  completeJoinPhase(group: ClassicGroup): GroupChange {
    if (group.previousState === 'Empty') return UNCHANGED
    return this.#completeIfAllJoined(group)
  }

  #completeIfAllJoined(group: ClassicGroup): GroupChange {
    if (group.state !== 'PreparingRebalance' || !group.hasAllJoined) return UNCHANGED
    return this.complete(group)
  }

  /** Who has joined is in the next generation; static members stay in it even if they have not. */
  complete(group: ClassicGroup): GroupChange {
    assert(group.state === 'PreparingRebalance', 'a join phase ends')
    this.#cancelPhase(group)
    for (const member of [...group.members.values()]) {
      if (!member.awaitsJoin && !member.isStatic) this.remove(group, member.memberId)
    }
    if (!group.electLeader() && group.members.size > 0) {
      // Only static members are left, and none came: sessions will show who is alive.
      const delayMs = Math.max(group.rebalanceTimeoutMs, JOIN_AGAIN_MIN_MS)
      this.#setJoinDeadline(group, delayMs, () => this.complete(group))
      return UNCHANGED
    }
    group.nextGeneration(this.#parts.clock.nowMs())
    return group.members.size === 0 ? this.#becomeEmpty(group) : this.#beginSync(group)
  }

  #becomeEmpty(group: ClassicGroup): GroupChange {
    assert(group.state === 'Empty' && group.leaderId === undefined, 'nobody is left')
    const { groupId, generation } = group
    return {
      records: [{ type: 'group-metadata', group: groupId, value: group.toRecord() }],
      response: undefined,
      isReplayed: false,
      settled: (error) => {
        // The generation before would come back after a restart, and its members time out again.
        if (error !== NONE) {
          this.#parts.logger.warn('That a group is empty could not be kept.', {
            group: groupId,
            generation,
            error,
          })
        }
        return undefined
      },
    }
  }

  #beginSync(group: ClassicGroup): GroupChange {
    for (const member of group.members.values()) {
      group.answerJoin(member, joined(group, member))
      this.resetSession(member)
      member.isNew = false
      group.pendingSync.add(member.memberId)
    }
    assert(group.awaitingJoin === 0, 'all joins are answered')
    const { generation } = group
    group.syncDeadline = new Deadline(() => this.#port.apply(this.#expireSync(group, generation)))
    this.#port.timers.set(group.syncDeadline, group.rebalanceTimeoutMs)
    return UNCHANGED
  }

  /** The leader's assignment is to be kept first; then all who sync get it. */
  keepAssignments(group: ClassicGroup, assignments: ReadonlyMap<string, Buffer>): GroupChange {
    assert(group.state === 'CompletingRebalance', 'the leader has been asked to assign')
    const { generation } = group
    return {
      records: [
        { type: 'group-metadata', group: group.groupId, value: group.toRecord(assignments) },
      ],
      response: undefined,
      isReplayed: false,
      settled: (error) => {
        if (group.state !== 'CompletingRebalance' || group.generation !== generation) {
          return undefined
        }
        this.#assign(group, assignments, error)
        if (error !== NONE) return this.prepare(group, 'assignment-lost')
        group.transition('Stable', this.#parts.clock.nowMs())
        assert(group.awaitingJoin === 0, 'nobody joins a group that is stable')
        const tookMs = this.#parts.clock.monotonicMs() - group.rebalanceStartedMs
        this.#parts.probe.rebalanceSeconds.observe(tookMs / 1000)
        return undefined
      },
    }
  }

  #assign(group: ClassicGroup, assignments: ReadonlyMap<string, Buffer>, error: number): void {
    for (const member of group.members.values()) {
      member.assignment = assignments.get(member.memberId) ?? EMPTY_BYTES
      if (error !== NONE) member.assignment = EMPTY_BYTES
      // A member that waits was not timed out; now its session runs again.
      if (member.answerSync(synced(group, member, error))) this.resetSession(member)
    }
  }

  /** A member has sent its sync. */
  noteSync(group: ClassicGroup, memberId: string): void {
    group.pendingSync.delete(memberId)
    if (group.pendingSync.size === 0 && group.syncDeadline !== undefined) {
      this.#port.timers.cancel(group.syncDeadline)
    }
  }

  #expireSync(group: ClassicGroup, generation: number): GroupChange {
    if (group.generation !== generation || group.pendingSync.size === 0) return UNCHANGED
    assert(group.state === 'CompletingRebalance' || group.state === 'Stable', 'syncs are due')
    for (const memberId of [...group.pendingSync]) this.remove(group, memberId)
    return this.prepare(group, 'sync-expired')
  }

  #expireSession(group: ClassicGroup, memberId: string): GroupChange {
    const member = group.members.get(memberId)
    if (member === undefined) return UNCHANGED
    // Who waits can't send heartbeats, and gets a new session with the answer. A new member may
    // have given up on its join: it does not stay for ever.
    if (!member.isNew && (member.awaitsJoin || member.awaitsSync)) return UNCHANGED
    this.#parts.logger.info('A member of a group has gone silent and is removed.', {
      group: group.groupId,
      member: memberId,
    })
    this.takeOut(group, member)
    return this.afterRemoval(group, 'member-expired')
  }

  /** Removes a member that may still wait for its join. */
  takeOut(group: ClassicGroup, member: ClassicMember): void {
    group.answerJoin(member, joinError('', UNKNOWN_MEMBER_ID))
    this.remove(group, member.memberId)
  }

  /** What follows when members have gone. */
  afterRemoval(group: ClassicGroup, reason: RebalanceReason): GroupChange {
    if (group.state === 'Stable' || group.state === 'CompletingRebalance') {
      return this.prepare(group, reason)
    }
    return this.#completeIfAllJoined(group)
  }

  #setJoinDeadline(group: ClassicGroup, delayMs: number, due: () => GroupChange): void {
    assert(group.state === 'PreparingRebalance', 'a join phase is to end')
    if (group.joinDeadline !== undefined) this.#port.timers.cancel(group.joinDeadline)
    group.joinDeadline = new Deadline(() => this.#port.apply(due()))
    this.#port.timers.set(group.joinDeadline, delayMs)
  }

  #cancelPhase(group: ClassicGroup): void {
    if (group.joinDeadline !== undefined) this.#port.timers.cancel(group.joinDeadline)
    if (group.syncDeadline !== undefined) this.#port.timers.cancel(group.syncDeadline)
    group.joinDeadline = undefined
    group.syncDeadline = undefined
  }
}

/** The answer to a join at the group's present generation. The leader learns who is in it. */
export function joined(
  group: ClassicGroup,
  member: ClassicMember,
  skipAssignment = false,
): JoinGroupResponse {
  const { protocol } = group
  assert(protocol !== undefined && group.leaderId !== undefined, 'there is a generation')
  return {
    errorCode: NONE,
    generationId: group.generation,
    protocolType: group.protocolType ?? null,
    protocolName: protocol,
    leader: group.leaderId,
    skipAssignment,
    memberId: member.memberId,
    members: group.isLeader(member.memberId)
      ? [...group.members.values()].map((each) => ({
          memberId: each.memberId,
          groupInstanceId: each.instanceId,
          metadata: each.metadata(protocol),
        }))
      : [],
  }
}

export function joinError(memberId: string, errorCode: number): JoinGroupResponse {
  return {
    errorCode,
    generationId: -1,
    protocolType: null,
    protocolName: null,
    leader: '',
    skipAssignment: false,
    memberId,
    members: [],
  }
}

export function synced(
  group: ClassicGroup,
  member: ClassicMember,
  errorCode = NONE,
): SyncGroupResponse {
  if (errorCode !== NONE) return syncError(errorCode)
  return {
    errorCode,
    protocolType: group.protocolType ?? null,
    protocolName: group.protocol ?? null,
    assignment: member.assignment,
  }
}

export function syncError(errorCode: number): SyncGroupResponse {
  return { errorCode, protocolType: null, protocolName: null, assignment: EMPTY_BYTES }
}
