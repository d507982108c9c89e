/**
 * Records that Kafka keeps in its own topics, and messages inside messages (subscriptions,
 * assignments): a schema with a prefix in front. The prefix depends on who wrote it:
 * `version`: int16 version (values of coordinators, embedded messages, control records);
 * `type`: int16 type id in the place of a version (keys of coordinators);
 * `metadata`: uvarints: frame version 1, type id, version (__cluster_metadata).
 */
import { type Codec, compile } from './compile.ts'
import { Reader, WireError } from './reader.ts'
import type { Field, Infer, Struct, Written } from './schema.ts'
import { Writer } from './writer.ts'

export type RecordPrefix = 'version' | 'type' | 'metadata'

const METADATA_FRAME_VERSION = 1

export interface RecordDefinition<S extends Struct> {
  readonly name: string
  /** Type id. Needed for the prefixes `type` and `metadata`. */
  readonly id?: number
  readonly prefix: RecordPrefix
  readonly versions: readonly [first: number, last: number]
  readonly flexibleSince?: number
  readonly schema: S & Field
}

export interface RecordType<S extends Struct = Struct> extends RecordDefinition<S> {
  readonly codec: (version: number) => Codec<Infer<S>, Written<S>>
  /** With its prefix. `version` is the last one unless given. */
  encode(value: Written<S>, version?: number): Buffer
  /** Of the whole range, prefix included. Throws WireError, also for a version that is not known. */
  decode(buffer: Buffer, start?: number, end?: number): Infer<S>
}

/** Makes a record type of its literal. */
export function defineRecord<S extends Struct>(definition: RecordDefinition<S>): RecordType<S> {
  const { name, id = -1, prefix, versions, flexibleSince = Number.POSITIVE_INFINITY } = definition
  const codecs = new Map<number, Codec<Infer<S>, Written<S>>>()
  const codec = (version: number) => {
    let found = codecs.get(version)
    if (found === undefined) {
      found = compile(definition.schema, { version, isFlexible: version >= flexibleSince })
      codecs.set(version, found)
    }
    return found
  }
  return {
    ...definition,
    codec,
    encode(value, version = versions[1]) {
      const writer = new Writer()
      writePrefix(writer, prefix, id, version)
      codec(version).write(writer, value)
      return writer.finish()
    },
    decode(buffer, start = 0, end = buffer.length) {
      const found = readPrefix(buffer, start, end, prefix)
      const version = prefix === 'type' ? versions[0] : found.version
      if (prefix !== 'version' && found.id !== id) {
        throw new WireError(`${name}: record type ${found.id}`)
      }
      if (version < versions[0] || version > versions[1]) {
        throw new WireError(`${name}: version ${version}`)
      }
      return codec(version).decode(buffer, found.position, end)
    },
  }
}

function writePrefix(writer: Writer, prefix: RecordPrefix, id: number, version: number): void {
  if (prefix === 'metadata') {
    writer.uvarint(METADATA_FRAME_VERSION)
    writer.uvarint(id)
    writer.uvarint(version)
  } else writer.int16(prefix === 'type' ? id : version)
}

export interface ReadPrefix {
  /** Type id, -1 with prefix `version`. */
  readonly id: number
  /** -1 with prefix `type`. */
  readonly version: number
  /** Where the record begins. */
  readonly position: number
}

/** Reads what stands in front of a record, to choose its type. Throws WireError. */
export function readPrefix(
  buffer: Buffer,
  start: number,
  end: number,
  prefix: RecordPrefix,
): ReadPrefix {
  const reader = new Reader(buffer, start, end)
  if (prefix !== 'metadata') {
    const first = reader.int16()
    return prefix === 'type'
      ? { id: first, version: -1, position: reader.position }
      : { id: -1, version: first, position: reader.position }
  }
  const frame = reader.uvarint()
  if (frame !== METADATA_FRAME_VERSION) throw new WireError(`metadata frame version ${frame}`)
  const id = reader.uvarint()
  const version = reader.uvarint()
  return { id, version, position: reader.position }
}
