/**
 * A group of the classic protocol: who is in it, in which state it is, and what its members can
 * agree on. The rules of the protocol are in rebalance.ts, join.ts and membership.ts.
 *
 * Invariants: `awaitingJoin` counts the members whose join waits; `supported` counts for each
 * protocol the members that know it; a static instance has one member; the leader is a member.
 */
import { assert } from '../../../base/assert.ts'
import type { JoinGroupResponse } from '../../../kafka/api/11-join-group.ts'
import type { SyncGroupResponse } from '../../../kafka/api/14-sync-group.ts'
import { FENCED_INSTANCE_ID, NONE, UNKNOWN_MEMBER_ID } from '../../../kafka/wire/errors.ts'
import { EMPTY_BYTES } from '../../../kafka/wire/reader.ts'
import type { Deadline } from '../timers.ts'
import { CONSUMER_PROTOCOL_TYPE, subscribedTopics } from './consumer-protocol.ts'
import type { GroupMetadataValue } from './records.ts'

/** Kafka's words; they are shown to clients. */
export type ClassicState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable'

const PREVIOUS_STATES: Record<ClassicState, readonly ClassicState[]> = {
  Empty: ['PreparingRebalance'],
  PreparingRebalance: ['Stable', 'CompletingRebalance', 'Empty'],
  CompletingRebalance: ['PreparingRebalance'],
  Stable: ['CompletingRebalance'],
}

export interface MemberProtocol {
  readonly name: string
  readonly metadata: Buffer
}

/** What a member says of itself. */
export interface MemberOptions {
  memberId: string
  instanceId: string | null
  clientId: string
  clientHost: string
  rebalanceTimeoutMs: number
  sessionTimeoutMs: number
  protocols: readonly MemberProtocol[]
}

export class ClassicMember {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  rebalanceTimeoutMs: number
  sessionTimeoutMs: number
  /** In the member's order of preference. */
  protocols: readonly MemberProtocol[]
  assignment: Buffer = EMPTY_BYTES
  /** It has not had an answer to its first join yet: it can't send heartbeats. */
  isNew = false
  /** How the join or sync that waits is answered. */
  joinReply: ((response: JoinGroupResponse) => void) | undefined
  syncReply: ((response: SyncGroupResponse) => void) | undefined
  /** When it counts as dead. */
  readonly session: Deadline

  constructor(options: MemberOptions, session: Deadline) {
    this.memberId = options.memberId
    this.instanceId = options.instanceId
    this.clientId = options.clientId
    this.clientHost = options.clientHost
    this.rebalanceTimeoutMs = options.rebalanceTimeoutMs
    this.sessionTimeoutMs = options.sessionTimeoutMs
    this.protocols = options.protocols
    this.session = session
  }

  get isStatic(): boolean {
    return this.instanceId !== null
  }

  get awaitsJoin(): boolean {
    return this.joinReply !== undefined
  }

  get awaitsSync(): boolean {
    return this.syncReply !== undefined
  }

  metadata(protocol: string): Buffer {
    const found = this.protocols.find(({ name }) => name === protocol)
    assert(found !== undefined, 'a member knows the chosen protocol')
    return found.metadata
  }

  /** Has it announced exactly this before? */
  matches(protocols: readonly MemberProtocol[]): boolean {
    return (
      protocols.length === this.protocols.length &&
      this.protocols.every(({ name, metadata }, i) => {
        const other = protocols[i]!
        return other.name === name && metadata.equals(other.metadata)
      })
    )
  }

  answerJoin(response: JoinGroupResponse): void {
    const reply = this.joinReply
    this.joinReply = undefined
    reply?.(response)
  }

  answerSync(response: SyncGroupResponse): boolean {
    const reply = this.syncReply
    this.syncReply = undefined
    reply?.(response)
    return reply !== undefined
  }
}

export class ClassicGroup {
  readonly kind = 'classic'
  readonly groupId: string
  state: ClassicState = 'Empty'
  previousState: ClassicState = 'Empty'
  /** When it came into its state; -1 unknown (read from an old record). Wall clock. */
  stateTimestampMs: number
  generation = 0
  protocolType: string | undefined
  protocol: string | undefined
  leaderId: string | undefined
  readonly members = new Map<string, ClassicMember>()
  /** Member ids given out, whose owners have not joined with them yet, and until when they may. */
  readonly pendingJoin = new Map<string, Deadline>()
  readonly pendingSync = new Set<string>()
  /** During the first rebalance of an empty group: somebody came since the last look. */
  hasNewMember = false
  /** Undefined when they can't be known. */
  subscribedTopics: ReadonlySet<string> | undefined
  /** Monotonic; when the rebalance under way began. */
  rebalanceStartedMs = 0
  /** Ends the join phase; ends the wait for syncs. */
  joinDeadline: Deadline | undefined
  syncDeadline: Deadline | undefined
  #awaitingJoin = 0
  readonly #instances = new Map<string, string>()
  readonly #supported = new Map<string, number>()

