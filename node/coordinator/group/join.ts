/**
 * JoinGroup of the classic protocol: new members and ids for them (KIP-394), members that come
 * back, static members that are replaced (KIP-345) and spared a rebalance (KIP-814).
 */
import { assert } from '../../../base/assert.ts'
import type { JoinGroupRequest, JoinGroupResponse } from '../../../kafka/api/11-join-group.ts'
import {
  FENCED_INSTANCE_ID,
  GROUP_MAX_SIZE_REACHED,
  INCONSISTENT_GROUP_PROTOCOL,
  MEMBER_ID_REQUIRED,
  NONE,
} from '../../../kafka/wire/errors.ts'
import { type Change, UNCHANGED } from '../decision.ts'
import type { ClassicGroup, ClassicMember, MemberOptions } from './classic-group.ts'
import type { Client, GroupParts } from './options.ts'
import { joinError, joined, type Rebalance, syncError } from './rebalance.ts'
import type { GroupRecord } from './records.ts'

type GroupChange = Change<GroupRecord>

export type JoinReply = (response: JoinGroupResponse) => void

/** One join on its way through the rules. */
interface Attempt {
  readonly request: JoinGroupRequest
  readonly client: Client
  readonly reply: JoinReply
}

const ID_REQUIRED_SINCE = 4
const SKIPS_ASSIGNMENT_SINCE = 9

export class Join {
  readonly #parts: GroupParts
  readonly #rebalance: Rebalance

  constructor(parts: GroupParts, rebalance: Rebalance) {
    this.#parts = parts
    this.#rebalance = rebalance
  }

  /** `reply` is called now or when the join phase ends. */
  join(
    group: ClassicGroup,
    request: JoinGroupRequest,
    client: Client,
    reply: JoinReply,
  ): GroupChange {
    const { memberId } = request
    if (!this.#hasRoom(group, memberId)) {
      const member = group.members.get(memberId)
      if (member !== undefined) this.#rebalance.takeOut(group, member)
      else this.#rebalance.remove(group, memberId)
      return refuse(reply, '', GROUP_MAX_SIZE_REACHED)
    }
    if (!group.supports(request.protocolType, request.protocols)) {
      return refuse(reply, memberId, INCONSISTENT_GROUP_PROTOCOL)
    }
    const attempt = { request, client, reply }
    return memberId === '' ? this.#joinAsNew(group, attempt) : this.#joinAgain(group, attempt)
  }

