/** TCP by node:net. One write a call, no delay, every error handled. */
import { connect as connectSocket, createServer, isIPv6, type Server, type Socket } from 'node:net'
import { UserError } from '../errors.ts'
import type { Connection, ConnectionHandler, Listener, ListenOptions, Network } from '../network.ts'
import { receiving } from './receive.ts'

const BACKLOG = 1024

class SocketConnection implements Connection {
  readonly remote: string
  readonly remoteAddress: string
  readonly localPort: number
  readonly #socket: Socket
  #error: Error | undefined

  constructor(socket: Socket, handler: () => ConnectionHandler) {
    this.#socket = socket
    this.remoteAddress = socket.remoteAddress ?? 'unknown'
    this.remote = `${this.remoteAddress}:${socket.remotePort ?? 0}`
    this.localPort = socket.localPort ?? 0
    socket.setNoDelay(true)
    socket.on('error', (error) => {
      this.#error ??= error
    })
    socket.on('drain', () => handler().onDrain())
    socket.once('close', () => handler().onClose(this.#error))
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
    return this.#socket.writableLength
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
    this.#error ??= error
    this.#socket.destroy()
  }
}

export const realNetwork: Network = { listen, connect }

function listen(
  options: ListenOptions,
  accept: (connection: Connection) => ConnectionHandler,
): Promise<Listener> {
  const server = createServer({ noDelay: true, pauseOnConnect: true }, (accepted) => {
    let handler: ConnectionHandler | undefined
    const socket = receiving(accepted, (slab, start, end) => handler?.onBytes(slab, start, end))
    if (socket.remotePort === undefined) {
      // Gone before it was accepted.
      socket.destroy()
      return
    }
    handler = accept(new SocketConnection(socket, () => handler!))
    socket.resume()
  })
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, options)))
    server.listen({ host: options.host, port: options.port, backlog: BACKLOG }, () => {
      server.removeAllListeners('error')
      // An accept that fails (too many open files) is the system's; the listener goes on.
      server.on('error', () => {})
      resolve({ host: options.host, port: portOf(server), close: () => closeServer(server) })
    })
  })
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function closeServer(server: Server): Promise<void> {
  // `close` calls back only when all accepted connections have ended: they live on.
  server.close()
  return Promise.resolve()
}

function explain(error: NodeJS.ErrnoException, { host, port }: ListenOptions): UserError {
  const where = isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
  const sentences: Record<string, string> = {
    EADDRINUSE: `${where} is taken: another program listens there; stop it or choose another port`,
    EADDRNOTAVAIL: `${where} can't be used: this machine does not have the address ${host}`,
    EACCES: `${where} can't be used: this user may not listen on port ${port}`,
    ENOTFOUND: `${where} can't be used: the name ${host} is not known`,
  }
  const sentence = sentences[error.code ?? ''] ?? `${where} can't be listened on: ${error.message}`
  return new UserError(sentence, 1, { cause: error })
}

function connect(
  options: { readonly host: string; readonly port: number; readonly timeoutMs: number },
  makeHandler: (connection: Connection) => ConnectionHandler,
): Promise<Connection> {
  return new Promise((resolve, reject) => {
    let handler: ConnectionHandler | undefined
    const socket = connectSocket({ host: options.host, port: options.port, noDelay: true })
    const refuse = (error: Error) => {
      clearTimeout(timer)
      socket.destroy()
      reject(error)
    }
    const timer = setTimeout(
      () => refuse(new Error(`no connection within ${options.timeoutMs} ms`)),
      options.timeoutMs,
    )
    socket.once('error', refuse)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.off('error', refuse)
      const connection = new SocketConnection(socket, () => handler!)
      handler = makeHandler(connection)
      socket.on('data', (chunk: Buffer) => handler!.onBytes(chunk, 0, chunk.length))
      resolve(connection)
    })
  })
}
