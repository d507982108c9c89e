import assert from 'node:assert/strict'
import { SimRandom } from '../../base/sim/random.ts'
import { type PlacementBroker, placeReplicas } from './placement.ts'

/** All ways to give `count` brokers a rack out of `racks`, and to fence some. */
function* clusters(count: number, racks: number): Generator<PlacementBroker[]> {
  const choices = racks * 2
  for (let code = 0; code < choices ** count; code++) {
    let rest = code
    yield Array.from({ length: count }, (_, id) => {
      const choice = rest % choices
      rest = Math.floor(rest / choices)
      const rack = Math.floor(choice / 2)
      const host = `h${id % 2}`
      return { id, rack: rack === 0 ? null : `r${rack}`, host, isFenced: choice % 2 === 1 }
    })
  }
}

const countBy = <T>(values: readonly T[]) => {
  const counts = new Map<T, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

describe('node/metadata/placement', () => {
  it('keeps its promises for every small cluster', () => {
    let cases = 0
    for (let brokers = 1; brokers <= 4; brokers++) {
      for (const cluster of clusters(brokers, 3)) {
        for (let replicationFactor = 1; replicationFactor <= brokers; replicationFactor++) {
          checkPlacement(cluster, replicationFactor, ++cases)
        }
      }
    }
    assert.ok(cases > 5000)
  })

  function checkPlacement(
    cluster: readonly PlacementBroker[],
    replicationFactor: number,
    seed: number,
  ): void {
    const usable = cluster.filter((broker) => !broker.isFenced)
    const placed = placeReplicas({
      count: 5,
      replicationFactor,
      brokers: cluster,
      random: new SimRandom(seed),
    })
    if (usable.length === 0) {
      assert.match(String(placed), /no broker is there to take one/)
      return
    }
    assert.ok(typeof placed !== 'string', JSON.stringify(cluster))
    assert.equal(placed.length, 5)
    for (const replicas of placed) {
      assert.equal(new Set(replicas).size, replicationFactor)
      const chosen = replicas.map((id) => cluster[id]!)
      assert.equal(chosen[0]!.isFenced, false)
      const fenced = chosen.filter((broker) => broker.isFenced).length
      assert.equal(fenced, Math.max(0, replicationFactor - usable.length))
      const live = chosen.filter((broker) => !broker.isFenced)
      const racks = new Set(live.map(({ rack }) => rack)).size
      const racksThere = new Set(usable.map(({ rack }) => rack)).size
      assert.equal(racks, Math.min(live.length, racksThere), JSON.stringify([cluster, replicas]))
    }
    const leaders = [...countBy(placed.map((replicas) => replicas[0]!)).values()]
    assert.ok(Math.max(...leaders) <= Math.ceil(5 / usable.length), 'leaders are spread')
  }

  it('spreads leaders and followers evenly over equal brokers', () => {
    const brokers = Array.from({ length: 6 }, (_, id) => ({
      id,
      rack: `r${id % 3}`,
      host: null,
      isFenced: false,
    }))
    const placed = placeReplicas({
      count: 60,
      replicationFactor: 3,
      brokers,
      random: new SimRandom(3),
    })
    assert.ok(typeof placed !== 'string')
    const leaders = countBy(placed.map((replicas) => replicas[0]!))
    assert.deepEqual([...leaders.values()], Array(6).fill(10))
    const all = countBy(placed.flat())
    for (const count of all.values()) assert.ok(count >= 24 && count <= 36, [...all].join(' '))
    const followersOfOne = countBy(
      placed.filter((replicas) => replicas[0] === 0).flatMap((replicas) => replicas.slice(1)),
    )
    assert.ok(followersOfOne.size >= 4, 'more than two others take over from one')
  })

  it('takes hosts for places that fail together, below the racks', () => {
    // Two racks with two hosts each; two brokers on every host.
    const brokers = Array.from({ length: 8 }, (_, id) => ({
      id,
      rack: `r${id % 2}`,
      host: `h${id % 4}`,
      isFenced: false,
    }))
    for (let seed = 1; seed <= 20; seed++) {
      const random = new SimRandom(seed)
      const placed = placeReplicas({ count: 16, replicationFactor: 4, brokers, random })
      assert.ok(typeof placed !== 'string')
      for (const replicas of placed) {
        const hosts = new Set(replicas.map((id) => id % 4))
        assert.equal(hosts.size, 4, `seed ${seed}: ${replicas} lie on different hosts`)
      }
    }
    const flat = brokers.map((broker) => ({ ...broker, rack: null }))
    const placed = placeReplicas({
      count: 16,
      replicationFactor: 3,
      brokers: flat,
      random: new SimRandom(1),
    })
    assert.ok(typeof placed !== 'string')
    for (const replicas of placed) assert.equal(new Set(replicas.map((id) => id % 4)).size, 3)
  })

  it('gives the same answer for the same seed', () => {
    const brokers = [0, 1, 2].map((id) => ({ id, rack: null, host: null, isFenced: false }))
    const place = (seed: number) =>
      placeReplicas({ count: 9, replicationFactor: 2, brokers, random: new SimRandom(seed) })
    assert.deepEqual(place(1), place(1))
  })

  it('says why it can not place', () => {
    const brokers = [{ id: 1, rack: null, host: null, isFenced: false }]
    assert.equal(
      placeReplicas({ count: 1, replicationFactor: 3, brokers, random: new SimRandom(1) }),
      'No place for 3 replicas: there are 1 brokers, and each takes one.',
    )
  })
})