  /** While members join, those who wait count: so a limit that was lowered takes effect. */
  #hasRoom(group: ClassicGroup, memberId: string): boolean {
    const { sizeMax } = this.#parts.options
    const member = group.members.get(memberId)
    switch (group.state) {
      case 'Empty':
        return true
      case 'PreparingRebalance':
        return member?.awaitsJoin === true || group.awaitingJoin < sizeMax
      default:
        return member !== undefined || group.members.size < sizeMax
    }
  }

  #joinAsNew(group: ClassicGroup, attempt: Attempt): GroupChange {
    const { request, client, reply } = attempt
    const instanceId = request.groupInstanceId
    const memberId = this.#makeMemberId(instanceId ?? client.clientId ?? '')
    if (instanceId !== null) {
      const holder = group.instanceMember(instanceId)
      if (holder !== undefined) return this.#replace(group, holder, memberId, attempt)
      return this.#add(group, memberId, attempt)
    }
    if (client.apiVersion < ID_REQUIRED_SINCE) return this.#add(group, memberId, attempt)
    // A client whose answer is lost tries again, and would leave a member behind each time.
    this.#rebalance.expectMember(group, memberId, request.sessionTimeoutMs)
    return refuse(reply, memberId, MEMBER_ID_REQUIRED)
  }

  #joinAgain(group: ClassicGroup, attempt: Attempt): GroupChange {
    const { request, reply } = attempt
    const { memberId } = request
    // An id that was given out was given to a dynamic member.
    if (group.pendingJoin.has(memberId) && request.groupInstanceId === null) {
      return this.#add(group, memberId, attempt)
    }
    const error = group.checkMember(memberId, request.groupInstanceId)
    if (error !== NONE) return refuse(reply, memberId, error)
    const member = group.members.get(memberId)!
    if (this.#mustRebalance(group, member, request)) {
      group.update(member, news(request), reply)
      return this.#rebalance.prepareOrComplete(group, 'member-rejoined')
    }
    // It may have missed the answer to its join: the generation is as it was.
    reply(joined(group, member))
    return UNCHANGED
  }

  #mustRebalance(group: ClassicGroup, member: ClassicMember, request: JoinGroupRequest): boolean {
    assert(group.state !== 'Empty', 'an empty group has no members')
    switch (group.state) {
      case 'PreparingRebalance':
        return true
      case 'CompletingRebalance':
        return !member.matches(request.protocols)
      case 'Stable':
        // A leader that joins has seen something that asks for new assignments.
        return group.isLeader(member.memberId) || !member.matches(request.protocols)
    }
  }

  #add(group: ClassicGroup, memberId: string, attempt: Attempt): GroupChange {
    const { request, client, reply } = attempt
    if (group.state === 'PreparingRebalance' && group.previousState === 'Empty') {
      group.hasNewMember = true
    }
    if (group.pendingJoin.has(memberId)) this.#rebalance.remove(group, memberId)
    assert(!group.members.has(memberId), 'it is new')
    const member = this.#makeMember(group, memberId, request, client)
    member.isNew = true
    member.joinReply = reply
    if (group.members.size === 0) group.protocolType = request.protocolType
    assert(group.protocolType === request.protocolType, 'a group has one type of protocol')
    group.add(member)
    this.#rebalance.resetSession(member, this.#parts.options.newMemberTimeoutMs)
    return this.#rebalance.prepareOrComplete(group, 'member-joined')
  }

  /** A static member is back without its id: it takes the place of its former self. */
  #replace(group: ClassicGroup, oldId: string, memberId: string, attempt: Attempt): GroupChange {
    const { request, client, reply } = attempt
    const oldLeader = group.leaderId
    const old = group.members.get(oldId)!
    assert(old.instanceId === request.groupInstanceId, 'an instance is replaced by itself')
    group.answerJoin(old, joinError(oldId, FENCED_INSTANCE_ID))
    old.answerSync(syncError(FENCED_INSTANCE_ID))
    const member = this.#makeMember(group, memberId, request, client)
    this.#takePlace(group, old, member)
    group.update(member, news(request), reply)
    switch (group.state) {
      case 'Stable':
        if (group.selectProtocol() !== group.protocol) {
          return this.#rebalance.prepare(group, 'static-member-replaced')
        }
        return this.#keepReplacement(group, old, member, {
          oldLeader,
          apiVersion: client.apiVersion,
        })
      case 'CompletingRebalance':
        // The leader may be assigning to the old id.
        return this.#rebalance.prepare(group, 'static-member-replaced')
      default:
        return this.#rebalance.completeJoinPhase(group)
    }
  }

  #takePlace(group: ClassicGroup, old: ClassicMember, member: ClassicMember): void {
    this.#rebalance.stopSession(old)
    group.replace(old, member)
    this.#rebalance.resetSession(member)
  }

  /** The generation goes on as it is, with the new id in it, once that is kept. */
  #keepReplacement(
    group: ClassicGroup,
    old: ClassicMember,
    member: ClassicMember,
    { oldLeader, apiVersion }: { oldLeader: string | undefined; apiVersion: number },
  ): GroupChange {
    return {
      records: [{ type: 'group-metadata', group: group.groupId, value: group.toRecord() }],
      response: undefined,
      isReplayed: false,
      settled: (error) => {
        if (group.members.get(member.memberId) !== member) return undefined
        if (error !== NONE) {
          group.answerJoin(member, joinError('', error))
          this.#takePlace(group, member, old)
          return undefined
        }
        if (!member.awaitsJoin || group.state !== 'Stable') return undefined
        const isLeader = group.isLeader(member.memberId)
        const answer = joined(group, member, isLeader)
        group.answerJoin(
          member,
          apiVersion >= SKIPS_ASSIGNMENT_SINCE
            ? answer
            : // It must not assign anew, so it is told that its former self leads.
              { ...answer, members: [], skipAssignment: false, leader: oldLeader ?? answer.leader },
        )
        return undefined
      },
    }
  }

  #makeMember(
    group: ClassicGroup,
    memberId: string,
    request: JoinGroupRequest,
    client: Client,
  ): ClassicMember {
    return this.#rebalance.makeMember(group, {
      memberId,
      instanceId: request.groupInstanceId,
      clientId: client.clientId ?? '',
      clientHost: client.clientHost,
      ...news(request),
    })
  }

  /** Kafka's form: what the client calls itself, and a random UUID. */
  #makeMemberId(prefix: string): string {
    const bytes = this.#parts.random.bytes(16)
    assert(bytes.length === 16, 'a UUID has 16 bytes')
    bytes[6] = (bytes[6]! & 0x0f) | 0x40
    bytes[8] = (bytes[8]! & 0x3f) | 0x80
    const hex = bytes.toString('hex')
    const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)]
    return `${prefix}-${parts.join('-')}-${hex.slice(20)}`
  }
}

function refuse(reply: JoinReply, memberId: string, error: number): GroupChange {
  reply(joinError(memberId, error))
  return UNCHANGED
}

/** Copies what outlives the request's bytes. Version 0 has no rebalance timeout. */
function news(
  request: JoinGroupRequest,
): Pick<MemberOptions, 'protocols' | 'rebalanceTimeoutMs' | 'sessionTimeoutMs'> {
  const { rebalanceTimeoutMs, sessionTimeoutMs } = request
  return {
    rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
    sessionTimeoutMs,
    protocols: request.protocols.map(({ name, metadata }) => ({
      name,
      metadata: Buffer.from(metadata),
    })),
  }
}
