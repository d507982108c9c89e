import assert from 'node:assert/strict'
import { CLUSTER_FAULTS } from './faults.ts'
import { runsOf } from './presets.ts'
import { lagging } from './progress.ts'

const faultsOf = (flags: readonly string[]) => flags[flags.indexOf('--faults') + 1]!.split(',')

describe('chaos-tests/cluster/presets', () => {
  it('deals mixes so that every fault is in at least two, and the same for a seed', () => {
    const runs = runsOf('mixes', 7, () => true)
    assert.equal(runs.length, 20)
    assert.deepEqual(
      runs,
      runsOf('mixes', 7, () => true),
    )
    const drawn = runs.flatMap(faultsOf)
    for (const { name } of CLUSTER_FAULTS) {
      assert.ok(drawn.filter((one) => one === name).length >= 2, name)
    }
  })

  it('deals every fault but the longest into six short runs', () => {
    const runs = runsOf('short', 7, () => true)
    assert.equal(runs.length, 6)
    const drawn = new Set(runs.flatMap(faultsOf))
    assert.equal(drawn.size, CLUSTER_FAULTS.length - 1)
  })

  it('leaves out what the machine cannot do', () => {
    const runs = runsOf('mixes', 7, (name) => name !== 'flip')
    assert.ok(!runs.flatMap(faultsOf).includes('flip'))
  })

  it('does each of three things to each of four roles', () => {
    assert.equal(new Set(runsOf('roles', 1, () => true).map((flags) => flags.join())).size, 12)
  })
})

describe('chaos-tests/cluster/progress', () => {
  const send = (endMs: number) => ({
    op: 'send' as const,
    client: 'p',
    producer: 'p',
    topic: 't',
    partition: 0,
    acks: -1 as const,
    isIdempotent: true,
    values: [`p:${endMs}`],
    startMs: endMs - 1,
    endMs,
    outcome: 'ok' as const,
  })
  const sends = (fromMs: number, toMs: number, everyMs: number) =>
    Array.from({ length: (toMs - fromMs) / everyMs }, (_, at) => send(fromMs + at * everyMs))
  const absence = {
    op: 'fault' as const,
    name: 'absence',
    target: 'n1',
    atMs: 20_000,
    forMs: 30_000,
  }

  it('takes the first 5 s of an absence for the time of a failover', () => {
    const history = [...sends(0, 20_000, 10), absence, ...sends(25_000, 50_000, 10)]
    const { violations, sentence } = lagging(history)
    assert.deepEqual(violations, [])
    assert.match(sentence, /100.0 %/)
  })

  it('finds a cluster that is slower without one of its nodes', () => {
    const history = [...sends(0, 20_000, 10), absence, ...sends(25_000, 50_000, 20)]
    assert.deepEqual(
      lagging(history).violations.map(({ checker }) => checker),
      ['progress'],
    )
  })
})
