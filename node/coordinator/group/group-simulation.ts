/**
 * Consumers that live a random life in one group: they join, work, commit, fall silent, leave and
 * come back, while their coordinator restarts and its log fails. After each answer it is checked
 * that, in one generation, a partition has one owner, and that no committed offset is lost or
 * goes back.
 */
import { strict as assert } from 'node:assert'
import { delay } from '../../../base/clock.ts'
import type { Random } from '../../../base/random.ts'
import { SimRandom } from '../../../base/sim/random.ts'
import type { JoinGroupResponse } from '../../../kafka/api/11-join-group.ts'
import { GroupWorld } from './group-world.ts'

const PARTITIONS = 12
const SESSION_MS = 6000
const REBALANCE_MS = 8000

interface Membership {
  readonly memberId: string
  readonly generationId: number
  readonly partitions: readonly number[]
}

/** What must hold for all consumers together. */
class Checker {
  readonly #owners = new Map<string, string>()
  readonly #acked = new Map<number, number>()
  readonly #sent = new Map<number, number>()
  commits = 0
  generations = 0

  assigned(owner: string, { generationId, partitions }: Membership): void {
    this.generations = Math.max(this.generations, generationId)
    for (const partition of partitions) {
      const key = `${generationId}/${partition}`
      const other = this.#owners.get(key) ?? owner
      assert.equal(other, owner, `partition ${partition} twice in generation ${generationId}`)
      this.#owners.set(key, owner)
    }
  }

  /** Offsets rise, so what is applied later is larger. */
  nextOffset(partition: number): number {
    const next = (this.#sent.get(partition) ?? 0) + 1
    this.#sent.set(partition, next)
    return next
  }

  acked(partition: number, offset: number): void {
    this.commits++
    this.#acked.set(partition, Math.max(offset, this.#acked.get(partition) ?? -1))
  }

  /** What a read that begins now must show at least. */
  atLeast(): Map<number, number> {
    return new Map(this.#acked)
  }

  read(found: Record<string, number>, atLeast: ReadonlyMap<number, number>): void {
    for (const [partition, offset] of atLeast) {
      const shown = found[`orders/${partition}`]
      assert.ok(shown !== undefined && shown >= offset, `offset ${offset} was lost: ${shown}`)
      assert.ok(shown <= this.#sent.get(partition)!, 'nobody committed this')
    }
  }
}

class Consumer {
  readonly name: string
  readonly instanceId: string | null
  isAlive = true
  /** While it holds a place in a generation that it believes in. */
  membership: Membership | undefined
  readonly #simulation: GroupSimulation
  readonly #random: Random
  #memberId = ''

  constructor(simulation: GroupSimulation, name: string, instanceId: string | null) {
    this.#simulation = simulation
    this.name = name
    this.instanceId = instanceId
    this.#random = simulation.random.split(name)
  }

  async live(): Promise<void> {
    while (this.isAlive) {
      const joined = await this.#join()
      if (joined === undefined) continue
      this.membership = await this.#sync(joined)
      if (this.membership === undefined) continue
      this.#simulation.checker.assigned(this.instanceId ?? this.#memberId, this.membership)
      await this.#work(this.membership)
      this.membership = undefined
    }
  }

  async leave(): Promise<void> {
    const memberId = this.#memberId
    this.isAlive = false
    this.membership = undefined
    if (memberId !== '' && this.instanceId === null) {
      await this.#simulation.world.leave({ memberId })
    }
  }

  async #join(): Promise<JoinGroupResponse | undefined> {
    const { world } = this.#simulation
    const joined = await world.join({
      memberId: this.#memberId,
      groupInstanceId: this.instanceId,
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: REBALANCE_MS,
    })
    if (joined.errorCode === 0 || joined.errorCode === 79) this.#memberId = joined.memberId
    if (joined.errorCode === 0) return joined
    if (joined.errorCode !== 79) {
      this.#note(joined.errorCode)
      await this.#pause(200)
    }
    return undefined
  }

  async #sync(joined: JoinGroupResponse): Promise<Membership | undefined> {
    await this.#pause(50)
    if (!this.isAlive) return undefined
    const assignments: Record<string, string> = {}
    if (joined.leader === joined.memberId && joined.skipAssignment !== true) {
      for (const { memberId } of joined.members) assignments[memberId] = '[]'
      const ids = Object.keys(assignments)
      const shares = ids.map((): number[] => [])
      for (let partition = 0; partition < PARTITIONS; partition++) {
        shares[this.#random.below(ids.length)]!.push(partition)
      }
      for (const [i, id] of ids.entries()) assignments[id] = JSON.stringify(shares[i])
    }
    const { memberId, generationId = -1 } = joined
    const claim = this.instanceId === null ? joined : { ...joined, instanceId: this.instanceId }
    const synced = await this.#simulation.world.sync(claim, assignments)
    if (synced.errorCode !== 0) {
      this.#note(synced.errorCode)
      await this.#pause(200)
      return undefined
    }
    const partitions: number[] = JSON.parse(synced.assignment.toString() || '[]')
    return { memberId, generationId, partitions }
  }

  /** Heartbeats and commits until it is told that something changed. */
  async #work(membership: Membership): Promise<void> {
    while (this.isAlive) {
      await this.#pause(2000)
      if (!this.isAlive) return
      const error = await this.#simulation.world.heartbeat(membership, this.instanceId)
      if (error === 14 || error === 16) continue
      if (error !== 0) {
        this.#note(error)
        return
      }
      if (membership.partitions.length > 0) await this.#commit(membership)
      // Once in a while it hangs, for longer than its session lasts.
      if (this.#random.below(60) === 0 && this.#simulation.isWild) await this.#pause(4 * SESSION_MS)
    }
  }

  async #commit({ memberId, generationId, partitions }: Membership): Promise<void> {
    const { checker, world } = this.#simulation
    const partition = partitions[this.#random.below(partitions.length)]!
    const offset = checker.nextOffset(partition)
    const error = await world.commit(offset, {
      partition,
      memberId,
      groupInstanceId: this.instanceId,
      generationIdOrMemberEpoch: generationId,
    })
    if (error === 0) checker.acked(partition, offset)
  }

  #note(error: number): void {
    assert.ok([14, 15, 16, 22, 25, 27, 82].includes(error), `error ${error} was not expected`)
    // A fenced instance has a successor; here it simply comes back under a new id.
    if (error === 25 || error === 82) this.#memberId = ''
  }

  #pause(upToMs: number): Promise<void> {
    return delay(this.#simulation.world.clock, 1 + this.#random.below(upToMs))
  }
}

export class GroupSimulation {
  readonly world: GroupWorld
  readonly random: SimRandom
  readonly checker = new Checker()
  readonly #consumers: Consumer[] = []
  readonly #lives: Promise<void>[] = []
  readonly #failures: unknown[] = []
  #started = 0
  /** False: consumers only work. */
  isWild = true
  restarts = 0

