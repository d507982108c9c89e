/** Codecs: defaults, versions, limits, and arrays that stay on the wire. */
import assert from 'node:assert/strict'
import { compile } from './compile.ts'
import { errorCodes, errorName, errorOf } from './errors.ts'
import { ELEMENTS_MAX, UNKNOWN_TAGS_MAX, WireError } from './reader.ts'
import {
  array,
  bool,
  bytes,
  float64,
  type Infer,
  int16,
  int32,
  int64,
  nullableString,
  string,
  struct,
  uint16,
  uint32,
  uuid,
  type Written,
  ZERO_UUID,
} from './schema.ts'
import { readText } from './testing/golden.ts'
import { Writer } from './writer.ts'

const person = struct({
  name: string(),
  nick: nullableString({ since: 1, default: null }),
  age: int16({ since: 1, default: -1, ignorable: true }),
  pets: array({ kind: string(), legs: int32({ default: 4 }) }, { since: 1 }),
  notes: nullableString({ since: 1, tag: 3, default: null }),
  marks: array(int32(), { since: 1, tag: 5 }),
  home: struct({ street: string(), door: int32({ default: 1 }) }, { since: 1, tag: 7 }),
})

const plain = compile(person, { version: 0, isFlexible: false })
const flexible = compile(person, { version: 1, isFlexible: true })

describe('codecs', () => {
  it('fill in what a version lacks', () => {
    const value: Infer<typeof person> = {
      name: 'é',
      nick: null,
      age: -1,
      pets: [],
      notes: null,
      marks: [],
      home: { street: '', door: 1 },
    }
    assert.deepEqual(plain.decode(plain.encode({ name: 'é' })), value)
    assert.equal(flexible.encode({ name: '', pets: [] }).toString('hex'), '0100ffff0100')
  })

  it('write tags in order, and only those that say something', () => {
    const written: Written<typeof person> = {
      name: 'a',
      pets: [{ kind: 'cat' }, { kind: 'bird', legs: 2 }],
      marks: [1],
      home: { street: 's' },
      notes: '',
    }
    const encoded = flexible.encode(written)
    assert.deepEqual(flexible.decode(encoded), {
      ...written,
      nick: null,
      age: -1,
      pets: [
        { kind: 'cat', legs: 4 },
        { kind: 'bird', legs: 2 },
      ],
      home: { street: 's', door: 1 },
    })
    assert.deepEqual(
      flexible.decodeLazily(encoded).pets.map(({ legs }) => legs),
      [4, 2],
    )
    assert.match(encoded.toString('hex'), /^.*0303010105050200000001070702730000000100$/)
  })

  it('drop silently only what may be dropped', () => {
    assert.equal(plain.encode({ name: 'a', age: 3 }).length, 3)
    assert.throws(() => plain.encode({ name: 'a', nick: 'b' }), /nick is set/)
    assert.throws(() => plain.encode({ name: 'a', marks: [1] }), /marks is set/)
    assert.throws(() => plain.encode({ name: 'a', home: { street: '', door: 2 } }), /home is set/)
    assert.equal(plain.encode({ name: 'a', nick: null, home: { street: '' } }).length, 3)
  })

  it('do not compile with a wrong field', () => {
    // @ts-expect-error a number is no name
    assert.throws(() => plain.encode({ name: 1 }), /string expected, got 1/)
    // @ts-expect-error a name is needed
    assert.throws(() => plain.encode({}), /string expected, got undefined/)
    // @ts-expect-error there is no such field
    plain.encode({ name: 'a', surname: 'b' })
  })

  it('refuse values that do not fit', () => {
    const numbers = struct({ a: int16({ default: 0 }), b: uint16({ default: 0 }) })
    const codec = compile(numbers, { version: 0, isFlexible: false })
    for (const value of [{ a: 32768 }, { a: 1.5 }, { b: -1 }, { b: 65536 }, { a: Number.NaN }]) {
      assert.throws(() => codec.encode(value), WireError)
    }
    const id = compile(struct({ id: uuid() }), { version: 0, isFlexible: false })
    for (const value of ['', 'AAAA', '!'.repeat(22)]) {
      assert.throws(() => id.encode({ id: value }), /uuid expected/)
    }
    const text = compile(struct({ text: string() }), { version: 0, isFlexible: false })
    assert.throws(() => text.encode({ text: 'x'.repeat(32768) }), /32767/)
  })

  it('grow with what is written', () => {
    const codec = compile(struct({ a: bytes(), b: string() }), { version: 0, isFlexible: true })
    const value = { a: Buffer.alloc(100_000, 7), b: 'ü'.repeat(40_000) }
    assert.deepEqual(codec.decode(codec.encode(value)), value)
    const writer = new Writer(1)
    writer.raw(Buffer.alloc(300))
    writer.sizeBefore(0)
    assert.equal(writer.finish().toString('hex', 0, 3), 'ac0200')
  })

  it('keep numbers of each kind', () => {
    const schema = struct({ a: uint16(), b: uint32(), c: float64(), d: bool(), e: int64() })
    const codec = compile(schema, { version: 0, isFlexible: false })
    const value = { a: 65535, b: 4294967295, c: -0.25, d: true, e: -(2 ** 53) + 1 }
    assert.deepEqual(codec.decode(codec.encode(value)), value)
  })
})

