/**
 * Members of a group as bare cores, with the network and the disks in the hands of a test. Time
 * passes only when the test says so; what is random is said by the test too.
 */
import assert from 'node:assert/strict'
import type { Random } from '../../base/random.ts'
import { RaftCore } from '../core.ts'
import { type Entry, endOf, type Member, type Message, type SnapshotMessage } from '../messages.ts'
import { DEFAULT_TIMING, type RaftTiming } from '../options.ts'
import { isEmpty, type Ready } from '../ready.ts'
import { StorageFull, type Vote } from '../storage.ts'
import { Checker } from './checker.ts'
import { MemoryStorage, snapshotContent, TEXT_CODEC } from './memory-storage.ts'
import { describeMessage } from './text.ts'

/** Gives what the test has chosen, as far as the bound allows. */
class ChosenRandom implements Random {
  value: number
  constructor(value: number) {
    this.value = value
  }
  uint32(): number {
    return this.value
  }
  below(bound: number): number {
    return Math.min(this.value, Math.ceil(bound) - 1)
  }
  unit(): number {
    return 0
  }
  bytes(length: number): Buffer {
    return Buffer.alloc(length)
  }
  split(): Random {
    return this
  }
}

export const directoryOf = (id: number, life = 0): string =>
  `dir-${id}${life > 0 ? `-${life}` : ''}`

export const memberOf = (id: number): Member => ({ nodeId: id, directoryId: directoryOf(id) })

export class TestMember {
  readonly id: number
  readonly directoryId: string
  readonly core: RaftCore
  readonly storage: MemoryStorage
  readonly applied: string[] = []
  readonly reads: { context: number; offset: number }[] = []
  readonly suspects: number[] = []
  readonly losses: number[] = []
  /** The disk is slow: nothing becomes durable until `store`. */
  isHeld = false
  heldVote: Vote | undefined = undefined
  readonly #group: Group

  constructor(group: Group, id: number, storage: MemoryStorage, options: MemberOptions) {
    this.#group = group
    this.id = id
    this.storage = storage
    this.directoryId = options.directoryId
    const start = storage.snapshot
    if (start !== undefined) this.applied.push(`snapshot ${start.endOffset}`)
    this.core = new RaftCore(
      {
        member: { nodeId: id, directoryId: options.directoryId },
        voters: options.voters,
        mustBeListed: options.mustBeListed,
        random: new ChosenRandom(options.patience),
        codec: TEXT_CODEC,
        storage,
        timing: { ...DEFAULT_TIMING, startPatienceMs: 1000, ...options.timing },
      },
      group.nowMs,
    )
  }

  /** What the log has, with what is not written yet. */
  entries(): Entry[] {
    const { log } = this.core.state
    const { startOffset, endOffset } = log
    return startOffset < endOffset ? log.slice(startOffset, endOffset, Number.MAX_SAFE_INTEGER) : []
  }

  /** All entries, also when a part is in memory and a part is not. */
  allEntries(): Entry[] {
    const { log } = this.core.state
    const found: Entry[] = []
    let at = log.startOffset
    while (at < log.endOffset) {
      const more = log.slice(at, log.endOffset, Number.MAX_SAFE_INTEGER)
      found.push(...more)
      at = endOf(more.at(-1)!)
    }
    return found
  }

  work(): void {
    for (;;) {
      const ready = this.core.ready()
      const entries = this.core.toApply(Number.MAX_SAFE_INTEGER)
      if (isEmpty(ready) && entries.length === 0) {
        if (this.isHeld || !this.#sync()) break
        continue
      }
      this.#handle(ready)
      for (const entry of entries) {
        this.#group.checker.applied(this.id, entry)
        if (entry.kind === 'normal') this.applied.push(entry.data.toString())
        this.core.applied(endOf(entry))
      }
    }
    this.#group.checker.check(this.id, this.core, this.allEntries())
  }

  #sync(): boolean {
    const { log } = this.core.state
    if (log.durableEnd >= log.writtenEnd) return false
    this.core.synced(this.storage.syncNow())
    return true
  }

  hold(): void {
    this.isHeld = true
  }

  setFull(isFull: boolean): void {
    this.storage.isFull = isFull
  }

  /** The disk has caught up. */
  store(): void {
    if (this.heldVote !== undefined) {
      const vote = this.heldVote
      this.heldVote = undefined
      this.#save(vote)
    }
    this.#sync()
    this.work()
  }