  constructor(groupId: string, nowMs: number) {
    this.groupId = groupId
    this.stateTimestampMs = nowMs
  }

  /** A group as a record has it: at rest. `makeMember` gives each member its deadline. */
  static fromRecord(
    groupId: string,
    value: GroupMetadataValue,
    makeMember: (group: ClassicGroup, options: MemberOptions) => ClassicMember,
  ): ClassicGroup {
    const group = new ClassicGroup(groupId, value.currentStateTimestamp)
    group.generation = value.generation
    group.protocolType = value.protocolType === '' ? undefined : value.protocolType
    group.protocol = value.protocol ?? undefined
    group.leaderId = value.leader ?? undefined
    for (const loaded of value.members) {
      const member = makeMember(group, {
        memberId: loaded.memberId,
        instanceId: loaded.groupInstanceId,
        clientId: loaded.clientId,
        clientHost: loaded.clientHost,
        rebalanceTimeoutMs:
          loaded.rebalanceTimeout === -1 ? loaded.sessionTimeout : loaded.rebalanceTimeout,
        sessionTimeoutMs: loaded.sessionTimeout,
        protocols: [{ name: value.protocol ?? '', metadata: Buffer.from(loaded.subscription) }],
      })
      member.assignment = Buffer.from(loaded.assignment)
      group.add(member)
    }
    if (!group.members.has(group.leaderId ?? '')) {
      group.leaderId = group.members.keys().next().value
    }
    if (group.members.size > 0) group.state = 'Stable'
    group.#learnTopics()
    return group
  }