describe('int64', () => {
  const schema = struct({ checked: int64(), saturated: int64({ saturates: true }) })
  const codec = compile(schema, { version: 0, isFlexible: false })
  const lossless = compile(schema, { version: 0, isFlexible: false, isLossless: true })
  const frame = (checked: bigint, saturated: bigint): Buffer => {
    const buffer = Buffer.alloc(16)
    buffer.writeBigInt64BE(checked, 0)
    buffer.writeBigInt64BE(saturated, 8)
    return buffer
  }

  it('is refused beyond 2^53, or taken as the nearest', () => {
    const safe = BigInt(Number.MAX_SAFE_INTEGER)
    for (const value of [safe, -safe, 0n, -1n, 2n ** 32n, -(2n ** 32n)]) {
      const number = Number(value)
      const found = codec.decode(frame(value, value))
      assert.deepEqual(found, { checked: number, saturated: number })
      assert.deepEqual(codec.encode(found), frame(value, value))
    }
    for (const value of [safe + 1n, -safe - 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
      assert.throws(() => codec.decode(frame(value, 0n)), /beyond/)
      assert.throws(() => codec.validate(frame(value, 0n)), /beyond/)
      const { saturated } = codec.decode(frame(0n, value))
      assert.equal(saturated, value > 0n ? Number.MAX_SAFE_INTEGER : Number.MIN_SAFE_INTEGER)
    }
  })

  it('keeps all bits in a lossless codec', () => {
    const value = { checked: 2n ** 63n - 1n, saturated: -(2n ** 63n) }
    const decoded: unknown = lossless.decode(frame(value.checked, value.saturated))
    assert.deepEqual(decoded, value)
  })
})

describe('bad bytes', () => {
  const refuse = (hex: string, pattern: RegExp) => {
    const buffer = Buffer.from(hex, 'hex')
    const isExpected = (error: unknown) => error instanceof WireError && pattern.test(error.message)
    assert.throws(() => flexible.decode(buffer), isExpected, hex)
    assert.throws(() => flexible.validate(buffer), isExpected, hex)
  }
  // name '', nick null, age -1, no pets
  const HEAD = '0100ffff01'

  it('are refused: tags', () => {
    assert.equal(flexible.decode(Buffer.from(`${HEAD}0103020261`, 'hex')).notes, 'a')
    refuse(`${HEAD}02030100030100`, /tag 3 after tag 3/)
    refuse(`${HEAD}020500030100`, /count 2 with 2 bytes left/)
    refuse(`${HEAD}0209000800`, /tag 8 after tag 9/)
    refuse(`${HEAD}0103030261`, /bytes wanted/)
    refuse(`${HEAD}010303026100`, /another size/)
    refuse(`${HEAD}01ffffffff7f00`, /more than 32 bits/)
    refuse(`${HEAD}ffffffff0f`, /bytes wanted/)
  })

  it('are refused: too many unknown tags', () => {
    const tags = (count: number) => {
      const section = Array.from({ length: count }, (_, i) => [0x80 | (i + 10), 0x01, 0x00])
      return Buffer.from([...Buffer.from(HEAD, 'hex'), count, ...section.flat()])
    }
    assert.equal(flexible.decode(tags(UNKNOWN_TAGS_MAX)).name, '')
    assert.throws(() => flexible.decode(tags(UNKNOWN_TAGS_MAX + 1)), /more than 64 unknown tags/)
  })

  it('are refused: null, lengths, UTF-8', () => {
    refuse('00', /null where/)
    refuse('05616263', /bytes wanted/)
    refuse('0100ffff00', /null where/)
    refuse('0100ffffffffffff0f', /count 4294967294 with 0 bytes left/)
    for (const text of ['ff', 'c080', 'eda080', 'f5808080', 'e697']) {
      refuse(`${(text.length / 2 + 1).toString(16).padStart(2, '0')}${text}00ffff0100`, /UTF-8/)
    }
  })

  it('are refused: a million elements', () => {
    const codec = compile(struct({ names: array(string()) }), { version: 0, isFlexible: true })
    const writer = new Writer()
    writer.uvarint(ELEMENTS_MAX + 2)
    writer.raw(Buffer.alloc(ELEMENTS_MAX + 2, 1))
    assert.throws(() => codec.decode(writer.finish()), /more than 1000000 array elements/)
  })
})

describe('an array left on the wire', () => {
  const schema = struct({
    topics: array({ name: string(), partitions: array(int32()), id: uuid() }),
  })
  const codec = compile(schema, { version: 0, isFlexible: true })
  const topics = Array.from({ length: 1000 }, (_, i) => ({
    name: `topic-${i}`,
    partitions: [i, i + 1],
    id: ZERO_UUID,
  }))
  const lazy = codec.decodeLazily(codec.encode({ topics })).topics

  it('behaves as an array', () => {
    assert.ok(Array.isArray(lazy))
    assert.equal(lazy.length, topics.length)
    assert.deepEqual(
      lazy.map(({ name }) => name),
      topics.map(({ name }) => name),
    )
    assert.equal(JSON.stringify(lazy), JSON.stringify(topics))
    assert.deepEqual([...lazy[7]!.partitions], [7, 8])
    assert.equal([...lazy].length, 1000)
    assert.equal(lazy.concat(lazy).length, 2000)
    assert.equal(lazy.find(({ name }) => name === 'topic-999')?.partitions[1], 1000)
    assert.equal(lazy.filter((_, index) => index % 2 === 0).length, 500)
    assert.equal(lazy.slice(990).length, 10)
    assert.ok(5 in lazy && !(1000 in lazy))
    assert.equal(lazy[1000], undefined)
    assert.equal(lazy.at(-1)?.name, 'topic-999')
  })

  it('can be read in any order', () => {
    for (const index of [999, 0, 31, 32, 33, 500, 499]) {
      assert.equal(lazy[index]!.name, `topic-${index}`)
    }
  })

  it('can not be written', () => {
    const writable = lazy as unknown as { name: string }[]
    assert.throws(() => writable.push({ name: 'x' }), TypeError)
    assert.throws(() => {
      writable[0] = { name: 'x' }
    }, TypeError)
  })

  it('is used where a plain one would cost too much', () => {
    const codecs = compile(struct({ names: array(string()) }), { version: 0, isFlexible: true })
    const names = Array.from({ length: 100_000 }, () => '')
    const decoded = codecs.decode(codecs.encode({ names })).names
    assert.equal(decoded.length, 100_000)
    assert.ok(decoded.every((name) => name === ''))
    assert.equal(Reflect.ownKeys(decoded).length, 1)
  })
})

describe('error codes', () => {
  it('are those of Kafka', () => {
    const theirs: {
      code: number
      name: string
      retriable: boolean
      refreshMetadata?: boolean
    }[] = JSON.parse(readText('errors.json'))
    assert.deepEqual(
      errorCodes.map(({ code, name, isRetriable, refreshesMetadata }) => [
        code,
        name,
        isRetriable,
        refreshesMetadata,
      ]),
      theirs.map(({ code, name, retriable, refreshMetadata = false }) => [
        code,
        name,
        retriable,
        refreshMetadata,
      ]),
    )
    assert.equal(errorName(3), 'UNKNOWN_TOPIC_OR_PARTITION')
    assert.equal(errorName(9999), 'error 9999')
    assert.equal(errorOf(9999), undefined)
  })
})
