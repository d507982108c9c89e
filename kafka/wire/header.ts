/**
 * Request and response headers. The client id is never compact, so that a broker can read the
 * header of a version that it does not know; ApiVersions is answered with response header 0 always.
 */
import { compile } from './compile.ts'
import { type Infer, int16, int32, nullableString, struct } from './schema.ts'

export const requestHeader = struct({
  requestApiKey: int16(),
  requestApiVersion: int16(),
  correlationId: int32(),
  clientId: nullableString({ flexible: false }),
})

export const responseHeader = struct({ correlationId: int32() })

export type RequestHeader = Infer<typeof requestHeader>
export type ResponseHeader = Infer<typeof responseHeader>

/** By header version: 1 and 2; the flexible one has a tagged section. */
export const requestHeaderCodecs = {
  1: compile(requestHeader, { version: 1, isFlexible: false }),
  2: compile(requestHeader, { version: 2, isFlexible: true }),
}

export const responseHeaderCodecs = {
  0: compile(responseHeader, { version: 0, isFlexible: false }),
  1: compile(responseHeader, { version: 1, isFlexible: true }),
}
