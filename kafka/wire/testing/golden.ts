/**
 * For tests: reads `kafka/testdata` (definitions and encodings made by Kafka itself), and turns
 * values of a schema into its JSON form and back: int64 as decimal text, bytes as hex, tagged fields
 * at their default left out.
 */
import { readdirSync, readFileSync } from 'node:fs'
import {
  array,
  bool,
  bytes,
  type Field,
  type Fields,
  float64,
  INT64_MAX,
  int8,
  int16,
  int32,
  int64,
  isPresent,
  type Options,
  records,
  type Struct,
  string,
  struct,
  uint16,
  uint32,
  uuid,
  ZERO_UUID,
} from '../schema.ts'

// From dist/kafka/wire/testing to the sources.
const TESTDATA = new URL('../../../../kafka/testdata/', import.meta.url)

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
export type JsonObject = { [name: string]: Json }

export function readText(path: string): string {
  return readFileSync(new URL(path, TESTDATA), 'utf8')
}

export function readLines<T>(path: string): T[] {
  return readText(path)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T)
}

export function listFiles(directory: string): string[] {
  return readdirSync(new URL(directory, TESTDATA)).sort()
}

/** One field of a definition, as in testdata/apis and testdata/records. */
export interface FieldDefinition {
  readonly name: string
  readonly type: string
  readonly versions: string
  readonly nullable?: string
  readonly tag?: number
  readonly default?: null | boolean | number | string
  readonly ignorable?: boolean
  readonly fields?: readonly FieldDefinition[]
}

export function rangeOf(versions: string): [first: number, last: number] {
  const [first, last = first] = versions.split('-').map(Number)
  return [first!, last!]
}

const SCALARS: Record<string, (options: Options<never>) => Field> = {
  bool,
  int8,
  int16,
  uint16,
  int32,
  uint32,
  int64,
  float64,
  uuid,
  string,
  bytes,
  records,
}

/** The schema that a definition describes, for the versions `first` to `last`. */
export function schemaOf(
  fields: readonly FieldDefinition[],
  first: number,
  last: number,
  options: Options<never> = {},
): Struct & Field {
  const entries: [string, Field][] = fields
    .filter((field) => rangeOf(field.versions)[0] <= last)
    .map((field) => [field.name, fieldOf(field, first, last)])
  return struct(Object.fromEntries(entries) as Fields, options)
}

function fieldOf(field: FieldDefinition, first: number, last: number): Field {
  const [since, until] = rangeOf(field.versions)
  const [nullableSince] = rangeOf(field.nullable ?? field.versions)
  const isNullableLater = nullableSince > Math.max(since, first)
  const options: Options<never> = {
    ...(since > first && { since }),
    ...(until < last && { until }),
    ...(field.nullable !== undefined && (isNullableLater ? { nullableSince } : { nullable: true })),
    ...(field.tag !== undefined && { tag: field.tag }),
    ...(field.default !== undefined && { default: defaultOf(field) as never }),
    ...(field.ignorable === true && { ignorable: true }),
  }
  const innerRange: [number, number] = [Math.max(first, since), Math.min(last, until)]
  if (field.type.startsWith('[]')) {
    const kind = field.type.slice(2)
    const element = field.fields ? schemaOf(field.fields, ...innerRange) : scalarOf(kind, {})
    return array(element, options)
  }
  if (field.fields) return schemaOf(field.fields, ...innerRange, options)
  return scalarOf(field.type, options)
}

function scalarOf(kind: string, options: Options<never>): Field {
  const make = SCALARS[kind]
  if (make === undefined) throw new Error(`no such type: ${kind}`)
  return make(options)
}

function defaultOf(field: FieldDefinition): unknown {
  if (field.type !== 'int64') return field.default
  return BigInt(field.default as string) === INT64_MAX ? INT64_MAX : Number(field.default)
}

/** `value` as a lossless codec of `version` decodes it, in the form of the golden files. */
export function toJson(schema: Field, version: number, value: unknown): Json {
  if (value === null) return null
  switch (schema.kind) {
    case 'array':
      return (value as unknown[]).map((element) => toJson(schema.element!, version, element))
    case 'struct':
      return structToJson(schema, version, value as Record<string, unknown>)
    case 'bytes':
    case 'records':
      return (value as Buffer).toString('hex')
    case 'int64':
      return String(value)
    default:
      return value as Json
  }
}

function structToJson(schema: Field, version: number, value: Record<string, unknown>): Json {
  const json: JsonObject = {}
  for (const [name, field] of Object.entries(schema.fields ?? {})) {
    if (!isPresent(field, version)) continue
    const inner = toJson(field, version, value[name])
    if (field.options.tag !== undefined && isSame(inner, defaultJson(field, version))) continue
    json[name] = inner
  }
  return json
}

function isSame(a: Json, b: Json): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function defaultJson(field: Field, version: number): Json {
  const given = field.options.default
  if (given === null || (given === undefined && field.kind === 'records')) return null
  if (given !== undefined) return field.kind === 'int64' ? String(given) : (given as Json)
  switch (field.kind) {
    case 'bool':
      return false
    case 'string':
    case 'bytes':
      return ''
    case 'uuid':
      return ZERO_UUID
    case 'array':
      return []
    case 'struct':
      return Object.fromEntries(
        Object.entries(field.fields ?? {})
          .filter(([, inner]) => isPresent(inner, version))
          .map(([name, inner]) => [name, defaultJson(inner, version)]),
      )
    case 'int64':
      return '0'
    default:
      return 0
  }
}

/** The opposite of `toJson`: what a lossless codec encodes. Left-out tagged fields stay left out. */
export function fromJson(schema: Field, json: Json): unknown {
  if (json === null) return null
  switch (schema.kind) {
    case 'array':
      return (json as Json[]).map((element) => fromJson(schema.element!, element))
    case 'struct':
      return Object.fromEntries(
        Object.entries(schema.fields ?? {})
          .filter(([name]) => name in (json as JsonObject))
          .map(([name, field]) => [name, fromJson(field, (json as JsonObject)[name]!)]),
      )
    case 'bytes':
    case 'records':
      return Buffer.from(json as string, 'hex')
    case 'int64':
      return BigInt(json as string)
    default:
      return json
  }
}
