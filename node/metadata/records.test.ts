import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { CorruptionError } from '../../base/errors.ts'
import { type Codec, compile } from '../../kafka/wire/compile.ts'
import type { Struct } from '../../kafka/wire/schema.ts'
import { decodeBatch, readBatchHeader } from '../../log/records.ts'
import { leaderChange, leaderChangeBatch } from './control-records.ts'
import { DEFINITIONS, decodeRecord, encodeRecord, type RecordName } from './records.ts'
import { brokerRecord, idOf, partitionRecord, topicRecord } from './testing.ts'

interface Golden {
  readonly record: string
  readonly version: number
  readonly variant: string
  readonly hex: string
  readonly framed: string
  readonly json: Record<string, unknown>
}

const golden = (name: string): Golden[] =>
  readFileSync(new URL(`../../../node/metadata/testdata/${name}`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Golden)

/** int64 as text, as the test data has it. */
const asJson = (value: unknown) =>
  JSON.parse(JSON.stringify(value, (_key, one) => (typeof one === 'bigint' ? String(one) : one)))

function lossless(schema: Struct, version: number): Codec<Record<string, unknown>> {
  const options = { version, isFlexible: true, isLossless: true }
  return compile(schema, options) as Codec<Record<string, unknown>>
}

/** What the version has not, the decoder fills in. */
function assertHas(shown: unknown, expected: unknown, path: string): void {
  if (typeof expected !== 'object' || expected === null || typeof shown !== 'object') {
    assert.deepEqual(shown, expected, path)
    return
  }
  for (const [key, value] of Object.entries(expected)) {
    assertHas((shown as Record<string, unknown>)[key], value, `${path}.${key}`)
  }
  if (Array.isArray(expected)) assert.equal((shown as unknown[]).length, expected.length, path)
}

function check(schema: Struct, { version, variant, hex, json }: Golden): void {
  const codec = lossless(schema, version)
  const decoded = codec.decode(Buffer.from(hex, 'hex'))
  const shown = asJson(decoded)
  for (const key of Object.keys(json)) assertHas(shown[key], json[key], key)
  if (variant !== 'unknown-tags') assert.equal(codec.encode(decoded).toString('hex'), hex)
}

describe('node/metadata/records', () => {
  it("reads and writes Kafka's records, all versions", () => {
    const seen = new Set<string>()
    for (const line of golden('metadata-records.jsonl')) {
      const definition = DEFINITIONS[line.record as RecordName]
      assert.ok(line.version <= definition.version)
      check(definition.schema as Struct, line)
      const prefix = [1, definition.id, line.version].map((byte) =>
        byte.toString(16).padStart(2, '0'),
      )
      assert.equal(line.framed, prefix.join('') + line.hex)
      seen.add(`${line.record} ${line.version}`)
    }
    for (const [name, { version }] of Object.entries(DEFINITIONS)) {
      for (let one = 0; one <= version; one++) assert.ok(seen.has(`${name} ${one}`), name)
    }
  })

  it("reads and writes Kafka's leader change", () => {
    const lines = golden('control-records.jsonl')
    assert.ok(lines.length >= 4)
    for (const line of lines) check(leaderChange, line)
  })

  it('keeps every field of a record', () => {
    for (const record of [
      topicRecord('a', idOf(1)),
      partitionRecord(idOf(1), 0, { eligibleLeaderReplicas: [2], lastKnownElr: [] }),
      brokerRecord(1, 5, { rack: 'r', cordonedLogDirs: [idOf(3)] }),
    ]) {
      assert.deepEqual(asJson(decodeRecord(encodeRecord(record))), asJson(record))
    }
  })

  it('refuses what a later release wrote, instead of losing it', () => {
    const value = encodeRecord(topicRecord('a', idOf(1)))
    const changed = (at: number, byte: number) => {
      const copy = Buffer.from(value)
      copy[at] = byte
      return copy
    }
    assert.throws(() => decodeRecord(changed(0, 2)), CorruptionError)
    assert.throws(() => decodeRecord(changed(1, 99)), CorruptionError)
    assert.throws(() => decodeRecord(changed(2, 1)), CorruptionError)
    assert.throws(() => decodeRecord(value.subarray(0, -1)))
  })

  it('says in a control batch who became leader', () => {
    const voter = { voterId: 1 }
    const batch = leaderChangeBatch(1, [voter], [voter], { leaderEpoch: 7, nowMs: 1000 })
    const header = readBatchHeader(batch, 0)
    assert.ok(header.isControl)
    assert.equal(header.leaderEpoch, 7)
    const [record] = decodeBatch(batch, 0, batch.length)
    assert.equal(record!.key!.toString('hex'), '00000002')
  })
})
