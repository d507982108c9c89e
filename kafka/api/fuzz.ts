/**
 * A structure-aware fuzzer of the wire: makes requests that are right from the schemas of the
 * registry, then breaks them where it hurts: counts, lengths, varints, tags, UTF-8, cuts. What comes
 * out is for decoders (`checkRequest`) and for a listening server (`fuzzFrame`).
 */
import { assert } from '../../base/assert.ts'
import type { Random } from '../../base/random.ts'
import { requestHeader } from '../wire/header.ts'
import { WireError } from '../wire/reader.ts'
import { type Field, isNullable, isPresent, ZERO_UUID } from '../wire/schema.ts'
import { Writer } from '../wire/writer.ts'
import type { Api } from './define.ts'

type MarkKind = 'uvarint' | 'int16' | 'int32' | 'text'

/** A place in a frame that is worth breaking. */
interface Mark {
  readonly at: number
  readonly bytes: number
  readonly kind: MarkKind
}

/** Notes where lengths, counts and strings are written. Marks in tagged fields may be off: harmless. */
class MarkingWriter extends Writer {
  readonly marks: Mark[] = []

  override uvarint(value: number): void {
    const at = this.position
    super.uvarint(value)
    this.marks.push({ at, bytes: this.position - at, kind: 'uvarint' })
  }

  override int16(value: number): void {
    this.marks.push({ at: this.position, bytes: 2, kind: 'int16' })
    super.int16(value)
  }

  override int32(value: number): void {
    this.marks.push({ at: this.position, bytes: 4, kind: 'int32' })
    super.int32(value)
  }

  override string(value: string): void {
    const at = this.position
    super.string(value)
    this.marks.push({ at, bytes: 2, kind: 'int16' })
    this.#markText(at + 2)
  }

  override compactString(value: string): void {
    super.compactString(value)
    this.#markText(this.position - Buffer.byteLength(value))
  }

  override bytes(value: Buffer): void {
    this.marks.push({ at: this.position, bytes: 4, kind: 'int32' })
    super.bytes(value)
  }

  #markText(at: number): void {
    if (this.position > at) this.marks.push({ at, bytes: this.position - at, kind: 'text' })
  }
}

export interface FuzzedRequest {
  readonly api: Api
  readonly version: number
  /** Size, header and message. */
  readonly frame: Buffer
  /** Where the message begins; the header may be broken too. */
  readonly bodyStart: number
  readonly isBroken: boolean
}

const STRINGS = [
  '',
  'a',
  'topic-1',
  'group',
  '__consumer_offsets',
  '日本語',
  '🦊',
  'é'.repeat(70),
  '.',
]
const INTEGERS = [0, 1, -1, 2, 7, 127, -128]
const UVARINTS = [
  [0],
  [1],
  [2],
  [0x7f],
  [0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x80, 0x80, 0x80, 0x80, 0x00],
]
const FIXED = [-1, -2, 0, 1, 0x7f, 0x7fff, 0x7fff_ffff, -0x8000_0000, 1_000_000]
const BAD_TEXT = [0x80, 0xc0, 0xc1, 0xed, 0xf5, 0xff]
const DEPTH_MAX = 6

export class Fuzzer {
  readonly #random: Random
  readonly #apis: readonly Api[]

  constructor(random: Random, apis: readonly Api[]) {
    this.#random = random
    this.#apis = apis
  }

