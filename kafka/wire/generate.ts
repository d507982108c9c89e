/**
 * Turns a schema and a version into the source text of its codec: for each struct and array one
 * function that reads, one that only validates, one that writes. Straight code with object
 * literals: several times quicker and smaller on the heap than walking the schema.
 * Names come from schemas in this repository only, never from the wire.
 */
import {
  type Field,
  INT64_MAX,
  isNullable,
  isOptional,
  isPresent,
  type Struct,
  ZERO_UUID,
} from './schema.ts'

export interface CompileOptions {
  version: number
  /** Compact lengths, and a tagged section in each struct (KIP-482). */
  isFlexible: boolean
  /** int64 as bigint, all 64 bits: for tools and golden tests. */
  isLossless?: boolean
  /** Bytes come from a broker that we chose to ask: decoded at once, whatever it costs. */
  isTrusted?: boolean
}

const OBJECT_BYTES = 24
const FIELD_BYTES = 8
const BOXED_BYTES = 16
const ARRAY_BYTES = 48

const FIXED_SIZES: Partial<Record<Field['kind'], number>> = {
  bool: 1,
  int8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  float64: 8,
  uuid: 16,
}

export class Generator {
  readonly #options: CompileOptions
  readonly #functions: string[] = []
  #count = 0

  constructor(options: CompileOptions) {
    this.#options = options
  }

  /** The body of a function that returns { read, skip, write }. */
  program(schema: Struct): string {
    const root = this.#struct(schema)
    return [
      "'use strict'",
      'const { EMPTY_ARRAY, EMPTY_BYTES, lazyArray, lost, mismatch } = runtime',
      ...this.#functions,
      `return { read: read${root}, skip: skip${root}, write: write${root} }`,
    ].join('\n')
  }

  /** Emits the functions of a struct; returns their number. */
  #struct(schema: Field): number {
    const id = this.#count++
    const { version, isFlexible } = this.#options
    const fields = Object.entries(schema.fields ?? {})
    const parts = fields.map(([name, field], index) => ({
      name,
      field,
      local: `f${index}`,
      isPresent: isPresent(field, version),
      isTagged: field.options.tag !== undefined,
      value: this.#value(field),
    }))
    const plain = parts.filter((part) => part.isPresent && !part.isTagged)
    const tagged = parts
      .filter((part) => part.isPresent && part.isTagged)
      .sort((a, b) => a.field.options.tag! - b.field.options.tag!)
    const heapBytes = parts.reduce(
      (sum, { field }) => sum + FIELD_BYTES + (field.kind === 'int64' ? BOXED_BYTES : 0),
      OBJECT_BYTES,
    )