  constructor(seed: number) {
    this.random = new SimRandom(`group simulation ${seed}`)
    this.world = new GroupWorld({
      seed: `groups ${seed}`,
      initialRebalanceDelayMs: this.random.below(2) * 1000,
    })
    for (let i = 0; i < PARTITIONS; i++) this.world.addTopic(`topic-${i}`)
  }

  async run(steps: number): Promise<void> {
    const { world, random } = this
    await world.lead()
    for (let i = 0; i < 3; i++) this.#start()
    for (let step = 0; step < steps; step++) {
      await this.#step()
      await world.scheduler.runFor(random.below(3000))
      this.#throwFailure()
    }
    await this.#converge()
    this.#throwFailure()
  }

  #throwFailure(): void {
    if (this.#failures.length > 0) throw this.#failures[0]
  }

  #start(): void {
    const instanceId = this.random.below(3) === 0 ? `instance-${this.random.below(3)}` : null
    if (this.#alive.some((consumer) => instanceId !== null && consumer.instanceId === instanceId)) {
      return
    }
    const consumer = new Consumer(this, `consumer ${this.#started++}`, instanceId)
    this.#consumers.push(consumer)
    const life = consumer.live().catch((error: unknown) => {
      this.#failures.push(error)
    })
    this.#lives.push(life)
  }

  get #alive(): Consumer[] {
    return this.#consumers.filter(({ isAlive }) => isAlive)
  }

  async #step(): Promise<void> {
    const { world, random } = this
    const log = world.logs[0]!
    const chosen = this.#alive[random.below(Math.max(1, this.#alive.length))]
    switch (random.below(12)) {
      case 0:
      case 1:
        if (this.#alive.length < 7) this.#start()
        break
      case 2:
        await (chosen === undefined ? undefined : world.scheduler.complete(chosen.leave(), 20_000))
        break
      case 3:
        if (chosen !== undefined) chosen.isAlive = false
        break
      case 4:
        this.restarts++
        await world.lead()
        break
      case 5:
        log.refusalCode = [19, 56][random.below(2)]!
        await world.scheduler.runFor(random.below(8000))
        log.refusalCode = 0
        break
      case 6:
        log.nextAppendError = 56
        break
      case 7:
        log.hold()
        await world.scheduler.runFor(random.below(8000))
        log.release()
        break
      case 8:
        log.hold()
        await world.scheduler.runFor(random.below(500))
        log.lose(56)
        log.release()
        break
      default:
        await this.#read()
    }
  }

  async #read(): Promise<void> {
    const { world, checker } = this
    if (world.coordinator.shardCounts().active === 0) return
    const atLeast = checker.atLeast()
    const found = await world.scheduler.complete(world.offsets(), 10_000)
    // A read that was refused, or came while it loads again, shows nothing.
    if (Object.keys(found).length > 0) checker.read(found, atLeast)
  }

  /** When nothing fails any more, all partitions are owned, by members of one generation. */
  async #converge(): Promise<void> {
    const { world, checker } = this
    this.isWild = false
    world.logs[0]!.release()
    await world.lead()
    if (this.#alive.length === 0) this.#start()
    // Who hangs wakes up, and whose session ended comes back.
    await world.scheduler.runFor(5 * SESSION_MS)
    this.#throwFailure()
    await world.scheduler.runUntil(() => this.#isConverged(), 60_000)
    const before = checker.generations
    await world.scheduler.runFor(30_000)
    assert.ok(this.#isConverged(), 'it stays as it is')
    assert.equal(checker.generations, before)
    assert.equal(await world.state(), 'Stable')
    const atLeast = checker.atLeast()
    await world.lead()
    checker.read(await world.scheduler.complete(world.offsets()), atLeast)
    for (const consumer of this.#alive) consumer.isAlive = false
    await world.scheduler.complete(Promise.all(this.#lives), 100_000)
    world.coordinator.close()
  }

  #isConverged(): boolean {
    const members = this.#alive.map(({ membership }) => membership)
    const generation = members[0]?.generationId
    const owned = members.flatMap((member) => member?.partitions ?? [])
    const group = this.world.coordinator.groupSnapshot('group')
    return (
      members.every((member) => member !== undefined && member.generationId === generation) &&
      owned.length === PARTITIONS &&
      new Set(owned).size === PARTITIONS &&
      group?.members.length === members.length
    )
  }
}