  /** A request of any API and version; broken more often than not. */
  next(): FuzzedRequest {
    const api = this.#pick(this.#apis)
    const [first, last] = api.versions
    const version = first + this.#random.below(last - first + 1)
    const { frame, bodyStart, marks } = this.#right(api, version)
    if (this.#random.below(8) === 0) return { api, version, frame, bodyStart, isBroken: false }
    let broken = frame
    for (let rounds = 1 + this.#random.below(3); rounds > 0; rounds--) {
      broken = this.#breakOnce(broken, rounds === 1 ? marks : [])
    }
    // A wrong size is the server's affair; decoders get what is there.
    if (broken.length >= 4 && this.#random.below(16) !== 0) {
      broken.writeInt32BE(broken.length - 4, 0)
    }
    return { api, version, frame: broken, bodyStart, isBroken: true }
  }

  #right(api: Api, version: number): { frame: Buffer; bodyStart: number; marks: Mark[] } {
    const writer = new MarkingWriter()
    const headerVersion = api.requestHeaderVersion(version)
    writer.int32(0)
    writer.int16(api.key)
    writer.int16(version)
    writer.int32(this.#random.uint32() | 0)
    const clientId = this.#value(requestHeader.fields.clientId, version, 0) as string | null
    if (clientId === null) writer.int16(-1)
    else writer.string(clientId)
    if (headerVersion === 2) writer.uvarint(0)
    const bodyStart = writer.position
    api.requestCodec(version).write(writer, this.#value(api.request, version, 0))
    const frame = writer.finish()
    frame.writeInt32BE(frame.length - 4, 0)
    return { frame, bodyStart, marks: writer.marks }
  }

  /** A value that the schema allows in this version. */
  #value(field: Field, version: number, depth: number): unknown {
    const random = this.#random
    if (isNullable(field, version) && random.below(4) === 0) return null
    switch (field.kind) {
      case 'bool':
        return random.below(2) === 0
      case 'string':
        return this.#pick(STRINGS)
      case 'uuid':
        return random.below(2) === 0 ? ZERO_UUID : random.bytes(16).toString('base64url')
      case 'bytes':
      case 'records':
        return random.bytes(random.below(40))
      case 'array': {
        const most = depth > DEPTH_MAX ? 1 : random.below(20) === 0 ? 200 : 4
        const length = random.below(most)
        return Array.from({ length }, () => this.#value(field.element!, version, depth + 2))
      }
      case 'struct':
        return Object.fromEntries(
          Object.entries(field.fields!)
            .filter(([, inner]) => isPresent(inner, version))
            .map(([name, inner]) => [name, this.#value(inner, version, depth + 1)]),
        )
      case 'float64':
        return random.unit()
      case 'int64':
        return random.below(4) === 0 ? this.#safeInteger() : this.#pick(INTEGERS)
      case 'uint16':
      case 'uint32':
        return Math.abs(this.#pick(INTEGERS))
      case 'int8':
      case 'int16':
      case 'int32':
        return this.#pick(INTEGERS)
    }
  }

  #safeInteger(): number {
    const random = this.#random
    const value = random.below(2 ** 21) * 2 ** 32 + random.uint32()
    return random.below(2) === 0 ? value : -value
  }

  #breakOnce(frame: Buffer, marks: readonly Mark[]): Buffer {
    const random = this.#random
    const choice = random.below(10)
    if (choice < 6 && marks.length > 0) return this.#breakMark(frame, this.#pick(marks))
    const at = random.below(frame.length + 1)
    switch (choice % 5) {
      case 0: // cut
        return Buffer.from(frame.subarray(0, at))
      case 1: // insert
        return splice(frame, at, 0, random.bytes(1 + random.below(16)))
      case 2: // remove
        return splice(frame, at, 1 + random.below(8), Buffer.alloc(0))
      case 3: {
        // repeat a part
        const length = random.below(frame.length - at + 1)
        return splice(frame, at, 0, frame.subarray(at, at + length))
      }
      default: {
        const flipped = Buffer.from(frame)
        if (at < flipped.length) flipped[at]! ^= 1 << random.below(8)
        return flipped
      }
    }
  }

  #breakMark(frame: Buffer, { at, bytes, kind }: Mark): Buffer {
    const random = this.#random
    switch (kind) {
      case 'uvarint':
        return random.below(4) === 0
          ? splice(frame, at, bytes, this.#tags())
          : splice(frame, at, bytes, Buffer.from(this.#pick(UVARINTS)))
      case 'int16':
      case 'int32': {
        const value = Buffer.alloc(4)
        value.writeInt32BE(this.#pick(FIXED), 0)
        return splice(frame, at, bytes, value.subarray(4 - bytes))
      }
      case 'text': {
        const broken = Buffer.from(frame)
        const place = at + random.below(bytes)
        if (place < broken.length) broken[place] = this.#pick(BAD_TEXT)
        return broken
      }
    }
  }

  /** A tagged section: some known numbers, some unknown, sometimes very many, sometimes unsorted. */
  #tags(): Buffer {
    const random = this.#random
    const writer = new Writer()
    const count = random.below(8) === 0 ? 70 : random.below(5)
    writer.uvarint(count)
    let tag = random.below(3)
    for (let i = 0; i < count; i++) {
      const data = random.bytes(random.below(6))
      writer.uvarint(tag)
      writer.uvarint(random.below(10) === 0 ? data.length + 1 : data.length)
      writer.raw(data)
      tag += random.below(20) === 0 ? 0 : 1 + random.below(1000)
    }
    return writer.finish()
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#random.below(choices.length)]!
  }
}

function splice(frame: Buffer, at: number, removed: number, inserted: Uint8Array): Buffer {
  return Buffer.concat([frame.subarray(0, at), inserted, frame.subarray(at + removed)])
}

/**
 * Decodes the message of a fuzzed request in each way there is, and checks that they agree: all
 * refuse it with WireError, or all return the same, which also survives a way there and back.
 * Returns whether it was accepted; throws AssertionFailed, or whatever else came out of a decoder.
 */
export function checkRequest({ api, version, frame, bodyStart, isBroken }: FuzzedRequest): boolean {
  const codec = api.requestCodec(version)
  const body = frame.subarray(Math.min(bodyStart, frame.length))
  const eager = attempt(() => codec.decode(body))
  const lazy = attempt(() => codec.decodeLazily(body))
  const valid = attempt(() => codec.validate(body))
  assert(eager.isAccepted === lazy.isAccepted, 'eager and lazy decoding accept the same')
  assert(eager.isAccepted === valid.isAccepted, 'decoding and validation accept the same')
  assert(isBroken || eager.isAccepted, 'what was written can be read')
  if (!eager.isAccepted) return false
  const json = JSON.stringify(eager.value)
  assert(JSON.stringify(lazy.value) === json, 'eager and lazy decoding return the same')
  // Saturated numbers and lost unknown tags make other bytes, but not another message.
  const again = codec.decode(codec.encode(eager.value))
  assert(JSON.stringify(again) === json, 'what was read can be written and read again')
  return true
}

function attempt<T>(decode: () => T): { isAccepted: boolean; value: T | undefined } {
  try {
    return { isAccepted: true, value: decode() }
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    return { isAccepted: false, value: undefined }
  }
}
