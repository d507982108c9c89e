/** What clients are told while nobody answers for the controller: in every API and version that asks it. */
import assert from 'node:assert/strict'
import { Unavailable } from '../unavailable.ts'
import { readLines } from '../wire/testing/golden.ts'
import { metadata } from './03-metadata.ts'
import type { Api, RequestContext } from './define.ts'
import { definitions, internalApis } from './definitions.ts'
import { ask, CLUSTER, fakeBroker, fakeTopics, partition } from './testing/fake-broker.ts'

interface GoldenMessage {
  readonly kind: 'request' | 'response'
  readonly version: number
  readonly hex: string
}

/** Requests that Kafka wrote, as handlers get them. */
function requestsOf(api: Api, version: number): unknown[] {
  const codec = api.requestCodec(version)
  const file = `golden/${String(api.key).padStart(2, '0')}-${api.name}.jsonl`
  return readLines<GoldenMessage>(file)
    .filter((message) => message.kind === 'request' && message.version === version)
    .flatMap(({ hex }) => {
      try {
        return [codec.decode(Buffer.from(hex, 'hex'))]
      } catch {
        return [] // an int64 beyond 2^53
      }
    })
}

function errorCodesOf(value: unknown): number[] {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return []
  return Object.entries(value).flatMap(([name, inner]) => {
    if (name === 'errorCode') return [inner as number]
    return errorCodesOf(inner)
  })
}

/** Those that have codes of their own for it. */
const OWN_CODES: Record<string, number> = { FindCoordinator: 15, InitProducerId: 14 }

describe('while nobody answers for the controller', () => {
  const refusing = definitions.filter((api) => api.refuse !== undefined)

  it('all that is decided there is refused', () => {
    assert.deepEqual(
      refusing.map(({ key }) => key),
      [10, 19, 20, 22, 33, 37, 43, 44, 45, 46, 55, 57, 64, 80, 81],
    )
    assert.ok(internalApis.every((api) => !refusing.includes(api)))
  })

  for (const api of refusing) {
    it(`${api.name} says so in each of its parts`, () => {
      const failure = new Unavailable(7, 'no controller answers')
      const expected = OWN_CODES[api.name] ?? 7
      for (let version = api.versions[0]; version <= api.versions[1]; version++) {
        const requests = requestsOf(api, version)
        assert.ok(requests.length > 0)
        let told = 0
        for (const request of requests) {
          const context = { apiVersion: version } as RequestContext
          const codec = api.responseCodec(version)
          const answer = codec.decode(codec.encode(api.refuse!(context, request as never, failure)))
          const codes = errorCodesOf(answer).filter(
            // Absent before the version that has it: its default.
            (code) => code !== 0 || !hasOldShape(api, version),
          )
          assert.ok(
            codes.every((code) => code === expected),
            `v${version} ${codes}`,
          )
          told += codes.length
        }
        assert.ok(told > 0, `v${version}`)
      }
    })
  }

  it('Metadata still tells of topics that exist', async () => {
    const topic = { name: 't', id: 'BHJLm_MOSfSN-ix-hyUAjw', isInternal: false }
    const broker = fakeBroker({
      cluster: CLUSTER,
      topics: {
        ...fakeTopics([{ ...topic, partitions: [partition(0)] }]),
        async autoCreate() {
          throw new Unavailable(7, 'no controller answers')
        },
      },
    })
    const answer = await ask(metadata, 12, broker, { topics: [{ name: 't' }, { name: 'new' }] })
    assert.deepEqual(
      answer.topics.map(({ errorCode }) => errorCode),
      [0, 3],
    )
  })
})

/** A decoded answer has all fields of the latest version, so error codes that are not on the wire. */
function hasOldShape({ name }: Api, version: number): boolean {
  if (name === 'FindCoordinator') return version >= 4
  return name === 'ElectLeaders' && version === 0
}