    this.#functions.push(
      `function read${id}(r) {`,
      `  r.charge(${heapBytes})`,
      ...plain.map((part) => `  const ${part.local} = ${part.value.read}`),
      ...tagged.map((part) => `  let ${part.local} = ${this.#default(part.field)}`),
      ...(isFlexible ? tagLoop(tagged.map((part) => ({ ...part, read: part.value.tagRead }))) : []),
      '  return {',
      ...parts.map(
        (part) => `    ${part.name}: ${part.isPresent ? part.local : this.#default(part.field)},`,
      ),
      '  }',
      '}',
      `function skip${id}(r) {`,
      ...plain.map((part) => `  ${part.value.skip}`),
      ...(isFlexible
        ? tagLoop(tagged.map((part) => ({ ...part, local: '', read: part.value.tagSkip })))
        : []),
      '}',
      `function write${id}(w, v) {`,
      ...parts
        .filter((part) => !part.isPresent && part.field.options.ignorable !== true)
        .map(
          (part) =>
            `  if (!(${this.#isDefault(part.field, `v.${part.name}`)})) lost('${part.name}')`,
        ),
      ...plain.flatMap((part) => {
        const given = isOptional(part.field)
          ? `v.${part.name} === undefined ? ${this.#default(part.field)} : v.${part.name}`
          : `v.${part.name}`
        return [`  const ${part.local} = ${given}`, `  ${part.value.write(part.local)}`]
      }),
      ...(isFlexible ? this.#writeTags(tagged) : []),
      '}',
      `function isDefault${id}(v) {`,
      `  return ${parts.map((part) => this.#isDefault(part.field, `v.${part.name}`)).join(' && ') || 'true'}`,
      '}',
    )
    this.#ids.set(schema, id)
    return id
  }

  readonly #ids = new Map<Field, number>()

  #writeTags(tagged: { field: Field; name: string; value: Value }[]): string[] {
    if (tagged.length === 0) return ['  w.uvarint(0)']
    const isSet = (part: { field: Field; name: string }) =>
      `!(${this.#isDefault(part.field, `v.${part.name}`)})`
    return [
      '  let start = 0',
      `  w.uvarint(${tagged.map((part) => `(${isSet(part)} ? 1 : 0)`).join(' + ')})`,
      ...tagged.flatMap((part) => [
        `  if (${isSet(part)}) {`,
        `    w.uvarint(${part.field.options.tag})`,
        '    start = w.position',
        `    ${part.value.tagWrite(`v.${part.name}`)}`,
        '    w.sizeBefore(start)',
        '  }',
      ]),
    ]
  }

  /** Expressions that read, validate and write one value. */
  #value(field: Field): Value {
    const { version, isLossless } = this.#options
    const isFlexible = this.#options.isFlexible && field.options.flexible !== false
    const nullable = isNullable(field, version)
    switch (field.kind) {
      case 'string':
        return lengthPrefixed(isFlexible ? 'compactString' : 'string', 'Text', nullable)
      case 'bytes':
      case 'records':
        return lengthPrefixed(isFlexible ? 'compactBytes' : 'bytes', 'Bytes', nullable)
      case 'array':
        return this.#array(field, isFlexible, nullable)
      case 'struct': {
        if (!isPresent(field, version)) return ABSENT
        const id = this.#struct(field)
        if (!nullable) return same(`read${id}(r)`, `skip${id}(r)`, (v) => `write${id}(w, ${v})`)
        const write = (prefix: string, none: number) => (v: string) =>
          `if (${v} === null) w.${prefix}(${none}); else { w.${prefix}(1); write${id}(w, ${v}) }`
        return {
          read: `r.isNullStruct() ? null : read${id}(r)`,
          skip: `if (!r.isNullStruct()) skip${id}(r)`,
          write: write('int8', -1),
          tagRead: `r.isNullTaggedStruct() ? null : read${id}(r)`,
          tagSkip: `if (!r.isNullTaggedStruct()) skip${id}(r)`,
          tagWrite: write('uvarint', 0),
        }
      }
      case 'int64': {
        if (isLossless === true) {
          return same('r.int64Lossless()', 'r.take(8)', (v) => `w.int64Lossless(${v})`)
        }
        const write = (v: string) => `w.int64(${v})`
        return field.options.saturates === true
          ? same('r.int64Saturated()', 'r.take(8)', write)
          : same('r.int64()', 'r.int64()', write)
      }
      default:
        return same(
          `r.${field.kind}()`,
          `r.take(${FIXED_SIZES[field.kind]})`,
          (v) => `w.${field.kind}(${v})`,
        )
    }
  }

  #array(field: Field, isFlexible: boolean, nullable: boolean): Value {
    if (!isPresent(field, this.#options.version)) return ABSENT
    const element = this.#value(field.element!)
    const id = this.#count++
    const length = isFlexible ? 'r.compactLength()' : 'r.int32()'
    const putLength = (count: string) =>
      isFlexible ? `w.uvarint(${count} + 1)` : `w.int32(${count})`
    const whenNull = nullable ? ['  if (r.nullableLength(n)) return null'] : []
    const count = `  r.count(n, ${this.#minBytes(field.element!)})`
    this.#functions.push(
      `function readElement${id}(r) {`,
      `  return ${element.read}`,
      '}',
      `function skipElement${id}(r) {`,
      `  ${element.skip}`,
      '}',
      `function read${id}(r) {`,
      `  const n = ${length}`,
      ...whenNull,
      count,
      '  if (n === 0) return EMPTY_ARRAY',
      `  if (r.isLazy) return lazyArray(r, n, skipElement${id}, readElement${id})`,
      `  r.charge(${ARRAY_BYTES} + n * ${FIELD_BYTES})`,
      '  const array = new Array(n)',
      `  for (let i = 0; i < n; i++) array[i] = ${element.read}`,
      '  return array',
      '}',
      `function skip${id}(r) {`,
      `  const n = ${length}`,
      ...whenNull,
      count,
      '  for (let i = 0; i < n; i++) {',
      `    ${element.skip}`,
      '  }',
      '}',
      `function write${id}(w, v) {`,
      ...(nullable ? [`  if (v === null) return ${putLength('-1')}`] : []),
      `  if (!Array.isArray(v)) mismatch('array', v)`,
      `  ${putLength('v.length')}`,
      '  for (let i = 0; i < v.length; i++) {',
      '    const e = v[i]',
      `    ${element.write('e')}`,
      '  }',
      '}',
    )
    return same(`read${id}(r)`, `skip${id}(r)`, (v) => `write${id}(w, ${v})`)
  }

  /** The fewest bytes that a value can take on the wire. */
  #minBytes(field: Field): number {
    const { version, isFlexible } = this.#options
    const fixed = FIXED_SIZES[field.kind]
    if (fixed !== undefined) return fixed
    if (field.kind === 'string') return isFlexible ? 1 : 2
    if (field.kind !== 'struct') return isFlexible ? 1 : 4
    if (isNullable(field, version)) return 1
    const fields = Object.values(field.fields ?? {}).filter(
      (inner) => isPresent(inner, version) && inner.options.tag === undefined,
    )
    const sum = fields.reduce((bytes, inner) => bytes + this.#minBytes(inner), isFlexible ? 1 : 0)
    return Math.max(sum, 1)
  }

  /** Source of the value that a reader gets where the field is absent. */
  #default(field: Field): string {
    const given = field.options.default
    if (given === null) return 'null'
    switch (field.kind) {
      case 'bool':
        return String(given ?? false)
      case 'string':
        return JSON.stringify(given ?? '')
      case 'uuid':
        return JSON.stringify(given ?? ZERO_UUID)
      case 'bytes':
        return 'EMPTY_BYTES'
      case 'records':
        return 'null'
      case 'array':
        return 'EMPTY_ARRAY'
      case 'struct':
        return `{ ${Object.entries(field.fields ?? {})
          .map(([name, inner]) => `${name}: ${this.#default(inner)}`)
          .join(', ')} }`
      case 'int64':
        if (this.#options.isLossless === true) return `${given ?? 0}n`
        return given === INT64_MAX ? 'Number.MAX_SAFE_INTEGER' : String(given ?? 0)
      default:
        return String(given ?? 0)
    }
  }

  /** Source of a test whether a value given to a writer is the default (or left out). */
  #isDefault(field: Field, value: string): string {
    if (field.options.default === null) return `${value} == null`
    switch (field.kind) {
      case 'bytes':
      case 'array':
        return `(${value} === undefined || (${value} !== null && ${value}.length === 0))`
      case 'records':
        return `${value} == null`
      case 'struct':
        return `(${value} === undefined || (${value} !== null && ${this.#structDefault(field, value)}))`
      default:
        return `(${value} === undefined || ${value} === ${this.#default(field)})`
    }
  }

  #structDefault(field: Field, value: string): string {
    const id = this.#ids.get(field)
    if (id !== undefined) return `isDefault${id}(${value})`
    const tests = Object.entries(field.fields ?? {}).map(([name, inner]) =>
      this.#isDefault(inner, `${value}.${name}`),
    )
    return tests.join(' && ') || 'true'
  }
}

