/**
 * Requests that are right or broken in places that hurt, sent to a server in pieces: whatever they
 * are, only their own connection suffers, and nothing is left behind.
 *
 * Short here; FUZZ_MINUTES=10 in the environment makes it long, with fresh seeds and servers all
 * along, and sees to it that memory does not grow.
 */
import assert from 'node:assert/strict'
import { realClock } from '../../base/real/clock.ts'
import { SimRandom } from '../../base/sim/random.ts'
import { produce as produceApi } from '../api/00-produce.ts'
import type { Api } from '../api/define.ts'
import { Fuzzer } from '../api/fuzz.ts'
import { registry } from '../api/registry.ts'
import { batchOf, Fixture, frame } from './testing/fixture.ts'

const HOT = registry.filter(({ key }) => key <= 1)
/** Handlers are not what is tested here: they refuse to answer. */
const ALL = registry.map((api) =>
  api.handle === undefined ? api : { ...api, handle: () => Promise.reject(new Error('refused')) },
)

const PROOF = frame(produceApi as unknown as Api, 9, 1, {
  transactionalId: null,
  acks: -1,
  timeoutMs: 1000,
  topicData: [{ name: 'proof', partitionData: [{ index: 0, records: batchOf(1) }] }],
})

async function run(apis: readonly Api[], count: number): Promise<void> {
  const { SEED: seed = String(Math.floor(Math.random() * 2 ** 32)) } = process.env
  const random = new SimRandom(seed)
  const fuzzer = new Fuzzer(random, apis)
  const fixture = new Fixture({ unansweredMax: 8 }, apis)
  for (const name of ['a', 'topic-1', 'group', 'proof']) fixture.data.add(name, 4)
  const topics = [...fixture.data.topics.values()]
  await fixture.start()
  const { memory, probe } = fixture.server
  const restingBytes = memory.usedBytes
  const proof = fixture.client()
  let client = fixture.client()
  let closed = 0
  for (let i = 0; i < count; i++) {
    const { frame: bytes, api, version } = fuzzer.next()
    const hex = bytes.toString('hex', 0, 200)
    const about = `SEED=${seed} #${i} ${api.name} v${version} ${hex}`
    try {
      client.connection.send(bytes, random.below(3) === 0 ? 1 + random.below(40) : undefined)
      fixture.clock.endTurn()
      if (api.key > 1) await new Promise(setImmediate)
      fixture.clock.advance(random.below(20))
    } catch (error) {
      throw new Error(about, { cause: error })
    }
    for (const topic of topics) for (const partition of topic.partitions) partition!.commit()
    fixture.clock.endTurn()
    client.connection.answers()
    if (client.connection.isDestroyed || random.below(20) === 0) {
      closed++
      client.connection.finish()
      client = fixture.client()
      fixture.clock.endTurn()
      assert.ok(memory.usedBytes <= restingBytes + 64 * 1024, `${memory.usedBytes} ${about}`)
      assert.equal(probe.inFlight, 0, about)
      proof.connection.send(PROOF)
      fixture.data.topic('proof')!.partitions[0]!.commit()
      fixture.clock.endTurn()
      assert.deepEqual(proof.correlationIds(), [1], about)
    }
  }
  assert.ok(closed > count / 25, `SEED=${seed}: ${closed} closed`)
}

const MINUTES = Number(process.env['FUZZ_MINUTES'] ?? '0')
const SHARE_MS = (MINUTES * 60_000) / 2
/** The first rounds compile codecs and warm the heap. */
const WARM_ROUNDS = 10
const GROWTH_BYTES_MAX = 256 * 1024 * 1024

/** Once, and again until the time is up. */
async function repeat(apis: readonly Api[], count: number): Promise<void> {
  const endMs = realClock.monotonicMs() + SHARE_MS
  let warmBytes = Number.POSITIVE_INFINITY
  for (let round = 1; ; round++) {
    await run(apis, count)
    const { rss } = process.memoryUsage()
    if (round === WARM_ROUNDS) warmBytes = rss
    assert.ok(rss - warmBytes < GROWTH_BYTES_MAX, `${warmBytes} became ${rss} in ${round} rounds`)
    if (realClock.monotonicMs() >= endMs) return
  }
}

describe('kafka/server under fuzzed requests', () => {
  it('produce and fetch', () => repeat(HOT, 8000)).timeout(30_000 + 2 * SHARE_MS)
  it('all APIs', () => repeat(ALL, 3000)).timeout(30_000 + 2 * SHARE_MS)
})
