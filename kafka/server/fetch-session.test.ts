import assert from 'node:assert/strict'
import fc from 'fast-check'
import { fetch as api } from '../api/01-fetch.ts'
import type { Api } from '../api/define.ts'
import { EntryList, FetchEntry } from './fetch-entries.ts'
import { FetchSessionCache, nextEpoch } from './fetch-session.ts'
import { batchOf, type Client, countingRandom, Fixture, topicId } from './testing/fixture.ts'

// biome-ignore lint/suspicious/noExplicitAny: decoded answers are looked at field by field
type Json = any

const fetch = api as unknown as Api

interface Want {
  topic: number
  index: number
  offset: number
}

function request(
  version: number,
  session: { id: number; epoch: number },
  wants: Want[],
  options: { forgotten?: Omit<Want, 'offset'>[]; maxWaitMs?: number; maxBytes?: number } = {},
) {
  const key = (topic: number) =>
    version >= 13 ? { topicId: topicId(topic) } : { topic: `topic-${topic}` }
  return {
    maxWaitMs: options.maxWaitMs ?? 0,
    minBytes: 1,
    maxBytes: options.maxBytes ?? 1e7,
    isolationLevel: 0,
    sessionId: session.id,
    sessionEpoch: session.epoch,
    topics: wants.map(({ topic, index, offset }) => ({
      ...key(topic),
      partitions: [
        {
          partition: index,
          currentLeaderEpoch: -1,
          fetchOffset: offset,
          lastFetchedEpoch: -1,
          logStartOffset: -1,
          partitionMaxBytes: 1e6,
        },
      ],
    })),
    forgottenTopicsData: (options.forgotten ?? []).map(({ topic, index }) => ({
      ...key(topic),
      partitions: [index],
    })),
    rackId: '',
    ...(version <= 14 ? { replicaId: -1 } : {}),
  }
}

const namesOf = (body: Json): string[] =>
  body.responses.flatMap((topic: Json) =>
    topic.partitions.map((part: Json) => {
      const number = topic.topic !== '' ? topic.topic.split('-')[1] : idNumber(topic.topicId)
      return `${number}/${part.partitionIndex}`
    }),
  )

function idNumber(id: string): number {
  return Buffer.from(id, 'base64url').readUInt32BE(12)
}