  /** What is kept of the group. `assignments` are those that the leader has just sent. */
  toRecord(assignments?: ReadonlyMap<string, Buffer>): GroupMetadataValue {
    const { protocol } = this
    assert(protocol !== undefined || this.members.size === 0, 'members have chosen a protocol')
    return {
      protocolType: this.protocolType ?? '',
      generation: this.generation,
      protocol: protocol ?? null,
      leader: this.leaderId ?? null,
      currentStateTimestamp: this.stateTimestampMs,
      members: [...this.members.values()].map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        rebalanceTimeout: member.rebalanceTimeoutMs,
        sessionTimeout: member.sessionTimeoutMs,
        subscription: member.metadata(protocol!),
        assignment:
          assignments === undefined
            ? member.assignment
            : (assignments.get(member.memberId) ?? EMPTY_BYTES),
      })),
    }
  }

  get awaitingJoin(): number {
    return this.#awaitingJoin
  }

  get hasAllJoined(): boolean {
    return this.members.size === this.#awaitingJoin && this.pendingJoin.size === 0
  }

  get usesConsumerProtocol(): boolean {
    return this.protocolType === CONSUMER_PROTOCOL_TYPE
  }

  /** The longest that a member asks for. */
  get rebalanceTimeoutMs(): number {
    let longest = 0
    for (const member of this.members.values()) {
      longest = Math.max(longest, member.rebalanceTimeoutMs)
    }
    return longest
  }

  isLeader(memberId: string): boolean {
    return this.leaderId === memberId
  }

  instanceMember(instanceId: string): string | undefined {
    return this.#instances.get(instanceId)
  }

  /** 0, or why this is not a member (KIP-345: whose instance was taken over by another). */
  checkMember(memberId: string, instanceId: string | null): number {
    if (instanceId !== null) {
      const holder = this.#instances.get(instanceId)
      if (holder === undefined) return UNKNOWN_MEMBER_ID
      if (holder !== memberId) return FENCED_INSTANCE_ID
    }
    return this.members.has(memberId) ? NONE : UNKNOWN_MEMBER_ID
  }

  add(member: ClassicMember): void {
    assert(!this.members.has(member.memberId), 'a member joins once')
    if (member.instanceId !== null) {
      assert(!this.#instances.has(member.instanceId), 'an instance has one member')
      this.#instances.set(member.instanceId, member.memberId)
    }
    this.leaderId ??= member.memberId
    this.members.set(member.memberId, member)
    this.#count(member, 1)
    if (member.awaitsJoin) this.#awaitingJoin++
    this.dropPendingJoin(member.memberId)
  }

  remove(memberId: string): void {
    assert(!(this.members.has(memberId) && this.pendingJoin.has(memberId)), 'an id is one or other')
    const member = this.members.get(memberId)
    if (member !== undefined) {
      this.members.delete(memberId)
      this.#count(member, -1)
      if (member.awaitsJoin) this.#awaitingJoin--
      if (member.instanceId !== null) this.#instances.delete(member.instanceId)
    }
    if (this.isLeader(memberId)) this.leaderId = this.members.keys().next().value
    this.dropPendingJoin(memberId)
    this.pendingSync.delete(memberId)
    assert(
      this.leaderId === undefined ? this.members.size === 0 : this.members.has(this.leaderId),
      'the leader is a member',
    )
  }

  dropPendingJoin(memberId: string): void {
    this.pendingJoin.delete(memberId)
  }

  /** A static member comes back under a new id: all else stays its own. */
  replace(old: ClassicMember, member: ClassicMember): void {
    assert(old.instanceId !== null && old.instanceId === member.instanceId, 'the same instance')
    assert(!old.awaitsJoin && !member.awaitsJoin, 'the one that goes has been answered')
    this.members.delete(old.memberId)
    this.pendingSync.delete(old.memberId)
    this.#count(old, -1)
    member.assignment = old.assignment
    this.members.set(member.memberId, member)
    this.#count(member, 1)
    this.#instances.set(old.instanceId, member.memberId)
    if (this.isLeader(old.memberId)) this.leaderId = member.memberId
  }

  /** What a member announces anew, with the join that waits for the answer. */
  update(
    member: ClassicMember,
    news: Pick<MemberOptions, 'protocols' | 'rebalanceTimeoutMs' | 'sessionTimeoutMs'>,
    joinReply: ((response: JoinGroupResponse) => void) | undefined,
  ): void {
    this.#count(member, -1)
    member.protocols = news.protocols
    this.#count(member, 1)
    member.rebalanceTimeoutMs = news.rebalanceTimeoutMs
    member.sessionTimeoutMs = news.sessionTimeoutMs
    if (joinReply !== undefined && !member.awaitsJoin) this.#awaitingJoin++
    if (joinReply === undefined && member.awaitsJoin) this.#awaitingJoin--
    member.joinReply = joinReply
    assert(this.#awaitingJoin <= this.members.size, 'members wait, nobody else')
  }

  answerJoin(member: ClassicMember, response: JoinGroupResponse): void {
    if (!member.awaitsJoin) return
    this.#awaitingJoin--
    assert(this.#awaitingJoin >= 0)
    member.answerJoin(response)
  }

  /** Is the leader among those who joined? If not, another that did becomes leader. */
  electLeader(): boolean {
    if (this.leaderId === undefined) return false
    if (this.members.get(this.leaderId)!.awaitsJoin) return true
    for (const member of this.members.values()) {
      if (!member.awaitsJoin) continue
      this.leaderId = member.memberId
      return true
    }
    return false
  }

  /** Does it share a protocol with all that are members now? */
  supports(protocolType: string, protocols: readonly MemberProtocol[]): boolean {
    if (this.state === 'Empty') return protocolType !== '' && protocols.length > 0
    if (this.protocolType !== protocolType) return false
    return protocols.some(({ name }) => (this.#supported.get(name) ?? 0) === this.members.size)
  }

  /** Each member votes for the first of its protocols that all know; most votes win. */
  selectProtocol(): string {
    assert(this.members.size > 0, 'somebody votes')
    const votes = new Map<string, number>()
    for (const member of this.members.values()) {
      const vote = member.protocols.find(
        ({ name }) => this.#supported.get(name) === this.members.size,
      )
      assert(vote !== undefined, 'members share a protocol')
      votes.set(vote.name, (votes.get(vote.name) ?? 0) + 1)
    }
    let winner = ''
    for (const [name, count] of votes) if (count > (votes.get(winner) ?? 0)) winner = name
    return winner
  }

  nextGeneration(nowMs: number): void {
    this.generation++
    this.pendingSync.clear()
    if (this.members.size > 0) {
      this.protocol = this.selectProtocol()
      this.transition('CompletingRebalance', nowMs)
    } else {
      this.protocol = undefined
      this.transition('Empty', nowMs)
    }
    this.#learnTopics()
  }

  transition(state: ClassicState, nowMs: number): void {
    assert(PREVIOUS_STATES[state].includes(this.state), `${this.state} goes to ${state}`)
    this.previousState = this.state
    this.state = state
    this.stateTimestampMs = nowMs
  }

  isSubscribedTo(topic: string): boolean {
    return this.subscribedTopics?.has(topic) ?? this.usesConsumerProtocol
  }

  #learnTopics(): void {
    this.subscribedTopics = undefined
    if (!this.usesConsumerProtocol) return
    const topics = new Set<string>()
    for (const member of this.members.values()) {
      const found =
        this.protocol === undefined ? [] : subscribedTopics(member.metadata(this.protocol))
      if (found === undefined) return
      for (const topic of found) topics.add(topic)
    }
    this.subscribedTopics = topics
  }

  #count(member: ClassicMember, by: number): void {
    for (const { name } of member.protocols) {
      const count = (this.#supported.get(name) ?? 0) + by
      assert(count >= 0, 'support is not negative')
      if (count === 0) this.#supported.delete(name)
      else this.#supported.set(name, count)
    }
  }
}
