/**
 * Every API and version against what Kafka 4.3.1 defines and writes: versions, headers, fields,
 * layouts, and encodings in both directions.
 */
import assert from 'node:assert/strict'
import { compile } from '../wire/compile.ts'
import { printLayout } from '../wire/layout.ts'
import type { Field, Struct } from '../wire/schema.ts'
import {
  type FieldDefinition,
  fromJson,
  type JsonObject,
  listFiles,
  rangeOf,
  readLines,
  readText,
  schemaOf,
  toJson,
} from '../wire/testing/golden.ts'
import type { Api } from './define.ts'
import { definitions, internalApis } from './definitions.ts'
import { registry } from './registry.ts'

interface ApiFile {
  readonly key: number
  readonly name: string
  readonly versions: string
  readonly stable: string
  readonly advertised: { readonly broker?: string; readonly controller?: string }
  readonly requestHeader: Record<string, number>
  readonly responseHeader: Record<string, number>
  readonly request: readonly FieldDefinition[]
  readonly response: readonly FieldDefinition[]
}

interface GoldenMessage {
  readonly kind: 'request' | 'response'
  readonly version: number
  readonly variant: string
  readonly hex: string
  readonly json: JsonObject
  readonly unknownTags?: readonly unknown[]
}

const fileOf = (api: Api) => `${String(api.key).padStart(2, '0')}-${api.name}`
const layouts = new Map(
  readText('layouts.txt')
    .split('\n')
    .map((line) => {
      const [, key, kind, layout] = /^(\S+ \S+ \S+) (\S+) (.*)$/.exec(line) ?? []
      return [`${key} ${kind}`, layout]
    }),
)

describe('golden messages', () => {
  it('are served to no client when nodes alone speak the API', () => {
    assert.deepEqual(
      internalApis.filter((api) => registry.includes(api)),
      [],
    )
  })
  it('covers every API of the test data', () => {
    assert.deepEqual(
      definitions.map((api) => `${fileOf(api)}.json`),
      listFiles('apis'),
    )
  })
  for (const api of definitions) {
    describe(`${api.key} ${api.name}`, () => testApi(api))
  }
})

function testApi(api: Api): void {
  const definition: ApiFile = JSON.parse(readText(`apis/${fileOf(api)}.json`))
  const [first, last] = api.versions
  const messages = readLines<GoldenMessage>(`golden/${fileOf(api)}.jsonl`).filter(
    ({ version }) => version <= last,
  )

  it('has the versions and headers', () => {
    assert.equal(api.name, definition.name)
    assert.deepEqual(api.versions, rangeOf(definition.stable))
    const advertised = definition.advertised.broker ?? definition.advertised.controller
    assert.deepEqual(api.advertised, rangeOf(advertised ?? ''))
    for (let version = first; version <= last; version++) {
      assert.equal(api.requestHeaderVersion(version), at(definition.requestHeader, version))
      assert.equal(api.responseHeaderVersion(version), at(definition.responseHeader, version))
    }
  })

  for (const kind of ['request', 'response'] as const) {
    it(`has the fields of the ${kind}`, () => {
      const theirs = schemaOf(definition[kind], first, last)
      assert.deepEqual(normal(api[kind]), normal(theirs))
    })

    it(`has the layouts of the ${kind}`, () => {
      for (let version = first; version <= last; version++) {
        const expected = layouts.get(`${api.key} ${api.name} ${version} ${kind}`)
        assert.equal(printLayout(api[kind], version, api.isFlexible(version)), expected)
      }
    })

    it(`reads and writes each ${kind}`, () => {
      const ours = messages.filter((message) => message.kind === kind)
      for (let version = first; version <= last; version++) {
        const golden = ours.filter((message) => message.version === version)
        assert.ok(golden.length > 0, `no golden ${kind} of version ${version}`)
        checkMessages(api[kind], version, api.isFlexible(version), golden)
      }
    })
  }
}

function checkMessages(
  schema: Struct & Field,
  version: number,
  isFlexible: boolean,
  golden: readonly GoldenMessage[],
): void {
  const lossless = compile(schema, { version, isFlexible, isLossless: true })
  const usual = compile(schema, { version, isFlexible })
  for (const { hex, json, variant, unknownTags } of golden) {
    const bytes = Buffer.from(hex, 'hex')
    const at = `version ${version} ${variant}`
    assert.deepEqual(toJson(schema, version, lossless.decode(bytes)), json, at)
    lossless.validate(bytes)
    if (unknownTags === undefined) {
      assert.equal(lossless.encode(fromJson(schema, json)).toString('hex'), hex, at)
    }
    if (hasUnsafeNumber(json)) continue
    assert.deepEqual(toJson(schema, version, usual.decode(bytes)), json, at)
    usual.validate(bytes)
    if (unknownTags === undefined) {
      assert.equal(usual.encode(usual.decode(bytes)).toString('hex'), hex, at)
    }
  }
}

/** Is there an int64 that a number can't hold? */
function hasUnsafeNumber(json: unknown): boolean {
  if (typeof json === 'string') return /^-?\d{16,19}$/.test(json)
  return typeof json === 'object' && json !== null && Object.values(json).some(hasUnsafeNumber)
}

/** A schema without what Kafka's definitions do not say. */
function normal(field: Field): unknown {
  const { saturates: _, ...options } = field.options
  if (options.default === 0 && !('tag' in options))
    delete (options as { default?: unknown }).default
  if (options.default === '') delete (options as { default?: unknown }).default
  return {
    kind: field.kind,
    options: Object.fromEntries(Object.entries(options).sort()),
    element: field.element && normal(field.element),
    fields:
      field.fields && Object.entries(field.fields).map(([name, inner]) => [name, normal(inner)]),
  }
}

function at(byRange: Record<string, number>, version: number): number | undefined {
  const found = Object.entries(byRange).find(([range]) => {
    const [first, last] = rangeOf(range)
    return version >= first && version <= last
  })
  return found?.[1]
}
