import assert from 'node:assert/strict'
import { alterPartition } from './api/56-alter-partition.ts'
import { brokerHeartbeat } from './api/63-broker-heartbeat.ts'
import type { Api } from './api/define.ts'
import { definitions } from './api/definitions.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  FORWARD_BYTES_MAX,
  type ForwardErrorCode,
} from './forward.ts'
import { ZERO_UUID } from './wire/schema.ts'
import { readLines } from './wire/testing/golden.ts'

interface GoldenMessage {
  readonly kind: 'request' | 'response'
  readonly version: number
  readonly hex: string
  readonly unknownTags?: readonly unknown[]
}

/** Messages of the latest version that numbers can hold, decoded. */
function samples(api: Api, kind: 'request' | 'response'): unknown[] {
  const version = api.versions[1]
  const codec = kind === 'request' ? api.requestCodec(version) : api.responseCodec(version)
  const file = `golden/${String(api.key).padStart(2, '0')}-${api.name}.jsonl`
  return readLines<GoldenMessage>(file)
    .filter((line) => line.kind === kind && line.version === version)
    .flatMap(({ hex }) => {
      try {
        return [codec.decode(Buffer.from(hex, 'hex'))]
      } catch {
        return [] // an int64 beyond 2^53
      }
    })
}

const refuses = (code: ForwardErrorCode, pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Error)
  assert.equal((error as { code?: string }).code, code)
  assert.match(error.message, pattern)
  return true
}

const HEARTBEAT = {
  brokerId: 3,
  currentMetadataOffset: 17,
  wantFence: false,
  wantShutDown: true,
}

describe('forwarded messages', () => {
  for (const api of definitions) {
    it(`carries ${api.name}`, () => {
      const requests = samples(api, 'request')
      const responses = samples(api, 'response')
      assert.ok(requests.length > 0 && responses.length > 0)
      for (const request of requests) {
        const decoded = decodeRequest(encodeRequest(api, request as never))
        assert.equal(decoded.api, api)
        assert.equal(decoded.version, api.versions[1])
        assert.deepEqual(decoded.request, request)
      }
      for (const response of responses) {
        const bytes = encodeResponse(api, api.versions[1], response as never)
        assert.deepEqual(decodeResponse(api, bytes), response)
      }
    })
  }

  it('fills in defaults', () => {
    const { request } = decodeRequest(encodeRequest(brokerHeartbeat, HEARTBEAT))
    assert.deepEqual(request, {
      ...HEARTBEAT,
      brokerEpoch: -1,
      offlineLogDirs: [],
      cordonedLogDirs: null,
    })
  })

  it('answers in the version of an older node', () => {
    const bytes = encodeRequest(alterPartition, { brokerId: 1, topics: [] })
    bytes.writeInt16BE(2, 2)
    const { version } = decodeRequest(bytes)
    assert.equal(version, 2)
    const partition = { partitionIndex: 0, errorCode: 0, leaderId: 1, leaderEpoch: 5, isr: [1] }
    const answer = encodeResponse(alterPartition, version, {
      errorCode: 0,
      topics: [
        {
          topicId: ZERO_UUID,
          partitions: [{ ...partition, leaderRecoveryState: 0, partitionEpoch: 9 }],
        },
      ],
    })
    assert.equal(answer.readInt16BE(2), 2)
    assert.equal(decodeResponse(alterPartition, answer).topics[0]?.partitions[0]?.partitionEpoch, 9)
  })

  it('refuses what this release does not know, with a sentence', () => {
    const bytes = encodeRequest(brokerHeartbeat, HEARTBEAT)
    bytes.writeInt16BE(3, 2)
    assert.throws(
      () => decodeRequest(bytes),
      refuses('unsupported', /BrokerHeartbeat 3 is not known here, only 0 to 2/),
    )
    assert.throws(() => decodeResponse(brokerHeartbeat, bytes), refuses('unsupported', /only 0/))
    bytes.writeInt16BE(1_000, 0)
    assert.throws(() => decodeRequest(bytes), refuses('unknown', /unknown API 1000/))
    assert.throws(
      () => decodeResponse(brokerHeartbeat, bytes),
      refuses('malformed', /an answer of API 1000 to a request BrokerHeartbeat/),
    )
  })

  it('refuses what is cut anywhere or goes on', () => {
    const request = encodeRequest(brokerHeartbeat, HEARTBEAT)
    for (let end = 0; end < request.length; end++) {
      assert.throws(() => decodeRequest(request.subarray(0, end)), refuses('malformed', /./))
    }
    const longer = Buffer.concat([request, Buffer.alloc(1)])
    assert.throws(() => decodeRequest(longer), refuses('malformed', /1 bytes after the message/))
    const answer = encodeResponse(brokerHeartbeat, 2, {
      errorCode: 0,
      isCaughtUp: true,
      shouldShutDown: false,
    })
    for (let end = 0; end < answer.length; end++) {
      const cut = answer.subarray(0, end)
      assert.throws(() => decodeResponse(brokerHeartbeat, cut), refuses('malformed', /./))
    }
  })

  it('has a limit on size, both ways', () => {
    const count = Math.ceil(FORWARD_BYTES_MAX / 18)
    const topics = new Array(count).fill({ topicId: ZERO_UUID, partitions: [] })
    const isr = { brokerId: 1, topics }
    assert.throws(
      () => encodeRequest(alterPartition, isr),
      refuses('too-large', /a request AlterPartition of \d+ bytes is over the limit/),
    )
    const large = Buffer.alloc(FORWARD_BYTES_MAX + 1)
    assert.throws(() => decodeRequest(large), refuses('too-large', /over the limit/))
    assert.throws(() => decodeResponse(alterPartition, large), refuses('too-large', /over/))
  })
})
