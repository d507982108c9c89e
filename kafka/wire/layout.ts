/**
 * Prints the wire layout of one version of a schema on one line, for the protocol's docs and for
 * comparing with Kafka's: `name:type` in wire order; `~` compact, `?` nullable, `[]` array, `{}`
 * struct, `<tag name:type, ...>` the tagged section, there in flexible versions.
 */
import { type Field, isNullable, isPresent } from './schema.ts'

/** The fields of a struct, without braces. */
export function printLayout(schema: Field, version: number, isFlexible: boolean): string {
  const fields = Object.entries(schema.fields ?? {}).filter(([, field]) =>
    isPresent(field, version),
  )
  const print = ([name, field]: [string, Field]) =>
    `${name}:${printType(field, version, isFlexible && field.options.flexible !== false)}`
  const plain = fields.filter(([, { options }]) => options.tag === undefined).map(print)
  if (!isFlexible) return plain.join(' ')
  const tagged = fields
    .filter(([, { options }]) => options.tag !== undefined)
    .sort(([, a], [, b]) => a.options.tag! - b.options.tag!)
    .map((entry) => `${entry[1].options.tag} ${print(entry)}`)
  return [...plain, `<${tagged.join(', ')}>`].join(' ')
}

function printType(field: Field, version: number, isFlexible: boolean): string {
  const nullable = isNullable(field, version) ? '?' : ''
  const compact = isFlexible ? '~' : ''
  switch (field.kind) {
    case 'array':
      return `${compact}[]${printType(field.element!, version, isFlexible)}${nullable}`
    case 'struct':
      return `{${printLayout(field, version, isFlexible)}}${nullable}`
    case 'string':
    case 'bytes':
    case 'records':
      return compact + field.kind + nullable
    default:
      return field.kind + nullable
  }
}
