import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { compile } from '../../../kafka/wire/compile.ts'
import { WireError } from '../../../kafka/wire/reader.ts'
import type { Field, Struct } from '../../../kafka/wire/schema.ts'
import {
  groupMetadataKey,
  groupMetadataValue,
  groupRecords,
  offsetCommitKey,
  offsetCommitValue,
} from './records.ts'

interface Golden {
  readonly record: string
  readonly part: 'key' | 'value'
  readonly version: number
  readonly variant: string
  readonly hex: string
  readonly json: Record<string, unknown>
  readonly framed: string
}

const path = '../../../../node/coordinator/testdata/group-coordinator.jsonl'
const golden = readFileSync(new URL(path, import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line): Golden => JSON.parse(line))

const schemas: Record<string, Struct> = {
  'OffsetCommit key': offsetCommitKey,
  'OffsetCommit value': offsetCommitValue,
  'LegacyOffsetCommit key': offsetCommitKey,
  'LegacyOffsetCommit value': offsetCommitValue,
  'GroupMetadata key': groupMetadataKey,
  'GroupMetadata value': groupMetadataValue,
}

const KEYS: Record<string, string> = {
  OffsetCommit: '00010001610001740000000b',
  GroupMetadata: '0002000161',
}

/** As the golden values are written: bigint as text, bytes as hex. Fields the version lacks go. */
function plain(value: unknown, like: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (Buffer.isBuffer(value)) return value.toString('hex')
  if (Array.isArray(value)) return value.map((each, i) => plain(each, (like as unknown[])[i]))
  if (typeof value !== 'object' || value === null) return value
  const shown: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(value)) {
    const known = (like as Record<string, unknown> | undefined)?.[name]
    if (known !== undefined) shown[name] = plain(field, known)
  }
  return shown
}

describe('records of __consumer_offsets', () => {
  it('are all that is in the golden file', () => {
    assert.ok(golden.length >= 40)
    assert.deepEqual(new Set(golden.map(({ record }) => record)).size, 3)
  })

  for (const { record, part, version, variant, hex, json, framed } of golden) {
    it(`${record} ${part} ${version} ${variant}`, () => {
      const schema = schemas[`${record} ${part}`]!
      const isFlexible = part === 'value' && version >= 4
      const codec = compile(schema as Struct & Field, { version, isFlexible, isLossless: true })
      const bytes = Buffer.from(hex, 'hex')
      const decoded = codec.decode(bytes)
      assert.deepEqual(plain(decoded, json), json)
      if (variant !== 'unknown-tags') assert.equal(codec.encode(decoded).toString('hex'), hex)
      for (let cut = 0; cut < bytes.length; cut++) {
        assert.throws(() => codec.decode(bytes, 0, cut), WireError)
      }
      if (part === 'key') {
        const key = groupRecords.decode(Buffer.from(framed, 'hex'), null)
        assert.ok(key !== undefined)
        assert.equal(key.group, json['group'])
        assert.equal(key.value, null)
      }
    })
  }

  it('are written byte for byte as a 4.3 broker writes them', () => {
    const written = golden.filter(
      ({ record, part, version, variant }) =>
        part === 'value' &&
        variant !== 'unknown-tags' &&
        ((record === 'OffsetCommit' && version === 4) ||
          (record === 'GroupMetadata' && version === 3)),
    )
    let same = 0
    for (const { record, framed, json } of written) {
      const key = Buffer.from(KEYS[record]!, 'hex')
      const decoded = groupRecords.decode(key, Buffer.from(framed, 'hex'))
      assert.ok(decoded !== undefined)
      const { key: keyBytes, value } = groupRecords.encode(decoded)
      assert.equal(keyBytes.toString('hex'), KEYS[record])
      // Offsets beyond 2^53 come back as the nearest safe number.
      const isSafe = Object.values(json).every(
        (field) => typeof field !== 'string' || Number.isNaN(Number(field)) || isSafeText(field),
      )
      if (!isSafe) continue
      assert.equal(value?.toString('hex'), framed)
      same++
    }
    assert.ok(same >= 2, `${same} comparisons`)
  })

  it('keep an expiry of their own in version 1', () => {
    const record = {
      type: 'offset-commit' as const,
      group: 'g',
      topic: 't',
      partition: 3,
      value: {
        offset: 42,
        leaderEpoch: -1,
        metadata: 'm',
        commitTimestamp: 1000,
        expireTimestamp: 5000,
        topicId: 'AAAAAAAAAAAAAAAAAAAAAA',
      },
    }
    const { key, value } = groupRecords.encode(record)
    assert.equal(value!.readInt16BE(0), 1)
    assert.deepEqual(groupRecords.decode(key, value), record)
  })

  it('of other types and later versions are left alone', () => {
    const key = Buffer.from(KEYS['GroupMetadata']!, 'hex')
    assert.equal(groupRecords.decode(Buffer.from('0003000161', 'hex'), null), undefined)
    assert.equal(groupRecords.decode(key, Buffer.from('0005ff', 'hex')), undefined)
    assert.equal(groupRecords.decode(Buffer.alloc(1), null), undefined)
    assert.throws(() => groupRecords.decode(key, Buffer.from('0003ff', 'hex')), WireError)
  })
})

function isSafeText(text: string): boolean {
  return Number.isSafeInteger(Number(text))
}
