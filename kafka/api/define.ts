/**
 * What an API is: its key, its versions, its schemas, its handler. Codecs are compiled when a
 * version is first used.
 */
import type { Broker } from '../broker.ts'
import type { Unavailable } from '../unavailable.ts'
import { type Codec, compile } from '../wire/compile.ts'
import type { CompileOptions } from '../wire/generate.ts'
import type { Field, Infer, Struct, Written } from '../wire/schema.ts'

/** Who asks, and through what. One object per request. */
export interface RequestContext {
  readonly clientId: string | null
  /** As Kafka shows it: the address, without port. */
  readonly clientHost: string
  /** Name of the listener that the connection came in on. */
  readonly listener: string
  readonly principal: string
  readonly apiKey: number
  readonly apiVersion: number
  readonly connectionId: number
  nowMs(): number
}

/** A handler's context: the request's, the broker, and the APIs of the listener. */
export interface HandlerContext extends RequestContext {
  readonly broker: Broker
  readonly apis: readonly Api[]
}

export interface ApiDefinition<Q extends Struct, S extends Struct> {
  readonly key: number
  readonly name: string
  /** First and last version that is served. */
  readonly versions: readonly [first: number, last: number]
  /** What ApiVersions shows, where it differs. */
  readonly advertised?: readonly [first: number, last: number]
  /** First flexible version (KIP-482); absent: none. */
  readonly flexibleSince?: number
  /** Response header 0 also in flexible versions. ApiVersions only. */
  readonly hasPlainResponseHeader?: boolean
  readonly request: Q & Field
  readonly response: S & Field
  /**
   * Validates what belongs to the wire, asks the broker once, shapes the answer. Absent for the hot
   * codecs (Produce, Fetch), which the server handles by itself. Undefined: no answer.
   */
  readonly handle?: (context: HandlerContext, request: Infer<Q>) => Written<S> | Promise<Written<S>>
  /** The answer when the broker rejects `handle` with Unavailable. Absent: that is a fault. */
  readonly refuse?: (context: RequestContext, request: Infer<Q>, failure: Unavailable) => Written<S>
}

export interface Api<Q extends Struct = Struct, S extends Struct = Struct>
  extends ApiDefinition<Q, S> {
  readonly advertised: readonly [first: number, last: number]
  serves(version: number): boolean
  isFlexible(version: number): boolean
  requestHeaderVersion(version: number): 1 | 2
  responseHeaderVersion(version: number): 0 | 1
  requestCodec(version: number): Codec<Infer<Q>, Written<Q>>
  responseCodec(version: number): Codec<Infer<S>, Written<S>>
}

/** Makes an API of its literal. */
export function defineApi<Q extends Struct, S extends Struct>(
  definition: ApiDefinition<Q, S>,
): Api<Q, S> {
  const { versions, flexibleSince = Number.POSITIVE_INFINITY } = definition
  const requests = new Map<number, Codec<Infer<Q>, Written<Q>>>()
  const responses = new Map<number, Codec<Infer<S>, Written<S>>>()
  const isFlexible = (version: number) => version >= flexibleSince
  return {
    ...definition,
    advertised: definition.advertised ?? versions,
    serves: (version) => version >= versions[0] && version <= versions[1],
    isFlexible,
    requestHeaderVersion: (version) => (isFlexible(version) ? 2 : 1),
    responseHeaderVersion: (version) =>
      isFlexible(version) && definition.hasPlainResponseHeader !== true ? 1 : 0,
    requestCodec: (version) =>
      codecOf(requests, definition.request, { version, isFlexible: isFlexible(version) }),
    responseCodec: (version) =>
      codecOf(responses, definition.response, {
        version,
        isFlexible: isFlexible(version),
        isTrusted: true,
      }),
  }
}

function codecOf<S extends Struct>(
  compiled: Map<number, Codec<Infer<S>, Written<S>>>,
  schema: S & Field,
  options: CompileOptions,
): Codec<Infer<S>, Written<S>> {
  let codec = compiled.get(options.version)
  if (codec === undefined) {
    codec = compile(schema, options)
    compiled.set(options.version, codec)
  }
  return codec
}