  #save(vote: Vote): void {
    this.storage.vote = vote
    this.core.voteSaved(vote)
  }

  #handle(ready: Ready): void {
    if (ready.vote !== undefined) {
      if (this.isHeld) this.heldVote = ready.vote
      else this.#save(ready.vote)
    }
    for (const message of ready.messages) this.#group.sent(message)
    if (ready.entries.length > 0) this.#append(ready.entries)
    this.reads.push(...ready.reads)
    this.suspects.push(...ready.suspects)
    this.losses.push(...ready.losses)
    if (ready.truncateTo !== undefined) {
      this.storage.truncateNow(ready.truncateTo)
      this.core.truncated(ready.truncateTo)
    }
    if (ready.incoming !== undefined) this.#receive(ready.incoming)
    if (ready.install !== undefined) {
      const isWhole = this.storage.installNow(ready.install)
      this.core.installed(ready.install, isWhole)
      if (isWhole) this.applied.push(`snapshot ${ready.install.endOffset}`)
    }
  }

  #append(entries: readonly Entry[]): void {
    try {
      this.storage.append(entries)
      this.core.written(entries)
    } catch (error) {
      if (!(error instanceof StorageFull)) throw error
      this.core.refused(error.endOffset)
    }
  }

  #receive(message: SnapshotMessage): void {
    const { snapshot, position, data } = message
    if (this.storage.receivedBytes(snapshot) === position) {
      if (this.storage.isFull) return
      this.storage.receive(snapshot, position, data)
    }
    this.core.received(message, this.storage.receivedBytes(snapshot))
  }

  /** Covers all that is applied, and drops it from the log. */
  snapshot(keep = 0): void {
    const { log } = this.core.state
    const end = log.applied
    const content = snapshotContent(this.allEntries().filter((entry) => endOf(entry) <= end))
    this.storage.takeSnapshot(end, log.membershipAt(end), content)
    const start = Math.max(log.startOffset, end - keep)
    this.core.dropBefore(start)
    this.storage.dropBefore(start)
  }
}

export interface MemberOptions {
  readonly directoryId: string
  readonly voters: readonly Member[]
  readonly mustBeListed: boolean
  /** What is random: milliseconds of patience beyond the least. */
  readonly patience: number
  readonly timing: Partial<RaftTiming>
}

export interface GroupOptions {
  readonly voters: readonly number[]
  readonly learners?: readonly number[]
  readonly timing?: Partial<RaftTiming>
  /** By member. */
  readonly logs?: Readonly<Record<number, readonly number[]>>
  /** The settings know the directories of the voters: no entry says so. */
  readonly isBootstrap?: boolean
}

export class Group {
  readonly checker = new Checker()
  readonly members = new Map<number, TestMember>()
  /** On their way, oldest first. */
  network: Message[] = []
  nowMs = 0
  /** Messages and changes of role, as text. */
  readonly trace: string[] = []
  readonly #options: GroupOptions
  readonly #cut = new Set<string>()
  readonly #storages = new Map<number, MemoryStorage>()
  readonly #lives = new Map<number, number>()
  readonly #seen = new Map<number, string>()
  /** Know that they have lost their log. */
  readonly #mute = new Set<number>()

  constructor(options: GroupOptions) {
    this.#options = options
    for (const id of [...options.voters, ...(options.learners ?? [])]) {
      const terms = options.logs?.[id]
      if (terms !== undefined) this.#storages.set(id, MemoryStorage.of(terms))
      this.start(id)
    }
  }

  get(id: number): TestMember {
    const member = this.members.get(id)
    assert.ok(member, `member ${id} runs`)
    return member
  }

