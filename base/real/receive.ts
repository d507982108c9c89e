/**
 * How bytes come out of a socket: into one slab that all connections of this process share, as long
 * as nothing but the receiver's call happens between the system's read and the next. Idle
 * connections own no memory. Where the running Node doesn't offer it for accepted sockets, 'data'
 * events do.
 */
import net from 'node:net'

export const SLAB_BYTES = 64 * 1024

export type ReceiveMode = 'slab' | 'events'
export type OnBytes = (slab: Buffer, start: number, end: number) => void

export interface OnRead {
  buffer: Buffer
  callback: (bytes: number, buffer: Uint8Array) => boolean
}

/**
 * A read on Windows is under way while the loop does other things: there each needs its own slab.
 */
const isSlabShared = process.platform !== 'win32'
let sharedSlab: Buffer | undefined

/** The `onread` option of a socket: what arrives goes to `onBytes`, and reading goes on. */
export function onReadInto(onBytes: OnBytes): OnRead {
  if (sharedSlab === undefined) sharedSlab = Buffer.allocUnsafeSlow(SLAB_BYTES)
  const buffer = isSlabShared ? sharedSlab : Buffer.allocUnsafeSlow(SLAB_BYTES)
  return {
    buffer,
    callback(bytes) {
      onBytes(buffer, 0, bytes)
      return true
    },
  }
}

/** Node keeps the handle of a socket in this undocumented field. */
interface WithHandle {
  _handle?: object | null
}

/**
 * The socket to use in place of `accepted`, which came from a server with `pauseOnConnect`.
 * Delivers what arrives to `onBytes`, not before the next turn.
 */
export function receiveFrom(accepted: net.Socket, mode: ReceiveMode, onBytes: OnBytes): net.Socket {
  const handle = mode === 'slab' ? (accepted as WithHandle)._handle : undefined
  if (handle === undefined || handle === null) {
    accepted.on('data', (chunk: Buffer) => onBytes(chunk, 0, chunk.length))
    accepted.resume()
    return accepted
  }
  // `onread` is an option of sockets that one makes, so one is made around the accepted handle.
  const options = { handle, onread: onReadInto(onBytes), allowHalfOpen: false }
  const socket = new net.Socket(options as net.SocketConstructorOpts)
  ;(accepted as WithHandle)._handle = null
  accepted.destroy() // without its handle it only leaves the count of the server
  return socket
}
