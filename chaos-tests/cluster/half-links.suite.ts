/**
 * A link that carries one way only, or not at all, while both ends reach the third node: somebody
 * leads within 5 s and goes on to, there is one election at most in 10 s, and the cluster takes records.
 */
import assert from 'node:assert/strict'
import { realClock } from '../../base/real/clock.ts'
import { realNetwork } from '../../base/real/network.ts'
import { createTopics } from '../../kafka/api/19-create-topics.ts'
import { Cluster } from '../../kafka/client/cluster.ts'
import { Producer } from '../../kafka/client/producer.ts'
import { type ServerProcess, sleep } from './processes.ts'
import { ServerGroup, waitUntilWhole } from './server-group.ts'

const TOPIC = 'halves'
const CUT_MS = 10_000
const STABLE_WITHIN_MS = 5000
const ELECTIONS_MAX = 1
const LOOK_MS = 50
const WHOLE_WITHIN_MS = 60_000
/** This process, or a node that was asked, did not run for so long: elections are no wonder then. */
const STARVED_MS = 400
const ATTEMPTS_MAX = 5

/** Ways of a link between the leader (0) and two followers (1, 2): what is sent there is lost. */
const CUTS: readonly (readonly [name: string, ways: readonly (readonly [number, number])[]])[] = [
  ['what the leader sends to a follower is lost', [[0, 1]]],
  ['what a follower sends to the leader is lost', [[1, 0]]],
  ['the leader and a follower are cut off from each other', [[0, 1], [1, 0]]], // biome-ignore format: a row each
  ['what a follower sends to the other is lost', [[1, 2]]],
  ['the followers are cut off from each other', [[1, 2], [2, 1]]], // biome-ignore format: a row each
]

interface Quorum {
  readonly leader: number
  readonly epoch: number
}

async function quorumOf(node: ServerProcess): Promise<Quorum | undefined> {
  try {
    const address = `http://127.0.0.1:${node.ports.http}/api/v1/quorum`
    // A socket that is kept would outlive the suite.
    const headers = { connection: 'close' }
    const response = await fetch(address, { headers, signal: AbortSignal.timeout(1000) })
    return (await response.json()) as Quorum
  } catch {
    return undefined
  }
}

interface Seen {
  /** Of leaders that were elected after the cut. */
  readonly terms: ReadonlySet<number>
  /** When the last of them was first seen, from the cut on. */
  readonly stableAfterMs: number
  readonly starvedMs: number
  readonly acknowledged: number
}

describe('chaos-tests/cluster: links that are half cut', function () {
  this.timeout(600_000)
  let group: ServerGroup
  let cluster: Cluster

  before(async () => {
    group = await ServerGroup.prepare({ peer: 'odradek', count: 3, isLinked: true })
    await group.start()
    const bootstrap = group.nodes.map((node) => node.bootstrap)
    const client = { bootstrap, clientId: 'halves', timeoutMs: 5000 }
    cluster = new Cluster({ network: realNetwork, clock: realClock }, client)
    const topic = { name: TOPIC, numPartitions: 3, replicationFactor: 3 }
    await cluster.request(undefined, createTopics, {
      topics: [{ ...topic, assignments: [], configs: [] }],
      timeoutMs: WHOLE_WITHIN_MS,
      validateOnly: false,
    })
  })

  after(async () => {
    await cluster?.close()
    await group?.remove()
  })

  async function leads(): Promise<Quorum> {
    for (const untilMs = performance.now() + WHOLE_WITHIN_MS; ; await sleep(LOOK_MS)) {
      const answers = await Promise.all(group.nodes.map(quorumOf))
      const known = answers.filter((one) => one !== undefined && one.leader > 0) as Quorum[]
      if (known.length > 0)
        return known.reduce((best, one) => (one.epoch > best.epoch ? one : best))
      assert.ok(performance.now() < untilMs, 'somebody leads')
    }
  }

  async function look(ways: readonly (readonly [number, number])[]): Promise<Seen> {
    await waitUntilWhole(cluster, null, WHOLE_WITHIN_MS)
    const before = await leads()
    const ids = [before.leader, ...[1, 2, 3].filter((id) => id !== before.leader)]
    for (const [a, b] of ways) {
      const [from, to] = [ids[a]!, ids[b]!]
      // On connections that it made, and on those that the other made.
      group.mesh!.between(from, to).set({ isStalledForth: true })
      group.mesh!.between(to, from).set({ isStalledBack: true })
    }
    const beganMs = performance.now()
    const producer = new Producer(cluster, { deliveryTimeoutMs: WHOLE_WITHIN_MS })
    let acknowledged = 0
    let isOver = false
    const writing = (async () => {
      while (!isOver) {
        await producer.send(TOPIC, [{ value: Buffer.from('half'), partition: acknowledged % 3 }])
        acknowledged++
        await sleep(LOOK_MS)
      }
    })()
    const terms = new Set<number>()
    let stableAfterMs = 0
    let starvedMs = 0
    for (let lastMs = beganMs; lastMs - beganMs < CUT_MS; lastMs = performance.now()) {
      await sleep(LOOK_MS)
      starvedMs = Math.max(starvedMs, performance.now() - lastMs - LOOK_MS)
      const askedMs = performance.now()
      const looks = await Promise.all(group.nodes.map(quorumOf))
      starvedMs = Math.max(starvedMs, performance.now() - askedMs)
      for (const one of looks) {
        if (one === undefined || one.leader <= 0 || one.epoch <= before.epoch) continue
        if (!terms.has(one.epoch)) stableAfterMs = performance.now() - beganMs
        terms.add(one.epoch)
      }
    }
    group.mesh!.heal()
    isOver = true
    await writing
    return { terms, stableAfterMs, starvedMs, acknowledged }
  }

  for (const [name, ways] of CUTS) {
    it(`${name}: a stable leader`, async function () {
      for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
        const { terms, stableAfterMs, starvedMs, acknowledged } = await look(ways)
        const told =
          `${terms.size} elections, the last after ${stableAfterMs.toFixed(0)} ms, ` +
          `${acknowledged} records`
        const isGood = terms.size <= ELECTIONS_MAX && stableAfterMs < STABLE_WITHIN_MS
        if (isGood) {
          assert.ok(acknowledged > 0, 'records were taken')
          this.test!.title = `${name}: a stable leader (${told})`
          return
        }
        if (starvedMs < STARVED_MS) assert.fail(told)
      }
      this.skip() // the machine does other things
    })
  }
})
