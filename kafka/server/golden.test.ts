/** Requests that Kafka's own serializers wrote: both hot codecs read from them what is in them. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Reader } from '../wire/reader.ts'
import { FetchRequest } from './fetch-request.ts'
import { Fixture } from './testing/fixture.ts'

// biome-ignore lint/suspicious/noExplicitAny: golden values are looked at field by field
type Json = any

interface Golden {
  readonly kind: 'request' | 'response'
  readonly version: number
  readonly variant: string
  readonly hex: string
  readonly json: Json
}

function golden(file: string): Golden[] {
  const path = new URL(`../../../kafka/testdata/golden/${file}`, import.meta.url)
  return readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Golden)
    .filter(({ kind }) => kind === 'request')
}

const clamp = (text: string) => {
  const value = BigInt(text)
  const limit = BigInt(Number.MAX_SAFE_INTEGER)
  return Number(value > limit ? limit : value < -limit ? -limit : value)
}

describe('kafka/server and golden requests', () => {
  it('fetch reads each field', () => {
    const request = new FetchRequest()
    let compared = 0
    for (const { version, variant, hex, json } of golden('01-Fetch.jsonl')) {
      const bytes = Buffer.from(hex, 'hex')
      const about = `v${version} ${variant}`
      // The first byte behind the int32s in front of it.
      const isolationAt = version <= 14 ? 16 : 12
      if (json.isolationLevel > 1 || json.isolationLevel < 0) bytes[isolationAt] = 1
      const reader = new Reader(bytes, 0, bytes.length)
      request.check(reader, version)
      const replicaId = version <= 14 ? json.replicaId : (json.replicaState?.replicaId ?? -1)
      assert.deepEqual(
        [request.replicaId, request.maxWaitMs, request.minBytes, request.maxBytes],
        [replicaId, json.maxWaitMs, json.minBytes, json.maxBytes],
        about,
      )
      assert.deepEqual(
        [request.sessionId, request.sessionEpoch],
        version < 7 ? [0, -1] : [json.sessionId, json.sessionEpoch],
        about,
      )
      const seen: unknown[] = []
      request.readPartitions(reader, { addPartition: (...fields) => seen.push(fields) })
      const expected = json.topics.flatMap((topic: Json) =>
        topic.partitions.map((each: Json) => [
          topic.topicId ?? topic.topic,
          each.partition,
          each.currentLeaderEpoch ?? -1,
          clamp(each.fetchOffset),
          each.lastFetchedEpoch ?? -1,
          each.partitionMaxBytes,
        ]),
      )
      assert.deepEqual(seen, expected, about)
      const forgotten: unknown[] = []
      request.readForgotten(reader, (...fields) => forgotten.push(fields))
      const expectedForgotten = (json.forgottenTopicsData ?? []).flatMap((topic: Json) =>
        topic.partitions.map((index: number) => [topic.topicId ?? topic.topic, index]),
      )
      assert.deepEqual(forgotten, expectedForgotten, about)
      compared++
    }
    assert.ok(compared > 30)
  })

  it('produce takes each, and answers when it is asked to', async () => {
    const fixture = new Fixture()
    await fixture.start()
    let answered = 0
    for (const { version, variant, hex, json } of golden('00-Produce.jsonl')) {
      const client = fixture.client()
      const header = Buffer.from(`0000${version.toString(16).padStart(4, '0')}00000007ffff`, 'hex')
      const frame = Buffer.concat([
        Buffer.alloc(4),
        header,
        Buffer.alloc(version >= 9 ? 1 : 0),
        Buffer.from(hex, 'hex'),
      ])
      frame.writeInt32BE(frame.length - 4, 0)
      client.connection.send(frame)
      fixture.clock.endTurn()
      const about = `v${version} ${variant}`
      const [answer] = client.connection.answers()
      if (json.acks !== 0) {
        assert.equal(answer?.readInt32BE(0), 7, about)
        answered++
      } else assert.equal(answer, undefined, about)
      client.connection.finish()
    }
    assert.ok(answered > 10)
  })
})
