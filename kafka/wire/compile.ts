/**
 * Compiles one version of a schema into a codec. Decoding never fails in another way than with
 * WireError, and puts at most HEAP_FACTOR times the message plus HEAP_FIXED_BYTES on the heap: a
 * message that would need more keeps its arrays on the wire (lazy-array.ts), unless it is trusted.
 *
 * int64 is a `number`, checked to be safe; fields that saturate take the nearest safe number. Only
 * a codec compiled as lossless sees all 64 bits, as bigint.
 */
import { type CompileOptions, Generator } from './generate.ts'
import { lazyArray } from './lazy-array.ts'
import {
  EMPTY_ARRAY,
  EMPTY_BYTES,
  HEAP_FACTOR,
  HEAP_FIXED_BYTES,
  OVER_BUDGET,
  Reader,
  WireError,
} from './reader.ts'
import type { Field, Infer, Struct, Written } from './schema.ts'
import { mismatch, Writer } from './writer.ts'

export interface Codec<R, W = R> {
  /**
   * The message that fills buffer[start, end) exactly. Bytes fields are views: the buffer must
   * not be written to as long as the message is used, and who keeps a part of it for long copies.
   */
  decode(buffer: Buffer, start?: number, end?: number): R
  /**
   * The same for requests, which may go on behind what the version has: Kafka does not look there,
   * and some clients send fields of later versions (librdkafka's Metadata 13).
   */
  decodeRequest(buffer: Buffer, start?: number, end?: number): R
  /** The same with arrays left on the wire, which `decode` does for messages that are too costly. */
  decodeLazily(buffer: Buffer, start?: number, end?: number): R
  encode(value: W): Buffer
  /** Encodes at the writer's position. */
  write(writer: Writer, value: W): void
  /** As `decode`, without building anything. */
  validate(buffer: Buffer, start?: number, end?: number): void
}

interface Program {
  read(reader: Reader): unknown
  skip(reader: Reader): void
  write(writer: Writer, value: unknown): void
}

const runtime = {
  EMPTY_ARRAY,
  EMPTY_BYTES,
  lazyArray,
  mismatch,
  lost(name: string): never {
    throw new WireError(`${name} is set, but this version does not have it`)
  },
}

/** The codec of `schema` in one version. Compile once, keep it. */
export function compile<S extends Struct>(
  schema: S & Field,
  options: CompileOptions,
): Codec<Infer<S>, Written<S>> {
  const source = new Generator(options).program(schema)
  const program: Program = new Function('runtime', source)(runtime)
  return {
    decode(buffer, start = 0, end = buffer.length) {
      return readWhole(program, buffer, start, end, refuseTrailing) as Infer<S>
    },
    decodeRequest(buffer, start = 0, end = buffer.length) {
      return readWhole(program, buffer, start, end, acceptTrailing) as Infer<S>
    },
    decodeLazily(buffer, start = 0, end = buffer.length) {
      return readLazily(program, new Reader(buffer, start, end), refuseTrailing) as Infer<S>
    },
    encode(value) {
      const writer = new Writer()
      program.write(writer, value)
      return writer.finish()
    },
    write(writer, value) {
      program.write(writer, value)
    },
    validate(buffer, start = 0, end = buffer.length) {
      const reader = new Reader(buffer, start, end)
      if (options.isTrusted === true) reader.trust()
      program.skip(reader)
      refuseTrailing(reader)
    },
  }
}

type CheckEnd = (reader: Reader) => void

const acceptTrailing: CheckEnd = () => {}

function readWhole(
  program: Program,
  buffer: Buffer,
  start: number,
  end: number,
  checkEnd: CheckEnd,
): unknown {
  const reader = new Reader(buffer, start, end)
  reader.budget = HEAP_FIXED_BYTES + HEAP_FACTOR * (end - start)
  try {
    const value = program.read(reader)
    checkEnd(reader)
    return value
  } catch (error) {
    if (error !== OVER_BUDGET) throw error
    reader.position = start
    return readLazily(program, reader, checkEnd)
  }
}

function readLazily(program: Program, reader: Reader, checkEnd: CheckEnd): unknown {
  reader.goLazy(reader.position)
  const value = program.read(reader)
  checkEnd(reader)
  return value
}

function refuseTrailing(reader: Reader): void {
  const left = reader.end - reader.position
  if (left !== 0) throw new WireError(`${left} bytes after the message`)
}
