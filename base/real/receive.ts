/**
 * Receiving into slabs of our own: Node offers `onread` only on sockets that one makes, so a socket
 * is made around the accepted handle. Saves an allocation a read. Where the handle can't be had, the
 * usual 'data' events serve.
 */
import { Socket } from 'node:net'

/** Stays in the processor's cache; larger ones are slower. */
const SLAB_BYTES = 64 * 1024

/** One for all sockets: bytes are handed on before the next read begins. */
const slab = Buffer.allocUnsafeSlow(SLAB_BYTES)

export type OnBytes = (slab: Buffer, start: number, end: number) => void

interface WithHandle {
  _handle: unknown
}

/** A socket that hands what arrives to `onBytes`. `accepted` is not to be used afterwards. */
export function receiving(accepted: Socket, onBytes: OnBytes): Socket {
  const holder = accepted as unknown as WithHandle
  const handle = holder._handle
  if (handle === null || typeof handle !== 'object') {
    accepted.on('data', (chunk: Buffer) => onBytes(chunk, 0, chunk.length))
    return accepted
  }
  holder._handle = null
  const options = {
    handle,
    onread: {
      buffer: slab,
      callback: (count: number, buffer: Uint8Array) => {
        onBytes(buffer as Buffer, 0, count)
        return true
      },
    },
  }
  const socket = new Socket(options as ConstructorParameters<typeof Socket>[0])
  accepted.destroy()
  return socket
}
