/** Headers and frames against those that Kafka writes. */
import assert from 'node:assert/strict'
import { apiOf } from '../api/registry.ts'
import { FrameHeader, responseHeaderBytes, writeResponseHeader } from './frame.ts'
import { requestHeaderCodecs, responseHeaderCodecs } from './header.ts'
import { readLines } from './testing/golden.ts'

interface GoldenHeader {
  readonly kind: 'requestHeader' | 'responseHeader'
  readonly version: number
  readonly variant: string
  readonly hex: string
  readonly json: {
    requestApiKey: number
    requestApiVersion: number
    correlationId: number
    clientId: string | null
  }
}

interface GoldenFrame {
  readonly key: number
  readonly kind: 'request' | 'response'
  readonly version: number
  readonly headerVersion: 0 | 1 | 2
  readonly hex: string
  readonly header: GoldenHeader['json']
}

describe('frames', () => {
  it('reads and writes the golden headers', () => {
    for (const { kind, version, variant, hex, json } of readLines<GoldenHeader>(
      'golden/headers.jsonl',
    )) {
      const codec =
        kind === 'requestHeader'
          ? requestHeaderCodecs[version as 1 | 2]
          : responseHeaderCodecs[version as 0 | 1]
      assert.deepEqual(codec.decode(Buffer.from(hex, 'hex')), json)
      if (variant !== 'unknown-tags') assert.equal(codec.encode(json).toString('hex'), hex)
    }
  })

  it('parses the headers of the golden requests in place', () => {
    const header = new FrameHeader()
    let count = 0
    for (const frame of readLines<GoldenFrame>('golden/frames.jsonl')) {
      if (frame.kind !== 'request') continue
      const api = apiOf(frame.key)
      assert.ok(api)
      if (!api.serves(frame.version)) continue
      const bytes = Buffer.from(frame.hex, 'hex')
      assert.equal(bytes.readInt32BE(0), bytes.length - 4)
      header.parse(bytes, 4, bytes.length)
      assert.deepEqual(
        {
          requestApiKey: header.apiKey,
          requestApiVersion: header.apiVersion,
          correlationId: header.correlationId,
          clientId: header.clientId(bytes),
        },
        frame.header,
      )
      assert.equal(api.requestHeaderVersion(frame.version), frame.headerVersion)
      if (frame.headerVersion === 2) header.skipTags(bytes, bytes.length)
      api.requestCodec(frame.version).validate(bytes, header.position, bytes.length)
      count++
    }
    assert.ok(count > 50)
  })

  it('frames the golden responses', () => {
    for (const frame of readLines<GoldenFrame>('golden/frames.jsonl')) {
      if (frame.kind !== 'response') continue
      const bytes = Buffer.from(frame.hex, 'hex')
      const headerVersion = frame.headerVersion as 0 | 1
      const headerBytes = responseHeaderBytes(headerVersion)
      const ours = Buffer.alloc(headerBytes)
      const end = writeResponseHeader(
        ours,
        0,
        bytes.length - headerBytes,
        frame.header.correlationId,
        headerVersion,
      )
      assert.equal(end, headerBytes)
      assert.equal(ours.toString('hex'), bytes.toString('hex', 0, headerBytes))
    }
  })

  it('refuses headers that are cut or wrong', () => {
    const header = new FrameHeader()
    const bytes = requestHeaderCodecs[2].encode({
      requestApiKey: 18,
      requestApiVersion: 3,
      correlationId: 7,
      clientId: 'abc',
    })
    for (let end = 0; end < bytes.length; end++) {
      assert.throws(() => {
        header.parse(bytes, 0, end)
        header.skipTags(bytes, end)
      }, /bytes|beyond/)
    }
    const negative = Buffer.from(bytes)
    negative.writeInt16BE(-2, 8)
    assert.throws(() => header.parse(negative, 0, negative.length), /length -2/)
    const wrong = Buffer.from(bytes)
    wrong[11] = 0xff
    header.parse(wrong, 0, wrong.length)
    assert.throws(() => header.clientId(wrong), /UTF-8/)
  })
})