describe('kafka/server/fetch-session', () => {
  let fixture: Fixture
  let client: Client

  const prepare = async (options = {}) => {
    fixture = new Fixture(options)
    for (let topic = 1; topic <= 3; topic++) fixture.data.add(`topic-${topic}`, 3)
    await fixture.start()
    client = fixture.client()
  }
  beforeEach(() => prepare())

  const fill = (topic: number, index: number) => {
    const partition = fixture.data.topic(`topic-${topic}`)!.partitions[index]!
    partition.store(batchOf(1))
    partition.commit()
  }
  const three = [
    { topic: 1, index: 0, offset: 0 },
    { topic: 1, index: 1, offset: 0 },
    { topic: 2, index: 0, offset: 0 },
  ]
  const open = (version: number): Json =>
    client.fetch(version, request(version, { id: 0, epoch: 0 }, three))

  for (const version of [12, 13, 18]) {
    it(`v${version}: tells all at first, and only what is new afterwards`, () => {
      const first = open(version)
      assert.equal(first.errorCode, 0)
      assert.notEqual(first.sessionId, 0)
      assert.deepEqual(namesOf(first), ['1/0', '1/1', '2/0'])
      const id = first.sessionId
      assert.deepEqual(namesOf(client.fetch(version, request(version, { id, epoch: 1 }, []))), [])
      fill(2, 0)
      const third: Json = client.fetch(version, request(version, { id, epoch: 2 }, []))
      assert.deepEqual(namesOf(third), ['2/0'])
      assert.equal(third.sessionId, id)
      assert.equal(third.responses[0].partitions[0].records.length > 0, true)
      // What has moved on is sent again until the client says where it is.
      fill(1, 1)
      const fourth = client.fetch(version, request(version, { id, epoch: 3 }, []))
      assert.deepEqual(namesOf(fourth), ['1/1', '2/0'])
      const wants = [
        { topic: 2, index: 0, offset: 1 },
        { topic: 1, index: 1, offset: 1 },
      ]
      const fifth = client.fetch(version, request(version, { id, epoch: 4 }, wants))
      assert.deepEqual(namesOf(fifth), [])
    })

    it(`v${version}: forgets, adds, and ends with the last partition`, () => {
      const id = open(version).sessionId
      const forgotten = [{ topic: 1, index: 0 }]
      const wants = [{ topic: 3, index: 2, offset: 0 }]
      const second = client.fetch(version, request(version, { id, epoch: 1 }, wants, { forgotten }))
      assert.deepEqual(namesOf(second), ['3/2'])
      for (const [topic, index] of [
        [1, 0],
        [1, 1],
        [3, 2],
      ] as const)
        fill(topic, index)
      const third = client.fetch(version, request(version, { id, epoch: 2 }, []))
      assert.deepEqual(namesOf(third).sort(), ['1/1', '3/2'])
      const rest = [
        { topic: 1, index: 1 },
        { topic: 2, index: 0 },
        { topic: 3, index: 2 },
      ]
      const last: Json = client.fetch(
        version,
        request(version, { id, epoch: 3 }, [], { forgotten: rest }),
      )
      assert.equal(last.sessionId, 0)
      assert.equal(fixture.server.sessions.size, 0)
      assert.equal(fixture.server.sessions.partitionCount, 0)
    })
  }

  it('answers 70 for unknown sessions, 71 out of step, 106 when ids and names mix', () => {
    const id = open(12).sessionId
    const errorOf = (version: number, session: { id: number; epoch: number }) => {
      const body: Json = client.fetch(version, request(version, session, []))
      assert.deepEqual(body.responses, [])
      return body.errorCode
    }
    assert.equal(errorOf(12, { id: id + 1, epoch: 1 }), 70)
    assert.equal(errorOf(12, { id, epoch: 2 }), 71)
    assert.equal(errorOf(13, { id, epoch: 1 }), 106)
    assert.equal(errorOf(12, { id, epoch: 1 }), 0)
  })

  it('ends a session on the final epoch, and replaces it on the first', () => {
    const { sessions } = fixture.server
    const id = open(12).sessionId
    const again: Json = client.fetch(12, request(12, { id, epoch: 0 }, three))
    assert.notEqual(again.sessionId, id)
    assert.equal(sessions.size, 1)
    const final: Json = client.fetch(12, request(12, { id: again.sessionId, epoch: -1 }, three))
    assert.equal(final.sessionId, 0)
    assert.equal(namesOf(final).length, 3)
    assert.equal(sessions.size, 0)
  })

  it('tells of an error until it is gone, and then of the partition again', () => {
    const id = open(12).sessionId
    const partition = fixture.data.topic('topic-1')!.partitions[0]!
    partition.readerError = 6
    for (const epoch of [1, 2]) {
      const body: Json = client.fetch(12, request(12, { id, epoch }, []))
      assert.deepEqual(namesOf(body), ['1/0'])
      assert.equal(body.responses[0].partitions[0].errorCode, 6)
    }
    partition.readerError = 0
    assert.deepEqual(namesOf(client.fetch(12, request(12, { id, epoch: 3 }, []))), ['1/0'])
    assert.deepEqual(namesOf(client.fetch(12, request(12, { id, epoch: 4 }, []))), [])
  })

  it('a topic made again has another id: 103 in a session that knew it, 3 when it is gone', () => {
    const id = open(13).sessionId
    fixture.data.topics.delete('topic-1')
    const gone: Json = client.fetch(13, request(13, { id, epoch: 1 }, []))
    assert.deepEqual(
      gone.responses[0].partitions.map((part: Json) => part.errorCode),
      [3, 3],
    )
    fixture.data.add('topic-1', 3, topicId(77))
    const made: Json = client.fetch(13, request(13, { id, epoch: 2 }, []))
    assert.deepEqual(
      made.responses[0].partitions.map((part: Json) => part.errorCode),
      [103, 103],
    )
  })

  it('gives each partition its turn when an answer holds one only', () => {
    for (const { topic, index } of three) for (let i = 0; i < 3; i++) fill(topic, index)
    const id = client.fetch(12, request(12, { id: 0, epoch: 0 }, three, { maxBytes: 1 })).sessionId!
    const served: string[] = []
    for (let epoch = 1; epoch <= 6; epoch++) {
      const body: Json = client.fetch(12, request(12, { id, epoch }, [], { maxBytes: 1 }))
      const withRecords = body.responses.flatMap((topic: Json) =>
        topic.partitions
          .filter((part: Json) => part.records.length > 0)
          .map((part: Json) => `${topic.topic}/${part.partitionIndex}`),
      )
      assert.equal(withRecords.length, 1)
      served.push(withRecords[0])
    }
    assert.deepEqual(served.slice(0, 3), ['topic-1/1', 'topic-2/0', 'topic-1/0'])
    assert.deepEqual(served.slice(3), served.slice(0, 3))
  })

  it('lets a waiting fetch go when its session is used by another request', () => {
    const id = open(12).sessionId
    client.send(fetch, 12, request(12, { id, epoch: 1 }, [], { maxWaitMs: 1000 }))
    const other = fixture.client()
    const body: Json = other.fetch(12, request(12, { id, epoch: 2 }, []))
    assert.equal(body.errorCode, 71)
    const late: Json = client.fetched(12)
    assert.equal(late.errorCode, 71)
    assert.equal(fixture.server.sessions.size, 0)
    assert.equal(fixture.server.probe.waitingFetches, 0)
  })

  it('a session outlives the connection that it was made on', () => {
    const id = open(12).sessionId
    client.send(fetch, 12, request(12, { id, epoch: 1 }, [], { maxWaitMs: 1000 }))
    client.connection.finish()
    client = fixture.client()
    const body: Json = client.fetch(12, request(12, { id, epoch: 2 }, []))
    assert.equal(body.errorCode, 0)
  })

  it('answers without a session when there is no room for one', async () => {
    await prepare({ fetchSessionsMax: 1 })
    assert.notEqual(open(12).sessionId, 0)
    assert.equal(open(12).sessionId, 0)
    fixture.clock.advance(120_001)
    client = fixture.client()
    assert.notEqual(open(12).sessionId, 0)
    assert.equal(fixture.server.sessions.evictions, 1)
  })

  it('makes room by age, then by size', () => {
    const cache = new FetchSessionCache({
      sessionsMax: 2,
      partitionsMax: 100,
      idleMs: 1000,
      random: countingRandom(),
    })
    const make = (size: number, nowMs: number) => {
      const entries = new EntryList()
      for (let i = 0; i < size; i++) {
        const entry = new FetchEntry()
        entry.reset('t', i)
        entries.append(entry)
      }
      return cache.create(entries, false, nowMs)
    }
    const small = make(2, 0)!
    const large = make(5, 0)!
    assert.equal(make(9, 900), undefined)
    small.usedMs = 900
    large.usedMs = 900
    assert.equal(make(2, 1500), undefined, 'not larger than the smallest')
    const middle = make(3, 1500)!
    assert.equal(cache.get(small.id), undefined)
    middle.usedMs = 1950
    assert.notEqual(make(1, 2000), undefined, 'the other was not used for long')
    assert.equal(cache.get(large.id), undefined)
    assert.equal(cache.partitionCount, 4)
    assert.equal(make(97, 9000), undefined, 'too many partitions in all')
  })

  it('counts epochs on from 1 after the last', () => {
    assert.equal(nextEpoch(1), 2)
    assert.equal(nextEpoch(0x7fffffff), 1)
  })

  it('agrees with a naive model of what a client knows', async () => {
    const step = fc.record({
      kind: fc.constantFrom('fetch', 'fetch', 'fill', 'fill', 'forget', 'add', 'seek'),
      topic: fc.integer({ min: 1, max: 3 }),
      index: fc.nat(2),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        await prepare()
        const known = new Map<string, { want: Want; highWatermark: number }>()
        let epoch = 0
        let id = 0
        let changed = new Map<string, Want>()
        let forgotten = new Map<string, Omit<Want, 'offset'>>()
        changed.set('1/0', { topic: 1, index: 0, offset: 0 })
        for (const { kind, topic, index } of steps) {
          const name = `${topic}/${index}`
          if (kind === 'fill') fill(topic, index)
          else if (kind === 'forget' && known.has(name) && known.size > 1) {
            forgotten.set(name, { topic, index })
            changed.delete(name)
            known.delete(name)
          } else if (kind === 'add' && !known.has(name) && !forgotten.has(name)) {
            changed.set(name, { topic, index, offset: 0 })
          } else if (kind === 'seek' && known.has(name)) {
            changed.set(name, { topic, index, offset: 0 })
          } else if (kind === 'fetch') {
            const body: Json = client.fetch(
              12,
              request(12, { id, epoch }, [...changed.values()], {
                forgotten: [...forgotten.values()],
              }),
            )
            assert.equal(body.errorCode, 0)
            const isFirst = epoch === 0
            id = body.sessionId
            epoch++
            for (const [each, want] of changed) {
              known.set(each, { want, highWatermark: known.get(each)?.highWatermark ?? -1 })
            }
            changed = new Map()
            forgotten = new Map()
            const expected: string[] = []
            for (const [each, state] of known) {
              const port = fixture.data.topic(`topic-${state.want.topic}`)!.partitions[
                state.want.index
              ]!
              const hasRecords = state.want.offset < port.highWatermark
              if (isFirst || hasRecords || port.highWatermark !== state.highWatermark) {
                expected.push(each)
              }
              state.highWatermark = port.highWatermark
              if (hasRecords) {
                // The client moves on and says so with its next request.
                const want = { ...state.want, offset: port.highWatermark }
                state.want = want
                changed.set(each, want)
              }
            }
            assert.deepEqual(namesOf(body).sort(), expected.sort())
          }
        }
      }),
      { numRuns: 150 },
    )
  })
})
