/* Clients that behave badly against a real node: each costs its own connection and nothing else. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { skip } from '../../base/mocha-reporter.ts'
import { fetchFrame, metadataFrame, produceFrame, recordBatch } from '../cluster/frames.ts'
import { type ServerProcess, startServer } from '../cluster/processes.ts'
import { ask, makeTopic } from '../cluster/wire.ts'
import { metric, page, until } from './nodes.ts'

const IDLE_CONNECTIONS = 5000
const TOPIC = 'hardship'

/** Opens a connection, or throws. */
function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.once('connect', () => {
      socket.off('error', reject)
      socket.on('error', () => {})
      resolve(socket)
    })
    socket.once('error', reject)
  })
}

/** What the other side says before it ends the connection. */
function untilClosed(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve) => socket.once('close', () => resolve(Buffer.concat(chunks))))
}

function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1]) * 1024
}

describe('hardship/clients', function () {
  this.timeout(120_000)
  let server: ServerProcess

  before(async () => {
    server = await startServer({ peer: 'odradek' })
    await makeTopic(server.ports.kafka, { name: TOPIC, partitions: 1 })
  })
  after(() => server.remove())

  /** Milliseconds of a round trip of Metadata, the median of 21. */
  async function roundTripMs(): Promise<number> {
    const times: number[] = []
    for (let i = 0; i < 21; i++) {
      const startMs = performance.now()
      assert.ok((await ask(server.ports.kafka, metadataFrame(TOPIC))) !== undefined)
      times.push(performance.now() - startMs)
    }
    return times.sort((a, b) => a - b)[10]!
  }

  it('who speaks another protocol is told nothing, and one line of the log says what it was', async () => {
    const hellos: readonly [Buffer, RegExp][] = [
      [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), /This is an HTTP request/],
      [Buffer.from('POST /topics HTTP/1.1\r\n\r\n'), /This is an HTTP request/],
      [Buffer.from('1603010200010001fc0303', 'hex'), /This is a TLS/],
      [Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'), /size of a request is out of range|This is/],
      [Buffer.from([0x80, 0, 0, 0, 1, 2, 3]), /size of a request is out of range/],
      [Buffer.from([0, 0, 0, 0]), /size of a request is out of range/],
      [Buffer.from([0, 0, 0, 8, 0x7f, 0xff, 0, 0, 0, 0, 0, 1]), /A request is malformed/],
      [Buffer.from([0, 0, 0, 10, 0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff]), /not served/],
    ]
    for (const [bytes, line] of hellos) {
      const before = server.logTail(10_000).length
      const socket = await open(server.ports.kafka)
      const closed = untilClosed(socket)
      socket.write(bytes)
      assert.equal((await closed).length, 0)
      await until(`the line ${line}`, () => line.test(server.logTail(10_000).slice(before)))
    }
    assert.ok((await roundTripMs()) < 100)
  })

  it('who stops in the middle of a frame is waited for, and others are not', async () => {
    const sockets = await Promise.all(Array.from({ length: 50 }, () => open(server.ports.kafka)))
    const frame = metadataFrame(TOPIC)
    for (const [i, socket] of sockets.entries()) {
      socket.write(frame.subarray(0, 1 + (i % (frame.length - 1))))
    }
    assert.ok((await roundTripMs()) < 100)
    const late = untilClosed(sockets[7]!)
    sockets[7]!.write(frame.subarray(8))
    sockets[7]!.end()
    assert.ok((await late).length > 0, 'the rest of a frame may come later')
    for (const socket of sockets) socket.destroy()
  })

  it('who sends and never reads is not read any more, and costs little', async () => {
    const value = Buffer.alloc(500_000, 'x')
    const batch = recordBatch({ values: [value] })
    for (let i = 0; i < 4; i++) {
      await ask(server.ports.kafka, produceFrame(TOPIC, 0, batch, -1))
    }
    const { frame } = fetchFrame(TOPIC, 0, 1024 * 1024)
    const before = residentBytes(server.pid)
    const socket = await open(server.ports.kafka)
    socket.pause()
    // Each of these is answered with a megabyte.
    for (let i = 0; i < 2000; i++) socket.write(frame)
    await until('a fetch is under way', async () => {
      return (await metric(server.ports.http, 'odradek_network_sent_bytes_total')) > 5_000_000
    })
    assert.ok((await roundTripMs()) < 100)
    const grownBytes = residentBytes(server.pid) - before
    assert.ok(grownBytes < 100_000_000, `${grownBytes} bytes for one connection`)
    socket.destroy()
  })

  it(`${IDLE_CONNECTIONS} idle connections cost memory only, and little of it`, async function () {
    if (process.platform !== 'linux') skip(this, 'memory of a process is read from /proc')
    const before = residentBytes(server.pid)
    const sockets: Socket[] = []
    try {
      while (sockets.length < IDLE_CONNECTIONS) {
        const more = Array.from({ length: 250 }, () => open(server.ports.kafka))
        sockets.push(...(await Promise.all(more)))
      }
    } catch (error) {
      for (const socket of sockets) socket.destroy()
      if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error
      skip(this, 'too few files may be open here (ulimit -n)')
    }
    await until('all are accepted', async () => {
      return (await metric(server.ports.http, 'odradek_connections')) >= IDLE_CONNECTIONS
    })
    const perConnection = (residentBytes(server.pid) - before) / IDLE_CONNECTIONS
    const tookMs = await roundTripMs()
    for (const socket of sockets) socket.destroy()
    process.stdout.write(
      `      ${(perConnection / 1024).toFixed(1)} KB a connection, ` +
        `answers after ${tookMs.toFixed(2)} ms\n`,
    )
    assert.ok(perConnection < 24_000, `${perConnection} bytes a connection`)
    assert.ok(tookMs < 50, `${tookMs} ms`)
    await until('all are gone', async () => {
      return (await metric(server.ports.http, 'odradek_connections')) < 10
    })
    assert.match(await page(server.ports.http, '/readyz'), /"isReady": true/)
  })
})
