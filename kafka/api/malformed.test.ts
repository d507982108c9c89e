/**
 * Bad input, for every API and version: messages that are cut anywhere, counts and lengths beyond
 * the bytes that are there, and what a hostile frame may cost in memory.
 */
import assert from 'node:assert/strict'
import { WireError } from '../wire/reader.ts'
import { type Field, isNullable, isPresent, ZERO_UUID } from '../wire/schema.ts'
import { readLines } from '../wire/testing/golden.ts'
import type { Api } from './define.ts'
import { definitions } from './definitions.ts'

interface GoldenMessage {
  readonly kind: 'request' | 'response'
  readonly version: number
  readonly hex: string
}

const golden = (api: Api) =>
  readLines<GoldenMessage>(`golden/${String(api.key).padStart(2, '0')}-${api.name}.jsonl`).filter(
    ({ version }) => api.serves(version),
  )

const codecOf = (api: Api, { kind, version }: GoldenMessage) =>
  kind === 'request' ? api.requestCodec(version) : api.responseCodec(version)

describe('malformed messages', () => {
  it('are refused when cut at any byte', () => {
    for (const api of definitions) {
      for (const message of golden(api)) {
        const codec = codecOf(api, message)
        const bytes = Buffer.from(message.hex, 'hex')
        // Beyond a few dozen bytes each place resembles one before it.
        const step = Math.max(1, Math.floor(bytes.length / 40))
        for (let end = 0; end < bytes.length; end += step) {
          assert.throws(() => codec.validate(bytes, 0, end), WireError)
          assert.throws(() => codec.decode(bytes, 0, end), WireError)
        }
      }
    }
  }).timeout(30_000)

  it('are refused with bytes after their end', () => {
    for (const api of definitions) {
      for (const message of golden(api)) {
        const bytes = Buffer.from(`${message.hex}00`, 'hex')
        assert.throws(() => codecOf(api, message).decode(bytes), WireError)
        assert.throws(() => codecOf(api, message).validate(bytes), WireError)
      }
    }
  })

  it('never crash or hang with any byte changed', () => {
    for (const api of definitions) {
      for (const message of golden(api)) {
        const codec = codecOf(api, message)
        const bytes = Buffer.from(message.hex, 'hex')
        const step = Math.max(1, Math.floor(bytes.length / 20))
        for (let at = 0; at < bytes.length; at += step) {
          for (const value of [0x00, 0x7f, 0xff]) {
            const was = bytes[at]!
            bytes[at] = value
            expectValueOrWireError(() => codec.decode(bytes))
            expectValueOrWireError(() => codec.validate(bytes))
            bytes[at] = was
          }
        }
      }
    }
  }).timeout(30_000)
})

function expectValueOrWireError(run: () => unknown): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof WireError)) throw error
  }
}

const FRAME_BYTES = 16 * 1024
const HEAP_FACTOR_MAX = 4
/** What small messages may take besides, and the measuring itself. */
const NOISE_BYTES = 24 * 1024

describe('memory for a request', () => {
  for (const api of definitions) {
    it(`is at most ${HEAP_FACTOR_MAX} times its size: ${api.name}`, () => {
      const [first, last] = api.versions
      for (let version = first; version <= last; version++) {
        for (const path of arrayPaths(api.request, version)) {
          for (const text of ['', 'ab']) measure(api, version, path, text)
        }
      }
    })
  }
})

function measure(api: Api, version: number, path: readonly string[], text: string): void {
  const codec = api.requestCodec(version)
  const one = codec.encode(filled(api.request, version, path, 1, text)).length
  const two = codec.encode(filled(api.request, version, path, 2, text)).length
  const count = Math.floor(FRAME_BYTES / (two - one))
  const frame = codec.encode(filled(api.request, version, path, count, text))
  const limit = HEAP_FACTOR_MAX * frame.length + NOISE_BYTES
  let allocated = Number.NaN
  // A collection in between spoils a measurement; the first use of a codec costs once.
  for (let attempt = 0; attempt < 5 && !(allocated >= 0 && allocated <= limit); attempt++) {
    const before = heapBytes()
    const request = codec.decode(frame)
    allocated = heapBytes() - before
    assert.equal(arrayAt(request, path).length, count)
  }
  const at = `${api.name} v${version} ${path.join('.')} of ${JSON.stringify(text)}`
  assert.ok(allocated >= 0 && allocated <= limit, `${at}: ${allocated} for ${frame.length}`)
}

function heapBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function arrayAt(value: unknown, path: readonly string[]): readonly unknown[] {
  let found = value
  for (const name of path) {
    found = Array.isArray(found) ? found[0] : found
    found = (found as Record<string, unknown>)[name]
  }
  return found as readonly unknown[]
}

/** The names that lead to each array of a message. */
function arrayPaths(schema: Field, version: number): string[][] {
  return Object.entries(schema.fields ?? {}).flatMap(([name, field]) => {
    if (!isPresent(field, version) || field.kind !== 'array') return []
    return [[name], ...arrayPaths(field.element!, version).map((rest) => [name, ...rest])]
  })
}

/** A message as small as can be but for one array, of `count` elements that are small too. */
function filled(
  field: Field,
  version: number,
  path: readonly string[],
  count: number,
  text: string,
): unknown {
  const [next, ...rest] = path
  switch (field.kind) {
    case 'struct':
      if (next === undefined && isNullable(field, version)) return null
      return Object.fromEntries(
        Object.entries(field.fields!)
          .filter(
            ([name, inner]) =>
              isPresent(inner, version) && (inner.options.tag === undefined || name === next),
          )
          .map(([name, inner]) => [
            name,
            name === next
              ? Array.from({ length: rest.length === 0 ? count : 1 }, () =>
                  filled(inner.element!, version, rest, count, text),
                )
              : filled(inner, version, [], count, text),
          ]),
      )
    case 'string':
      return text
    case 'bytes':
    case 'records':
      return Buffer.from(text)
    case 'array':
      return []
    case 'bool':
      return false
    case 'uuid':
      return ZERO_UUID
    default:
      return 0
  }
}
