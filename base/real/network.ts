/** TCP. Every socket has an error listener from its first moment, so none can end the process. */
import net from 'node:net'
import { UserError } from '../errors.ts'
import type { Connection, ConnectionHandler, Listener, ListenOptions, Network } from '../network.ts'
import { type OnBytes, onReadInto, type ReceiveMode, receiveFrom } from './receive.ts'

const BACKLOG = 1024
/** A peer that vanished without a word is noticed some minutes after this silence. */
const KEEP_ALIVE_AFTER_MS = 60_000

class RealConnection implements Connection {
  readonly remote: string
  readonly remoteAddress: string
  readonly localPort: number
  readonly #socket: net.Socket
  #error: Error | undefined

  constructor(socket: net.Socket, peer: { address: string; port: number; localPort: number }) {
    this.#socket = socket
    this.remoteAddress = peer.address
    this.remote = hostPort(peer.address, peer.port)
    this.localPort = peer.localPort
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_AFTER_MS)
    socket.on('error', (error) => {
      this.#error = error
    })
  }

  /** Events go to `handler` from now on. */
  attach(handler: ConnectionHandler): void {
    this.#socket.on('drain', () => handler.onDrain())
    this.#socket.on('close', () => handler.onClose(this.#error))
  }

  write(buffers: readonly Uint8Array[]): void {
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return
    if (buffers.length === 1) {
      socket.write(buffers[0]!)
      return
    }
    socket.cork()
    for (const buffer of buffers) socket.write(buffer)
    socket.uncork()
  }

  queuedBytes(): number {
    return this.#socket.destroyed ? 0 : this.#socket.writableLength
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(error?: Error): void {
    this.#socket.destroy(error)
  }
}

export interface RealNetworkOptions {
  /** How accepted connections read; 'events' is the fallback, settable for its test. */
  readonly receives?: ReceiveMode
}

export class RealNetwork implements Network {
  readonly #receives: ReceiveMode

  constructor(options: RealNetworkOptions = {}) {
    this.#receives = options.receives ?? 'slab'
  }

  listen(
    options: ListenOptions,
    accept: (connection: Connection) => ConnectionHandler,
  ): Promise<Listener> {
    const { host, port } = options
    const server = net.createServer({ pauseOnConnect: true })
    server.on('connection', (socket) => this.#accepted(socket, accept))
    return new Promise((resolve, reject) => {
      server.once('error', (error) => reject(listenError(error, options)))
      server.listen({ host, port, backlog: BACKLOG }, () => {
        // A connection that can't be accepted (out of descriptors) is lost; the next may succeed.
        server.removeAllListeners('error').on('error', () => {})
        resolve(new RealListener(server, host))
      })
    })
  }

  connect(
    options: { readonly host: string; readonly port: number; readonly timeoutMs: number },
    handler: (connection: Connection) => ConnectionHandler,
  ): Promise<Connection> {
    const { host, port, timeoutMs } = options
    const where = hostPort(host, port)
    let receiver: ConnectionHandler | undefined
    const onread = onReadInto((slab, start, end) => receiver?.onBytes(slab, start, end))
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host, port, onread, allowHalfOpen: false })
      const timer = setTimeout(() => {
        socket.destroy(new Error(`no connection to ${where} within ${timeoutMs} ms`))
      }, timeoutMs)
      const failed = (error: Error) => {
        clearTimeout(timer)
        reject(new Error(`cannot connect to ${where}: ${reasonOf(error)}`, { cause: error }))
      }
      socket.once('error', failed)
      socket.once('connect', () => {
        clearTimeout(timer)
        socket.removeListener('error', failed)
        const { remoteAddress = host, localPort = 0 } = socket
        const connection = new RealConnection(socket, { address: remoteAddress, port, localPort })
        receiver = handler(connection)
        connection.attach(receiver)
        resolve(connection)
      })
    })
  }

  #accepted(accepted: net.Socket, accept: (connection: Connection) => ConnectionHandler): void {
    accepted.on('error', () => {})
    const { remoteAddress: address, remotePort: port, localPort } = accepted
    // Gone before we could look.
    if (address === undefined || port === undefined) return void accepted.destroy()
    let handler: ConnectionHandler | undefined
    const onBytes: OnBytes = (slab, start, end) => handler?.onBytes(slab, start, end)
    const socket = receiveFrom(accepted, this.#receives, onBytes)
    const connection = new RealConnection(socket, { address, port, localPort: localPort ?? 0 })
    handler = accept(connection)
    connection.attach(handler)
  }
}

class RealListener implements Listener {
  readonly host: string
  readonly port: number
  readonly #server: net.Server

  constructor(server: net.Server, host: string) {
    const address = server.address()
    this.#server = server
    this.host = host
    this.port = typeof address === 'object' && address !== null ? address.port : 0
  }

  close(): Promise<void> {
    if (this.#server.listening) this.#server.close()
    // The port is free at once; the server's own event would wait for its connections.
    return new Promise((resolve) => setImmediate(resolve))
  }
}

export const realNetwork: Network = new RealNetwork()

function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function listenError(error: NodeJS.ErrnoException, options: ListenOptions): Error {
  const where = hostPort(options.host, options.port)
  const sentence = LISTEN_SENTENCES[error.code ?? '']
  const text = sentence ?? `(${error.code ?? error.message}); check the address and the port`
  return new UserError(`cannot listen on ${where} ${text}`, 1, { cause: error })
}

const LISTEN_SENTENCES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'because another process does: stop that one, or choose another port',
  EADDRNOTAVAIL: 'because this machine does not have that address: use one of its own, or 0.0.0.0',
  EACCES: 'without more rights: choose a port above 1023',
  ENOTFOUND: 'because that name has no address: use one of this machine, or 0.0.0.0',
}

/** Several addresses may have been tried: the first failure speaks for all. */
function reasonOf(error: Error): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error
  if (!(first instanceof Error)) return String(first)
  return 'code' in first ? String(first.code) : first.message
}
