/**
 * What a request costs the heap when it is decoded as the server does: arrays of as many of the
 * smallest elements as fit, in each place where there can be one, in every version of every API.
 */
import assert from 'node:assert/strict'
import { type Field, isNullable, isPresent, ZERO_UUID } from '../wire/schema.ts'
import { registry } from './registry.ts'

const FRAME_BYTES = 32 * 1024
const TIMES_MAX = 4
/** Decoders, closures and what the measuring itself takes. */
const SLACK_BYTES = 8 * 1024

/** The paths of all arrays below a field. */
function arraysOf(field: Field, version: number, path: string): string[] {
  if (field.kind === 'array') {
    return [path, ...arraysOf(field.element!, version, `${path}[]`)]
  }
  if (field.kind !== 'struct') return []
  return Object.entries(field.fields!)
    .filter(([, inner]) => isPresent(inner, version))
    .flatMap(([name, inner]) => arraysOf(inner, version, `${path}.${name}`))
}

/** The smallest value; the array at `target` has `count` elements, those on the way there one. */
function smallest(field: Field, version: number, path: string, target: string, count: number) {
  const make = (one: Field, at: string): unknown => {
    switch (one.kind) {
      case 'array': {
        const isOnTheWay = target.startsWith(`${at}[]`)
        const length = at === target ? count : isOnTheWay ? 1 : 0
        return Array.from({ length }, () => make(one.element!, `${at}[]`))
      }
      case 'struct': {
        const isWanted = target.startsWith(at)
        if (!isWanted && isNullable(one, version)) return null
        return Object.fromEntries(
          Object.entries(one.fields!)
            .filter(([, inner]) => isPresent(inner, version))
            .map(([name, inner]) => [name, make(inner, `${at}.${name}`)]),
        )
      }
      case 'bool':
        return false
      case 'string':
        return isNullable(one, version) ? null : ''
      case 'uuid':
        return ZERO_UUID
      case 'bytes':
      case 'records':
        return isNullable(one, version) ? null : Buffer.alloc(0)
      default:
        return 0
    }
  }
  return make(field, path)
}

describe('the heap for a request', () => {
  for (const api of registry) {
    // Their frames are read in place, without objects for what is in them: kafka/server/produce.ts.
    if (api.handle === undefined) continue
    it(`${api.name}: at most ${TIMES_MAX} times its size, in all versions`, () => {
      for (let version = api.versions[0]; version <= api.versions[1]; version++) {
        const codec = api.requestCodec(version)
        for (const target of arraysOf(api.request, version, '')) {
          const encode = (count: number) =>
            codec.encode(smallest(api.request, version, '', target, count) as never)
          const elementBytes = (encode(64).length - encode(0).length) / 64
          const body = encode(Math.floor(FRAME_BYTES / elementBytes))
          const decode = () => codec.decodeRequest(body, 0, body.length)
          decode()
          const bytes = Math.min(...[1, 2, 3].map(() => allocated(decode)))
          assert.ok(
            bytes <= TIMES_MAX * body.length + SLACK_BYTES,
            `v${version} ${target}: ${bytes} bytes for ${body.length}, ${elementBytes} an element`,
          )
        }
      }
    }).timeout(20_000)
  }
})

/** Bytes that came on the heap; a collection on the way makes it less, so the caller repeats. */
function allocated(run: () => unknown): number {
  for (;;) {
    const before = process.memoryUsage().heapUsed
    const value = run()
    const bytes = process.memoryUsage().heapUsed - before
    assert.ok(value !== undefined)
    if (bytes >= 0) return bytes
  }
}
