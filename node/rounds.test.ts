import assert from 'node:assert/strict'
import { SimClock } from '../base/sim/clock.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { Rounds } from './rounds.ts'

describe('node/rounds', () => {
  const fixture = () => {
    const scheduler = new Scheduler()
    const clock = new SimClock(scheduler, { run: (act) => act() })
    const looks: [name: string, nowMs: number][] = []
    const enough = new Set<string>()
    const rounds: Rounds<string> = new Rounds({
      clock,
      everyMs: 100,
      look: (name, nowMs) => {
        looks.push([name, nowMs])
        if (name === 'calls') rounds.add('called')
        return !enough.has(name)
      },
    })
    return { scheduler, rounds, looks, enough }
  }

  it('looks at each in every round until it has had enough, and then at nothing', async () => {
    const { scheduler, rounds, looks, enough } = fixture()
    await scheduler.runFor(1000)
    rounds.add('a')
    rounds.add('b')
    enough.add('b')
    await scheduler.runFor(250)
    assert.deepEqual(looks, [
      ['a', 1100],
      ['b', 1100],
      ['a', 1200],
    ])
    rounds.delete('a')
    await scheduler.runFor(1000)
    assert.equal(looks.length, 3)
    rounds.add('c')
    await scheduler.runFor(100)
    assert.equal(looks.at(-1)![0], 'c')
  })

  it('takes who asks within a round, with one timer for all', async () => {
    const { scheduler, rounds, looks, enough } = fixture()
    enough.add('calls')
    rounds.add('calls')
    await scheduler.runFor(350)
    const times = looks.filter(([name]) => name === 'called').map(([, nowMs]) => nowMs)
    assert.deepEqual(times, [100, 200, 300])
  })

  it('looks at nothing once it is closed', async () => {
    const { scheduler, rounds, looks } = fixture()
    rounds.add('a')
    rounds.close()
    rounds.add('b')
    await scheduler.runFor(1000)
    assert.deepEqual(looks, [])
  })
})
