/**
 * Rpc over gRPC, and the only door to grpc-js. Our methods are those of the .proto files; messages
 * are bytes that no serializer touches here, since who sends them has encoded them. The receiver of
 * much data is the gRPC client, because only a client can widen its flow-control window.
 *
 * A server that loses its client sees 'cancelled', whatever the reason was.
 */
import * as grpc from '@grpc/grpc-js'
import { assert } from '../base/assert.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { UserError } from '../base/errors.ts'
import {
  type Rpc,
  RpcError,
  type RpcIdentity,
  type RpcPeer,
  type RpcServer,
  type RpcService,
  type RpcStream,
  type RpcStreamHandler,
} from '../base/rpc.ts'
import { identityIn, type NodeCertificates, refusalOf } from './certificates.ts'
import { asBuffer, GrpcStream } from './grpc-stream.ts'
import { grpcPath, METHODS, type RpcMethod } from './methods.ts'

const MESSAGE_BYTES_MAX = 128 * 1024 * 1024
const FLOW_CONTROL_WINDOW_BYTES = 4 * 1024 * 1024
/** Together under a second: how long a peer may be silent. */
const KEEP_ALIVE_AFTER_MS = 400
const KEEP_ALIVE_WITHIN_MS = 400
const RECONNECT_AFTER_MS = 100
const RECONNECT_AFTER_MS_MAX = 1000
const STREAMS_PER_CONNECTION_MAX = 4096
/** How long streams have to say goodbye when a server closes. */
const SHUTDOWN_MS = 500

const passThrough = (message: Buffer) => message
const OPAQUE = {
  requestSerialize: passThrough,
  requestDeserialize: passThrough,
  responseSerialize: passThrough,
  responseDeserialize: passThrough,
}
const STATUS_OF_CODE: Readonly<Record<RpcError['code'], grpc.status>> = {
  refused: grpc.status.UNAVAILABLE,
  unavailable: grpc.status.UNAVAILABLE,
  timeout: grpc.status.DEADLINE_EXCEEDED,
  'too-large': grpc.status.RESOURCE_EXHAUSTED,
  denied: grpc.status.PERMISSION_DENIED,
  cancelled: grpc.status.CANCELLED,
}

// What matters comes back as an error; grpc-js would also print it.
grpc.setLogVerbosity(grpc.logVerbosity.NONE)

type AuthContext = ReturnType<grpc.ClientUnaryCall['getAuthContext']>

interface Address {
  readonly host: string
  readonly port: number
}

export interface GrpcRpcOptions {
  readonly clock: Clock
  readonly messageBytesMax?: number
  /** Default: those of the .proto files. */
  readonly methods?: readonly RpcMethod[]
  /** Both ends prove who they are; without, everything is in the clear and nothing is proved. */
  readonly certificates?: NodeCertificates
}

export class GrpcRpc implements Rpc {
  readonly #clock: Clock
  readonly #options: grpc.ChannelOptions
  readonly #methods: readonly RpcMethod[]
  readonly #certificates: NodeCertificates | undefined

