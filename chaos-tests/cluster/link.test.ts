/** Links: bytes go through whole, and each fault does what its name says. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Link } from './link.ts'

describe('chaos-tests/cluster/link', () => {
  let server: Server
  let link: Link
  const taken: Socket[] = []

  beforeEach(async () => {
    server = createServer((socket) => {
      taken.push(socket)
      socket.on('error', () => undefined)
      socket.pipe(socket)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    link = await Link.open((server.address() as AddressInfo).port)
  })
  afterEach(async () => {
    await link.close()
    for (const socket of taken.splice(0)) socket.destroy()
    server.close()
  })

  const open = (): Socket => {
    const socket = connect({ port: link.port, host: '127.0.0.1' })
    socket.on('error', () => undefined)
    return socket
  }
  // `once` would reject at the reset.
  const closeOf = (socket: Socket): Promise<unknown> =>
    new Promise((resolve) => socket.once('close', resolve))
  const answerTo = async (socket: Socket, bytes: Buffer): Promise<Buffer> => {
    const chunks: Buffer[] = []
    let length = 0
    const whole = new Promise<void>((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        length += chunk.length
        if (length >= bytes.length) resolve()
      })
    })
    socket.write(bytes)
    await whole
    return Buffer.concat(chunks)
  }
  const large = Buffer.from(Array.from({ length: 1_000_000 }, (_, i) => (i * 7) % 251))

  it('carries bytes both ways, in order, and an end', async () => {
    const socket = open()
    assert.ok((await answerTo(socket, large)).equals(large))
    socket.end()
    await once(socket, 'close')
  })

  it('keeps the order under delay and jitter', async () => {
    link.set({ delayMs: 5, jitterMs: 10 })
    const beganMs = performance.now()
    const socket = open()
    assert.ok((await answerTo(socket, large)).equals(large))
    assert.ok(performance.now() - beganMs >= 10)
    socket.destroy()
  })

  it('holds what a stall delays, and delivers it afterwards', async () => {
    const socket = open()
    await answerTo(socket, Buffer.from('a'))
    link.set({ isStalledBack: true })
    let count = 0
    socket.on('data', () => count++)
    socket.write('b')
    while (taken[0]!.bytesRead < 2) await new Promise((resolve) => setTimeout(resolve, 1))
    assert.equal(count, 0)
    link.heal()
    if (count === 0) await once(socket, 'data')
    socket.destroy()
  })

  it('limits bytes a second', async () => {
    link.set({ bytesPerSecond: 10_000_000 })
    const beganMs = performance.now()
    const socket = open()
    assert.ok((await answerTo(socket, large)).equals(large))
    assert.ok(performance.now() - beganMs >= 90)
    socket.destroy()
  })

  it('resets, and refuses new ones until it is healed', async () => {
    const socket = open()
    await answerTo(socket, Buffer.from('a'))
    link.set({ isRefused: true })
    await closeOf(socket)
    const second = open()
    await closeOf(second)
    link.heal()
    const third = open()
    await answerTo(third, Buffer.from('a'))
    third.destroy()
  })

  it('changes a bit when told so', async () => {
    link.set({ corruptChance: 1 })
    const socket = open()
    assert.notEqual((await answerTo(socket, Buffer.from('abc'))).toString(), 'abc')
    socket.destroy()
  })

  it('sends once more what a connection has sent', async () => {
    const socket = open()
    await answerTo(socket, Buffer.from('abc'))
    assert.equal(await link.replay(), 3)
    assert.equal(taken.length, 2)
    assert.equal(taken[1]!.bytesRead, 3)
    socket.destroy()
  })
})
