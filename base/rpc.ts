/**
 * Messages between nodes: long-lived streams in both directions, and rare unary calls. Messages are
 * opaque bytes; order within a stream is kept, and a stream that breaks says so on both ends.
 * A method is named 'service/method'. Real: gRPC (`proto/rpc.ts`). Simulated: `base/sim`.
 */

export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly code: 'refused' | 'unavailable' | 'timeout' | 'too-large' | 'denied' | 'cancelled'
  constructor(code: RpcError['code'], message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** What a certificate says of the node that holds it. */
export interface RpcIdentity {
  readonly nodeId: number
  readonly clusterId: string
}

export interface RpcStreamHandler {
  onMessage(message: Buffer): void
  /** The window is open again after `send` returned false. */
  onDrain(): void
  /** The last call, exactly once; undefined for a clean end. */
  onClose(error: RpcError | undefined): void
}

export interface RpcStream {
  readonly remote: string
  /**
   * What the other end has proved to be; undefined where nothing is asked for. A client knows it
   * from the first message on.
   */
  readonly identity?: RpcIdentity | undefined
  /**
   * False when the window is full: wait for `onDrain` before sending more. `message` is on its way
   * in any case, and must not change afterwards.
   */
  send(message: Uint8Array): boolean
  end(): void
  cancel(): void
}

export interface RpcPeer {
  stream(method: string, handler: RpcStreamHandler): RpcStream
  call(method: string, request: Uint8Array, timeoutMs: number): Promise<Buffer>
  close(): void
}

export interface RpcService {
  /** Refuse a stream by throwing RpcError. */
  onStream(method: string, stream: RpcStream): RpcStreamHandler
  /** `identity`: as a stream has it. */
  onCall(
    method: string,
    request: Buffer,
    remote: string,
    identity?: RpcIdentity,
  ): Promise<Uint8Array>
}

export interface RpcServer {
  readonly port: number
  close(): Promise<void>
}

export interface Rpc {
  serve(
    options: { readonly host: string; readonly port: number },
    service: RpcService,
  ): Promise<RpcServer>
  /** Connects lazily and keeps trying. */
  peer(options: { readonly host: string; readonly port: number }): RpcPeer
}
