/** Record types against the records that Kafka writes into its own topics. */
import assert from 'node:assert/strict'
import { compile } from './compile.ts'
import { printLayout } from './layout.ts'
import { defineRecord, type RecordPrefix, readPrefix } from './record.ts'
import { int32, string, struct } from './schema.ts'
import {
  type FieldDefinition,
  fromJson,
  type JsonObject,
  rangeOf,
  readLines,
  readText,
  schemaOf,
  toJson,
} from './testing/golden.ts'

interface Part {
  readonly name: string
  readonly versions: string
  readonly flexible: string
  readonly fields: readonly FieldDefinition[]
}

interface RecordsFile {
  readonly keyPrefix?: string
  readonly valuePrefix?: string
  readonly records: readonly (Part & { readonly id?: number; key?: Part; value?: Part })[]
}

interface GoldenRecord {
  readonly record: string
  readonly part?: 'key' | 'value'
  readonly version: number
  readonly hex: string
  readonly framed: string
  readonly unknownTags?: readonly unknown[]
  readonly json: JsonObject
}

describe('records of Kafka', () => {
  for (const name of ['group-coordinator', 'transaction-coordinator', 'metadata', 'embedded']) {
    it(`reads and writes those of ${name}`, () => {
      const file: RecordsFile = JSON.parse(readText(`records/${name}.json`))
      const golden = readLines<GoldenRecord>(`golden/records/${name}.jsonl`)
      assert.ok(golden.length > 5)
      for (const record of golden) checkRecord(file, record)
    })
  }

  it('refuses other types and versions', () => {
    const schema = struct({ name: string() })
    const value = { name: 'a' }
    const key = defineRecord({ name: 'Key', id: 2, prefix: 'type', versions: [0, 0], schema })
    const frame = defineRecord({
      name: 'Frame',
      id: 3,
      prefix: 'metadata',
      versions: [0, 1],
      schema,
    })
    const plain = defineRecord({ name: 'Plain', prefix: 'version', versions: [1, 2], schema })
    assert.deepEqual(key.decode(key.encode(value)), value)
    assert.deepEqual(frame.decode(frame.encode(value)), value)
    assert.deepEqual(plain.decode(plain.encode(value, 1)), value)
    assert.throws(() => key.decode(Buffer.from([0, 3, 0, 1, 97])), /record type 3/)
    assert.throws(() => frame.decode(Buffer.from([1, 3, 2, 0, 1, 97])), /version 2/)
    assert.throws(() => frame.decode(Buffer.from([1, 4, 1, 0, 1, 97])), /record type 4/)
    assert.throws(() => frame.decode(Buffer.from([2, 3, 1, 0, 1, 97])), /frame version 2/)
    assert.throws(() => plain.decode(Buffer.from([0, 3, 0, 1, 97])), /version 3/)
    assert.throws(() => plain.decode(Buffer.from([0])), /bytes wanted/)
  })

  it('reads a prefix alone', () => {
    assert.deepEqual(readPrefix(Buffer.from([9, 0, 5, 7]), 1, 4, 'type'), {
      id: 5,
      version: -1,
      position: 3,
    })
  })

  it('lets newer versions add fields', () => {
    const grown = defineRecord({
      name: 'Grown',
      prefix: 'version',
      versions: [0, 1],
      schema: struct({ name: string(), partition: int32({ since: 1, default: -1 }) }),
    })
    assert.deepEqual(grown.decode(grown.encode({ name: 'a' }, 0)), { name: 'a', partition: -1 })
    assert.throws(() => grown.encode({ name: 'a', partition: 2 }, 0), /partition is set/)
  })
})

function checkRecord(file: RecordsFile, golden: GoldenRecord): void {
  const entry = file.records.find(({ name }) => name === golden.record)
  assert.ok(entry)
  const part = golden.part === undefined ? entry : entry[golden.part]
  assert.ok(part)
  const versions = rangeOf(part.versions)
  const prefix: RecordPrefix =
    golden.part === 'key'
      ? 'type'
      : file.valuePrefix?.startsWith('uvarint')
        ? 'metadata'
        : 'version'
  const flexibleSince = part.flexible === 'none' ? undefined : rangeOf(part.flexible)[0]
  const isFlexible = flexibleSince !== undefined && golden.version >= flexibleSince
  const schema = schemaOf(part.fields, ...versions)
  const { version } = golden
  const codec = compile(schema, { version, isFlexible, isLossless: true })
  const value = codec.decode(Buffer.from(golden.hex, 'hex'))
  const layout = printLayout(schema, version, isFlexible)
  assert.deepEqual(toJson(schema, version, value), golden.json, layout)
  if (golden.unknownTags === undefined) {
    assert.equal(codec.encode(fromJson(schema, golden.json)).toString('hex'), golden.hex, layout)
  }

  const framed = Buffer.from(golden.framed, 'hex')
  const { id, position, version: found } = readPrefix(framed, 0, framed.length, prefix)
  assert.equal(framed.subarray(position).toString('hex'), golden.hex)
  if (prefix !== 'version') assert.equal(id, entry.id)
  if (prefix !== 'type') assert.equal(found, version)
}
