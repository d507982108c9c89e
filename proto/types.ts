/** TypeScript types of the messages in the .proto files. */
import { assert } from '../base/assert.ts'
import { definitions } from './load.ts'

const HEADING = `/**
 * The messages of the .proto files, as proto-loader reads and writes them. Written by
 * \`node dist/proto/generate.js\`; a test compares the two.
 */
`

const SCALARS: Readonly<Record<string, string>> = {
  TYPE_INT32: 'number',
  TYPE_INT64: 'number',
  TYPE_UINT32: 'number',
  TYPE_UINT64: 'number',
  TYPE_DOUBLE: 'number',
  TYPE_BOOL: 'boolean',
  TYPE_STRING: 'string',
  TYPE_BYTES: 'Buffer',
}

interface FieldType {
  readonly name: string
  readonly label: string
  readonly type: string
  readonly typeName: string
}

interface MessageType {
  readonly name: string
  readonly field: readonly FieldType[]
  readonly oneofDecl: readonly unknown[]
}

interface EnumType {
  readonly name: string
  readonly value: readonly { readonly name: string }[]
}

/** The source of generated/messages.ts. */
export function messageTypes(): string {
  const parts: string[] = [HEADING]
  for (const [name, definition] of Object.entries(definitions())) {
    if (!('format' in definition) || !String(definition.format).includes('DescriptorProto'))
      continue
    if (!('serialize' in definition)) {
      parts.push(enumOf(name.replace('odradek.', ''), definition.type as EnumType))
      continue
    }
    parts.push(interfaceOf(definition.type as MessageType))
  }
  return parts.join('\n')
}

function enumOf(name: string, { value }: EnumType): string {
  const values = value.map((one) => `'${one.name}'`)
  const line = `export type ${name} = ${values.join(' | ')}`
  if (line.length <= 100) return `${line}\n`
  return `export type ${name} =\n${values.map((one) => `  | ${one}\n`).join('')}`
}

function interfaceOf({ name, field, oneofDecl }: MessageType): string {
  const fields = field.map((one) => {
    // In a message with a oneof, all its messages are members of it: those not set are absent.
    const isMember = oneofDecl.length > 0 && one.type === 'TYPE_MESSAGE'
    return `  readonly ${one.name}${isMember ? '?' : ''}: ${typeOf(one)}\n`
  })
  if (fields.length === 0) return `export type ${name} = Readonly<Record<never, never>>\n`
  return `export interface ${name} {\n${fields.join('')}}\n`
}

function typeOf({ label, type, typeName }: FieldType): string {
  const isMessage = type === 'TYPE_MESSAGE'
  const isNamed = isMessage || type === 'TYPE_ENUM'
  const scalar = isNamed ? typeName : SCALARS[type]
  assert(scalar !== undefined, `${type} has a type here`)
  if (label === 'LABEL_REPEATED') return `readonly ${scalar}[]`
  return isMessage ? `${scalar} | null` : scalar
}
