/**
 * The vocabulary of message schemas: one literal per message, from which codecs (compile.ts),
 * layouts (layout.ts), fuzz inputs and TypeScript types follow. A schema describes all versions of
 * a message at once; `compile` takes out one version.
 */

/** The zero uuid: "no topic id". */
export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA'
/** int64's largest value; as a number it is read and written as Number.MAX_SAFE_INTEGER. */
export const INT64_MAX = 2n ** 63n - 1n

export interface Options<T> {
  /** First and last version that has the field; absent: all. */
  readonly since?: number
  readonly until?: number
  /** May be null, in all versions or since one. */
  readonly nullable?: boolean
  readonly nullableSince?: number
  /** In the tagged section, under this number. A tagged field at its default is not written. */
  readonly tag?: number
  /** Put where a reader finds nothing. Makes the field optional for writers. */
  readonly default?: T | null
  /** A value other than the default may be dropped silently where the version lacks the field. */
  readonly ignorable?: boolean
  /** False: never compact, whatever the version (client id in request headers). */
  readonly flexible?: false
  /** int64: values beyond 2^53 are read as the nearest safe number instead of being refused. */
  readonly saturates?: boolean
}

export type Kind =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'float64'
  | 'uuid'
  | 'string'
  | 'bytes'
  | 'records'
  | 'array'
  | 'struct'

export type Fields = { readonly [name: string]: Field }

declare const types: unique symbol

/** One field, or the elements of an array. `R` is what a reader gets, `W` what a writer gives. */
export interface Field<R = unknown, W = unknown, Optional extends boolean = boolean> {
  readonly kind: Kind
  readonly options: Options<unknown>
  /** Of an array. */
  readonly element?: Field
  /** Of a struct. */
  readonly fields?: Fields
  readonly [types]?: { read: R; written: W; optional: Optional }
}

export interface Struct<F extends Fields = Fields, R = unknown, W = unknown>
  extends Field<R, W, boolean> {
  readonly kind: 'struct'
  readonly fields: F
}

type Flat<T> = { [K in keyof T]: T[K] }
type ReadOf<F> = F extends Field<infer R, infer _W, infer _O> ? R : never
type WrittenOf<F> = F extends Field<infer _R, infer W, infer _O> ? W : never
type IsOptional<F> = F extends Field<infer _R, infer _W, infer O> ? O : never

type ReadFields<F extends Fields> = { [K in keyof F]: ReadOf<F[K]> }
type WrittenFields<F extends Fields> = Flat<
  { [K in keyof F as IsOptional<F[K]> extends true ? never : K]: WrittenOf<F[K]> } & {
    [K in keyof F as IsOptional<F[K]> extends true ? K : never]?: WrittenOf<F[K]> | undefined
  }
>

/** What a decoder returns: every field of the latest version, defaults filled in. */
export type Infer<S extends Field> = ReadOf<S>
/** What an encoder takes: fields with a default, a tag, or a range of versions may be left out. */
export type Written<S extends Field> = WrittenOf<S>

type Nullable<T, O> = O extends { nullable: true } | { nullableSince: number } ? T | null : T
/** Writers may leave out what has a default, and what only some versions have. */
type HasDefault<O> = O extends
  | { default: unknown }
  | { tag: number }
  | { since: number }
  | { until: number }
  ? true
  : false
type Simple<T, O> = Field<Nullable<T, O>, Nullable<T, O>, HasDefault<O>>

function simple<T>(kind: Kind) {
  return <const O extends Options<T>>(options?: O): Simple<T, O> => ({
    kind,
    options: options ?? {},
  })
}

export const bool = simple<boolean>('bool')
export const int8 = simple<number>('int8')
export const int16 = simple<number>('int16')
export const uint16 = simple<number>('uint16')
export const int32 = simple<number>('int32')
export const uint32 = simple<number>('uint32')
/** A safe integer; see `saturates`, and CompileOptions.lossless for all 64 bits as bigint. */
export const int64 = <const O extends Options<number | bigint>>(
  options?: O,
): Simple<number, O> => ({ kind: 'int64', options: options ?? {} })
export const float64 = simple<number>('float64')
/** 22 characters of base64url. */
export const uuid = simple<string>('uuid')
export const string = simple<string>('string')
/** A view of the decoded buffer, not a copy. */
export const bytes = simple<Buffer>('bytes')
/** Record batches; on the wire the same as bytes. */
export const records = simple<Buffer>('records')

export function nullableString<const O extends Options<string>>(
  options?: O,
): Field<string | null, string | null, HasDefault<O>> {
  return { kind: 'string', options: { ...options, nullable: true } }
}

export function nullableBytes<const O extends Options<Buffer>>(
  options?: O,
): Field<Buffer | null, Buffer | null, HasDefault<O>> {
  return { kind: 'bytes', options: { ...options, nullable: true } }
}

type ReadElement<E> = E extends Field ? ReadOf<E> : E extends Fields ? Flat<ReadFields<E>> : never
type WrittenElement<E> = E extends Field
  ? WrittenOf<E>
  : E extends Fields
    ? WrittenFields<E>
    : never

/** An array of fields, or of structs when `element` is a record of fields. */
export function array<const E extends Field | Fields, const O extends Options<readonly never[]>>(
  element: E,
  options?: O,
): Field<
  Nullable<readonly ReadElement<E>[], O>,
  Nullable<readonly WrittenElement<E>[], O>,
  HasDefault<O>
> {
  return {
    kind: 'array',
    options: options ?? {},
    element: isField(element) ? element : struct(element),
  }
}

/** A message, or a struct inside one. */
export function struct<const F extends Fields, const O extends Options<never>>(
  fields: F,
  options?: O,
): Struct<F, Nullable<Flat<ReadFields<F>>, O>, Nullable<WrittenFields<F>, O>> &
  Field<Nullable<Flat<ReadFields<F>>, O>, Nullable<WrittenFields<F>, O>, HasDefault<O>> {
  return { kind: 'struct', options: options ?? {}, fields }
}

function isField(element: Field | Fields): element is Field {
  return 'kind' in element && typeof element.kind === 'string'
}

/** May a writer leave the field out? */
export function isOptional(field: Field): boolean {
  const { default: given, tag, since, until } = field.options
  return [given, tag, since, until].some((option) => option !== undefined)
}

/** Is the field on the wire in this version? */
export function isPresent(field: Field, version: number): boolean {
  const { since = 0, until = Number.POSITIVE_INFINITY } = field.options
  return version >= since && version <= until
}

/** May the field be null in this version? */
export function isNullable(field: Field, version: number): boolean {
  const { nullable, nullableSince } = field.options
  return nullable === true || (nullableSince !== undefined && version >= nullableSince)
}