interface Value {
  read: string
  skip: string
  write: (value: string) => string
  tagRead: string
  tagSkip: string
  tagWrite: (value: string) => string
}

/** Of a field that the version lacks: never used. */
const ABSENT: Value = same('undefined', '', () => '')

function same(read: string, skip: string, write: (value: string) => string): Value {
  return { read, skip, write, tagRead: read, tagSkip: skip, tagWrite: write }
}

function lengthPrefixed(method: string, what: 'Text' | 'Bytes', nullable: boolean): Value {
  const length = method.startsWith('compact') ? 'r.compactLength()' : `r.${method}Length()`
  const read = what === 'Text' ? 'text' : 'view'
  const readNullable = what === 'Text' ? 'nullableText' : 'nullableView'
  const none =
    method === 'string' ? 'w.int16(-1)' : method === 'bytes' ? 'w.int32(-1)' : 'w.uvarint(0)'
  if (!nullable) {
    const skip = what === 'Text' ? 'skipText' : 'checkedBytes'
    return same(`r.${read}(${length})`, `r.${skip}(${length})`, (v) => `w.${method}(${v})`)
  }
  return same(
    `r.${readNullable}(${length})`,
    `r.skipNullable${what}(${length})`,
    (v) => `if (${v} === null) ${none}; else w.${method}(${v})`,
  )
}

function tagLoop(tagged: { field: Field; local: string; read: string }[]): string[] {
  if (tagged.length === 0) return ['  r.skipTags()']
  return [
    '  const tags = r.uvarint()',
    '  let tag = -1',
    '  let unknown = 0',
    '  for (let i = 0; i < tags; i++) {',
    '    tag = r.tag(tag)',
    '    const end = r.tagEnd()',
    '    switch (tag) {',
    ...tagged.flatMap((part) => [
      `      case ${part.field.options.tag}:`,
      `        ${part.local === '' ? part.read : `${part.local} = ${part.read}`}`,
      '        r.endTag(end)',
      '        break',
    ]),
    '      default:',
    '        unknown = r.skipTag(unknown, end)',
    '    }',
    '  }',
  ]
}