  constructor(options: GrpcRpcOptions) {
    const messageBytesMax = options.messageBytesMax ?? MESSAGE_BYTES_MAX
    this.#clock = options.clock
    this.#methods = options.methods ?? METHODS
    this.#certificates = options.certificates
    this.#options = {
      'grpc.max_receive_message_length': messageBytesMax,
      'grpc.max_send_message_length': messageBytesMax,
      'grpc.keepalive_time_ms': KEEP_ALIVE_AFTER_MS,
      'grpc.keepalive_timeout_ms': KEEP_ALIVE_WITHIN_MS,
    }
  }

  async serve(options: Address, service: RpcService): Promise<RpcServer> {
    const server = new grpc.Server({
      ...this.#options,
      'grpc.max_concurrent_streams': STREAMS_PER_CONNECTION_MAX,
    })
    const streams = new Set<GrpcStream>()
    const implementation: grpc.UntypedServiceImplementation = {}
    for (const { name, isStream } of this.#methods) {
      implementation[keyOf(name, isStream)] = isStream
        ? (call: grpc.ServerDuplexStream<Buffer, Buffer>) =>
            this.#accept(call, service.onStream.bind(service, name), streams)
        : answer(service, name)
    }
    server.addService(definitionOf(this.#methods), implementation)
    const port = await bind(server, options, serverCredentials(this.#certificates))
    return new GrpcServer(server, port, { clock: this.#clock, streams })
  }

  peer(options: Address): RpcPeer {
    const { credentials, refusal } = channelCredentials(this.#certificates)
    const parts = { clock: this.#clock, methods: this.#methods, remote: hostPort(options) }
    return new GrpcPeer(
      { ...parts, credentials, refusal },
      {
        ...this.#options,
        'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW_BYTES,
        'grpc.initial_reconnect_backoff_ms': RECONNECT_AFTER_MS,
        'grpc.max_reconnect_backoff_ms': RECONNECT_AFTER_MS_MAX,
        'grpc.use_local_subchannel_pool': 1,
        'grpc.enable_retries': 0,
        'grpc.enable_http_proxy': 0,
        'grpc.service_config_disable_resolution': 1,
        'grpc.enable_channelz': 0,
        // A name that TLS takes; it is not looked at (channelCredentials).
        ...(this.#certificates === undefined ? {} : { 'grpc.ssl_target_name_override': 'odradek' }),
      },
    )
  }

  #accept(
    call: grpc.ServerDuplexStream<Buffer, Buffer>,
    onStream: (stream: RpcStream) => RpcStreamHandler,
    owner: Set<GrpcStream>,
  ): void {
    const parts = {
      clock: this.#clock,
      owner,
      remote: call.getPeer(),
      identity: () => identityOf(call.getAuthContext()),
    }
    // An error event is how a stream of grpc-js ends with a status.
    const stream = new GrpcStream({ ...parts, side: 'server' }, call, (error) => {
      call.emit('error', statusOf(error))
    })
    call.on('error', () => {})
    call.on('cancelled', () => stream.close(new RpcError('cancelled', stream.remote)))
    try {
      stream.attach(onStream(stream))
    } catch (error) {
      stream.breakOff(asRpcError(error))
      return
    }
    call.on('data', (message: Buffer) => stream.received(message))
    call.on('end', () => stream.otherEnded())
    call.on('finish', () => {
      if (stream.isEnded) stream.close(undefined)
    })
  }
}

class GrpcServer implements RpcServer {
  readonly port: number
  readonly #server: grpc.Server
  readonly #clock: Clock
  readonly #streams: Set<GrpcStream>
  #closing: Promise<void> | undefined

  constructor(
    server: grpc.Server,
    port: number,
    parts: { readonly clock: Clock; readonly streams: Set<GrpcStream> },
  ) {
    this.#server = server
    this.port = port
    this.#clock = parts.clock
    this.#streams = parts.streams
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const error = new RpcError('unavailable', 'the server closes')
    for (const stream of [...this.#streams]) stream.breakOff(error)
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(SHUTDOWN_MS, () => {
        this.#server.forceShutdown()
        resolve() // a connection that never spoke HTTP/2 is not heard of again
      })
      this.#server.tryShutdown(() => {
        timer.cancel()
        resolve()
      })
    })
  }
}

interface PeerParts {
  readonly clock: Clock
  readonly methods: readonly RpcMethod[]
  readonly remote: string
  readonly credentials: grpc.ChannelCredentials
  /** Why the certificate of the other end was not accepted. */
  refusal(): string | undefined
}

class GrpcPeer implements RpcPeer {
  readonly #clock: Clock
  readonly #remote: string
  readonly #paths: ReadonlyMap<string, string>
  readonly #refusal: () => string | undefined
  readonly #client: grpc.Client
  readonly #streams = new Set<GrpcStream>()
  readonly #calls = new Set<grpc.ClientUnaryCall>()

  constructor(parts: PeerParts, options: grpc.ChannelOptions) {
    this.#clock = parts.clock
    this.#remote = parts.remote
    this.#paths = new Map(parts.methods.map((one) => [keyOf(one.name, one.isStream), pathOf(one)]))
    this.#refusal = parts.refusal
    this.#client = new grpc.Client(parts.remote, parts.credentials, options)
  }

  stream(method: string, handler: RpcStreamHandler): RpcStream {
    const path = this.#path(method, true)
    const call = this.#client.makeBidiStreamRequest(path, passThrough, passThrough)
    const parts = {
      clock: this.#clock,
      owner: this.#streams,
      remote: this.#remote,
      identity: () => identityOf(call.getAuthContext()),
    }
    const stream = new GrpcStream({ ...parts, side: 'client' }, call, () => call.cancel())
    stream.attach(handler)
    call.on('data', (message: Buffer) => stream.received(message))
    call.on('error', () => {}) // the status that follows says the same
    call.on('status', (status: grpc.StatusObject) => stream.close(this.#errorOf(status)))
    return stream
  }

  call(method: string, request: Uint8Array, timeoutMs: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined
      const call = this.#client.makeUnaryRequest(
        this.#path(method, false),
        passThrough,
        passThrough,
        asBuffer(request),
        (error: grpc.ServiceError | null, response?: Buffer) => {
          timer?.cancel()
          this.#calls.delete(call)
          if (error === null && response !== undefined) resolve(response)
          else reject(error === null ? noAnswer(method) : this.#errorOf(error))
        },
      )
      this.#calls.add(call)
      // A deadline of grpc-js would be in wall-clock time.
      timer = this.#clock.after(timeoutMs, () => {
        reject(new RpcError('timeout', `${method} of ${this.#remote}: ${timeoutMs} ms`))
        call.cancel()
      })
    })
  }

  close(): void {
    for (const stream of [...this.#streams]) stream.cancel()
    for (const call of this.#calls) call.cancel()
    this.#client.close()
  }

  #errorOf(status: Status): RpcError | undefined {
    const refusal = this.#refusal()
    if (refusal !== undefined && status.code === grpc.status.UNAVAILABLE) {
      return new RpcError('denied', `${this.#remote}: ${refusal}`)
    }
    return errorOf(status, this.#remote)
  }

  #path(method: string, isStream: boolean): string {
    const path = this.#paths.get(keyOf(method, isStream))
    assert(path !== undefined, `${method} is a method`)
    return path
  }
}

function keyOf(name: string, isStream: boolean): string {
  return `${isStream ? 'stream' : 'call'} ${name}`
}

function pathOf({ name, path }: RpcMethod): string {
  return path ?? grpcPath(name)
}

function definitionOf(methods: readonly RpcMethod[]): grpc.ServiceDefinition {
  const definition: Record<string, grpc.MethodDefinition<Buffer, Buffer>> = {}
  for (const method of methods) {
    const { name, isStream } = method
    const kind = { requestStream: isStream, responseStream: isStream }
    definition[keyOf(name, isStream)] = { path: pathOf(method), ...kind, ...OPAQUE }
  }
  return definition
}

function answer(service: RpcService, method: string) {
  return (
    call: grpc.ServerUnaryCall<Buffer, Buffer>,
    respond: grpc.sendUnaryData<Buffer>,
  ): void => {
    const identity = identityOf(call.getAuthContext())
    service.onCall(method, call.request, call.getPeer(), identity).then(
      (response) => respond(null, asBuffer(response)),
      (error: unknown) => respond(statusOf(asRpcError(error))),
    )
  }
}

function bind(
  server: grpc.Server,
  options: Address,
  credentials: grpc.ServerCredentials,
): Promise<number> {
  const where = hostPort(options)
  return new Promise((resolve, reject) => {
    server.bindAsync(where, credentials, (error, port) => {
      if (error === null) resolve(port)
      else {
        const sentence = `cannot listen on ${where}: choose another address or port`
        reject(new UserError(sentence, 1, { cause: error }))
      }
    })
  })
}

function serverCredentials(certificates: NodeCertificates | undefined): grpc.ServerCredentials {
  if (certificates === undefined) return grpc.ServerCredentials.createInsecure()
  const { authorities, chain, key } = certificates
  const pair = { cert_chain: Buffer.from(chain), private_key: Buffer.from(key) }
  return grpc.ServerCredentials.createSsl(Buffer.from(authorities), [pair], true)
}

/** A node is known by its certificate, not by the name or the address under which it is called. */
function channelCredentials(certificates: NodeCertificates | undefined): {
  credentials: grpc.ChannelCredentials
  refusal: () => string | undefined
} {
  if (certificates === undefined) {
    return { credentials: grpc.credentials.createInsecure(), refusal: () => undefined }
  }
  let refusal: string | undefined
  const { authorities, chain, key, identity } = certificates
  const pem = [authorities, key, chain].map((text) => Buffer.from(text))
  const credentials = grpc.credentials.createSsl(pem[0], pem[1], pem[2], {
    checkServerIdentity(_host, certificate) {
      refusal = refusalOf(identity, identityIn(certificate.subjectaltname))
      return refusal === undefined ? undefined : new Error(refusal)
    },
  })
  return { credentials, refusal: () => refusal }
}

/** Undefined on a connection without certificates. */
function identityOf(context: AuthContext | null): RpcIdentity | undefined {
  return identityIn(context?.sslPeerCertificate?.subjectaltname)
}

function hostPort({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function statusOf(error: RpcError): grpc.ServerErrorResponse {
  return {
    name: error.name,
    message: error.message,
    code: STATUS_OF_CODE[error.code],
    details: error.message,
  }
}

interface Status {
  readonly code: grpc.status
  readonly details: string
}

/** Undefined when the status is OK. */
function errorOf(status: Status, remote: string): RpcError | undefined {
  if (status.code === grpc.status.OK) return undefined
  const details = status.details.replace(NOISE, '').trim()
  return new RpcError(codeOf(status), `${remote}: ${sentenceOf(details)}`)
}

/** What differs at each attempt, or says nothing. */
const NOISE =
  /No connection established\. Last error: (Error: )?|\.? ?Resolution note: | \(\d{4}-\S+Z\)/g

function sentenceOf(details: string): string {
  if (details.includes('wrong version number')) {
    return 'it does not speak TLS, and this node does: correct listener.security.protocol.map'
  }
  if (!TLS_REFUSAL.test(details)) return details
  const reason = details.split(':').findLast((part) => /[a-z]/.test(part) && !part.includes('/'))
  return `its certificate or ours is not accepted (${reason?.trim()}): correct the ssl settings`
}

const TLS_REFUSAL = /SSL routines|certificate|SSL alert/

function codeOf(status: Status): RpcError['code'] {
  switch (status.code) {
    case grpc.status.DEADLINE_EXCEEDED:
      return 'timeout'
    case grpc.status.RESOURCE_EXHAUSTED:
      return 'too-large'
    case grpc.status.PERMISSION_DENIED:
    case grpc.status.UNIMPLEMENTED:
      return 'denied'
    case grpc.status.CANCELLED:
      return 'cancelled'
    default:
      if (status.details.includes('ECONNREFUSED')) return 'refused'
      return TLS_REFUSAL.test(status.details) ? 'denied' : 'unavailable'
  }
}

function noAnswer(method: string): RpcError {
  return new RpcError('unavailable', `${method}: no answer came`)
}

function asRpcError(error: unknown): RpcError {
  if (error instanceof RpcError) return error
  return new RpcError('unavailable', String(error), { cause: error })
}
