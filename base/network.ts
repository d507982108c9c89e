/**
 * Byte streams between clients and nodes. Chunks may be cut anywhere. Bytes handed to `onBytes` are
 * lent: they are the receiver's until it returns, then the slab is used again.
 */

export interface ConnectionHandler {
  /** `slab[start, end)` has arrived. Copy what must outlive the call. Must not throw. */
  onBytes(slab: Buffer, start: number, end: number): void
  /** Bytes that were queued have left, and `connection.queuedBytes()` is below its limit again. */
  onDrain(): void
  /** The last call, exactly once. `error` when the stream broke; undefined for a clean end. */
  onClose(error: Error | undefined): void
}

export interface Connection {
  /** 'host:port' of the other end, for logs. */
  readonly remote: string
  readonly remoteAddress: string
  /** The address at which the other end reached us. */
  readonly localPort: number
  /**
   * Queues the buffers in order, in one system call where possible. They must not change as long
   * as `queuedBytes` counts them.
   */
  write(buffers: readonly Uint8Array[]): void
  /** Bytes that were written and have not left this process. */
  queuedBytes(): number
  /** Stops reading; bytes on the way may still be delivered. Idempotent. */
  pause(): void
  resume(): void
  /** Sends what is queued, then ends. */
  end(): void
  /** Ends now; queued bytes are dropped. `onClose` follows, later. Idempotent. */
  destroy(error?: Error): void
}

export interface ListenOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
}

export interface Listener {
  readonly host: string
  readonly port: number
  /** Stops accepting. Accepted connections live on. */
  close(): Promise<void>
}

export interface Network {
  /** Rejects with a UserError whose sentence names the address when it is taken or not ours. */
  listen(
    options: ListenOptions,
    accept: (connection: Connection) => ConnectionHandler,
  ): Promise<Listener>
  /** Rejects when the connection is refused or not made within `timeoutMs`. */
  connect(
    options: { readonly host: string; readonly port: number; readonly timeoutMs: number },
    handler: (connection: Connection) => ConnectionHandler,
  ): Promise<Connection>
}