  /** A new life on what the disk has. */
  start(id: number): TestMember {
    const storage = this.#storages.get(id) ?? new MemoryStorage()
    this.#storages.set(id, storage)
    const { voters, isBootstrap, timing } = this.#options
    const member = new TestMember(this, id, storage, {
      directoryId: directoryOf(id, this.#lives.get(id) ?? 0),
      voters: voters.map((nodeId) => {
        return { nodeId, directoryId: isBootstrap === true ? '' : directoryOf(nodeId) }
      }),
      mustBeListed: this.#mute.has(id),
      patience: 100 * (id - 1),
      timing: timing ?? {},
    })
    this.members.set(id, member)
    this.#seen.set(id, this.#roleOf(member))
    return member
  }

  stop(id: number, isPowerLoss = true): void {
    this.members.delete(id)
    if (isPowerLoss) this.#storages.get(id)!.crash()
  }

  restart(id: number): TestMember {
    if (this.members.has(id)) this.stop(id)
    return this.start(id)
  }

  /** An empty disk, under a new directory id; on `isKnown` the member knows that there was more. */
  wipe(id: number, isKnown = false): void {
    if (isKnown) this.#mute.add(id)
    this.members.delete(id)
    this.#storages.delete(id)
    this.#lives.set(id, (this.#lives.get(id) ?? 0) + 1)
  }

  sent(message: Message): void {
    this.network.push(message)
  }

  cut(one: number, other: number): void {
    this.#cut.add(`${one}>${other}`)
    this.#cut.add(`${other}>${one}`)
  }

  cutOneWay(from: number, to: number): void {
    this.#cut.add(`${from}>${to}`)
  }

  isolate(id: number): void {
    for (const other of this.members.keys()) if (other !== id) this.cut(id, other)
  }

  heal(): void {
    this.#cut.clear()
  }

  /** Something happens to a member. */
  act<T>(id: number, run: (member: TestMember) => T): T {
    const member = this.get(id)
    member.core.tick(this.nowMs)
    const result = run(member)
    member.work()
    this.#note(member)
    return result
  }

  step(message: Message): void {
    const { from, to } = message
    const text = `${from}->${to} ${describeMessage(message)}`
    if (this.#cut.has(`${from}>${to}`) || !this.members.has(to)) {
      this.trace.push(`${text} (lost)`)
      return
    }
    this.trace.push(text)
    this.act(to, ({ core }) => core.step(message))
  }

  #note(member: TestMember): void {
    const role = this.#roleOf(member)
    if (this.#seen.get(member.id) === role) return
    this.#seen.set(member.id, role)
    this.trace.push(`${member.id} is ${role}`)
  }

  #roleOf({ core, id }: TestMember): string {
    const { role, isPreCandidate, state } = core
    const { term, leaderId } = state
    if (role === 'candidate')
      return `${isPreCandidate ? 'pre-candidate' : 'candidate'}, term ${term}`
    if (role === 'leader') return `leader, term ${term}`
    const kind = state.isVoter ? 'follower' : 'learner'
    return `${kind}${leaderId >= 0 && leaderId !== id ? ` of ${leaderId}` : ''}, term ${term}`
  }

  /** Delivers what is on its way, and what follows from it, in order. */
  deliver(limit = 10_000): void {
    for (let count = 0; this.network.length > 0; count++) {
      assert.ok(count < limit, 'messages come to an end')
      this.step(this.network.shift()!)
    }
  }

  /** Time passes; each member wakes when it wants to. Messages arrive at once. */
  elapse(durationMs: number, isDelivering = true): void {
    const untilMs = this.nowMs + durationMs
    if (isDelivering) this.deliver()
    for (;;) {
      const due = [...this.members.values()]
        .filter(({ core }) => core.deadlineMs <= untilMs)
        .sort((one, other) => one.core.deadlineMs - other.core.deadlineMs)[0]
      if (due === undefined) break
      this.nowMs = Math.max(this.nowMs, due.core.deadlineMs)
      this.act(due.id, () => {})
      if (isDelivering) this.deliver()
    }
    this.nowMs = untilMs
    for (const id of this.members.keys()) this.act(id, () => {})
    if (isDelivering) this.deliver()
  }

  /** Loses what is on its way. */
  drop(isLost: (message: Message) => boolean = () => true): void {
    this.network = this.network.filter((message) => !isLost(message))
  }

  leader(): TestMember {
    const best = this.leaderOrNone()
    assert.ok(best, 'somebody leads')
    return best
  }

  /** Of the highest term. */
  leaderOrNone(): TestMember | undefined {
    let best: TestMember | undefined
    for (const member of this.members.values()) {
      if (member.core.leader === undefined) continue
      if (best === undefined || member.core.state.term > best.core.state.term) best = member
    }
    return best
  }

  /** Makes a member leader by the shortest way: the others are patient. */
  elect(id: number): TestMember {
    const { term } = this.get(id).core.state
    const body = { from: 0, directoryId: 'test', to: id, term } as const
    this.act(id, ({ core }) => core.step({ ...body, type: 'timeout-now' }))
    this.deliver()
    assert.equal(this.get(id).core.role, 'leader', `${id} leads`)
    return this.get(id)
  }

  propose(id: number, text: string): string | undefined {
    return this.act(id, ({ core }) => core.propose(1, Buffer.from(text)))
  }
}
