/**
 * Random schedules: whatever is lost, doubled, late, stopped, wiped or full, the invariants of the
 * checker hold after each step; and when all is well again, all members agree and go on.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Group, memberOf } from './testing/group.ts'

type Act =
  | { readonly kind: 'deliver'; readonly at: number }
  | { readonly kind: 'lose'; readonly at: number }
  | { readonly kind: 'double'; readonly at: number }
  | { readonly kind: 'flush'; readonly count: number }
  | { readonly kind: 'elapse'; readonly ms: number }
  | { readonly kind: 'propose' | 'restart' | 'stop' | 'hold' | 'store'; readonly id: number }
  | { readonly kind: 'read' | 'snapshot' | 'full' | 'room' | 'dead'; readonly id: number }
  | { readonly kind: 'transfer' | 'cut'; readonly id: number; readonly other: number }
  | { readonly kind: 'heal' }
  | { readonly kind: 'change'; readonly id: number; readonly voters: number }

const IDS = [1, 2, 3, 4]

const anId = fc.constantFrom(...IDS)
const at = fc.nat(200)

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('deliver' as const), at }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('flush' as const), count: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('lose', 'double'), at }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('elapse' as const),
      ms: fc.constantFrom(1, 20, 150, 600, 1100),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('propose' as const), id: anId }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'restart',
        'stop',
        'hold',
        'store',
        'read',
        'snapshot',
        'full',
        'room',
        'dead',
      ),
      id: anId,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('transfer', 'cut'),
      id: anId,
      other: anId,
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'heal' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      id: anId,
      voters: fc.integer({ min: 1, max: 15 }),
    }),
  },
)

/** Proposals are numbered, so that each is another. */
class Run {
  readonly group: Group
  #proposed = 0

  constructor(isBootstrap: boolean) {
    const timing = { snapshotPartBytes: 4, messageBytes: 4, windowMessages: 3, cacheBytes: 20 }
    this.group = new Group({ voters: [1, 2, 3], learners: [4], timing, isBootstrap })
  }

  play(one: Act): void {
    const { group } = this
    if (one.kind === 'heal') group.heal()
    else if (one.kind === 'elapse') group.elapse(one.ms, false)
    else if (one.kind === 'flush') {
      for (let count = one.count; count > 0 && group.network.length > 0; count--) {
        group.step(group.network.shift()!)
      }
    } else if (one.kind === 'deliver' || one.kind === 'lose' || one.kind === 'double') {
      this.#message(one.kind, one.at)
    } else if (one.kind === 'restart') group.restart(one.id)
    else if (group.members.has(one.id)) this.#member(one)
    // The trace is for people.
    group.trace.length = 0
  }

  #message(kind: 'deliver' | 'lose' | 'double', where: number): void {
    const { network } = this.group
    if (network.length === 0) return
    const at = where % network.length
    const message = kind === 'double' ? network[at]! : network.splice(at, 1)[0]!
    if (kind !== 'lose') this.group.step(message)
  }

  #member(
    one: Exclude<Act, { kind: 'heal' | 'elapse' | 'flush' | 'deliver' | 'lose' | 'double' }>,
  ) {
    const { group } = this
    const { id } = one
    switch (one.kind) {
      case 'propose':
        group.propose(id, `${++this.#proposed}`)
        break
      case 'stop':
        group.stop(id)
        break
      case 'hold':
        group.get(id).hold()
        break
      case 'store':
        group.act(id, (member) => member.store())
        break
      case 'read':
        group.act(id, ({ core }) => core.readIndex(1))
        break
      case 'snapshot':
        this.#snapshot(id)
        break
      case 'full':
      case 'room':
        group.get(id).setFull(one.kind === 'full')
        break
      case 'dead': {
        const { leaderId } = group.get(id).core.state
        group.act(id, ({ core }) => core.peerIsDead(leaderId))
        break
      }
      case 'transfer':
        group.act(id, ({ core }) => core.transfer(one.other))
        break
      case 'cut':
        group.cut(id, one.other)
        break
      case 'change': {
        const voters = IDS.filter((_, at) => (one.voters & (1 << at)) !== 0)
        group.act(id, ({ core }) => core.changeVoters(voters.map(memberOf)))
        break
      }
    }
  }

  /** Of what is durable. */
  #snapshot(id: number): void {
    const { core } = this.group.get(id)
    const { log } = core.state
    const isWorth = log.applied > log.startOffset && log.applied <= log.durableEnd
    if (isWorth) this.group.act(id, (member) => member.snapshot(log.applied % 3))
  }

  /** All is well again. */
  recover(): void {
    const { group } = this
    group.heal()
    for (const id of IDS) {
      const member = group.members.get(id) ?? group.start(id)
      member.isHeld = false
      member.setFull(false)
      group.act(id, () => member.store())
    }
    group.elapse(6000)
    const leader = group.leader()
    assert.ok(leader.core.leader?.isEstablished, 'somebody leads')
    assert.equal(group.propose(leader.id, 'last'), undefined)
    group.elapse(2000)
    const ends = group.leader().core.state.log
    for (const { core, applied, id } of group.members.values()) {
      assert.equal(core.state.log.applied, ends.endOffset, `member ${id} has all`)
      assert.equal(applied.at(-1), 'last')
    }
  }
}

describe('raft: properties', function () {
  this.timeout(60_000)
  const seed = Number(process.env['RAFT_SEED'] ?? 20_261_125)
  const numRuns = Number(process.env['RAFT_RUNS'] ?? 100)

  for (const isBootstrap of [false, true]) {
    it(`hold in any schedule, ${isBootstrap ? 'from nothing' : 'with known voters'}`, () => {
      const schedule = fc.array(act, { minLength: 20, maxLength: 300, size: 'max' })
      fc.assert(
        fc.property(schedule, (acts) => {
          const run = new Run(isBootstrap)
          for (const one of acts) run.play(one)
          run.recover()
        }),
        { seed, numRuns, endOnFailure: process.env['RAFT_SHRINK'] !== '1' },
      )
    })
  }
})
