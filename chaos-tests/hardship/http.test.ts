/*
 * Bad requests at the HTTP port of a real node that takes records meanwhile: each is refused by
 * itself, and the node does not notice.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { skip } from '../../base/mocha-reporter.ts'
import { produceError, produceFrame, recordBatch, sampleValues } from '../cluster/frames.ts'
import { type ServerProcess, sleep, startServer } from '../cluster/processes.ts'
import { ask, makeTopic } from '../cluster/wire.ts'
import { page, until } from './nodes.ts'

const TOPIC = 'hardship'
/** More than the node holds at a time. */
const SLOW_CLIENTS = 300
const SLOW_LIMIT_MS = 30_000
const HOST = 'Host: localhost'

/** Status, and what a request without an end to its headers is. Sent as they stand. */
const REFUSED: readonly (readonly [status: number, request: string])[] = [
  ...['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'].map(
    (method) => [405, `${method} /api/v1/topics HTTP/1.1\r\n${HOST}`] as const,
  ),
  [400, `BREW /pot HTTP/1.1\r\n${HOST}`],
  [400, `GET /livez HTTP/9.9\r\n${HOST}`],
  [400, 'GET /livez HTTP/1.1\r\nX: no host'],
  [400, `GET /livez HTTP/1.1\r\n${HOST}\r\nX: ${'y'.repeat(20_000)}`],
  [400, `GET /livez HTTP/1.1\r\n${HOST}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked`],
  [400, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  [413, `GET /livez HTTP/1.1\r\n${HOST}\r\nContent-Length: 99999999999`],
  [413, `GET /livez HTTP/1.1\r\n${HOST}\r\nTransfer-Encoding: chunked`],
  [414, `GET /${'x'.repeat(3000)} HTTP/1.1\r\n${HOST}`],
  ...[
    '/../../etc/passwd',
    '/api/v1/topics/../../../../etc/passwd',
    '/api/v1/topics/%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    '/api/v1/topics/%00',
    '/api/v1/topics/%E0%A4%A',
    '/api/v1/topics/__proto__',
    '/api/v1/groups/constructor',
    '/metrics/../livez',
    '//livez',
    'http://localhost/livez',
  ].map((path) => [404, `GET ${path} HTTP/1.1\r\n${HOST}`] as const),
  ...['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', ''].map(
    (host) => [421, `GET /api/v1/cluster HTTP/1.1\r\nHost: ${host}`] as const,
  ),
  [403, `POST /api/v1/drain HTTP/1.1\r\n${HOST}`],
  [403, `POST /api/v1/drain HTTP/1.1\r\n${HOST}\r\nX-Odradek-Drain: -1`],
]

function openSocket(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  return socket
}

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()))

describe('hardship/http', function () {
  this.timeout(120_000)
  let server: ServerProcess
  let isOver = false
  let writing: Promise<void>
  const latenciesMs: number[] = []

  before(async () => {
    server = await startServer({ peer: 'odradek' })
    await makeTopic(server.ports.kafka, { name: TOPIC, partitions: 1 })
    writing = write()
  })
  after(async () => {
    isOver = true
    await writing
    await server.remove()
  })

  /** Records all along; each has to be taken. */
  async function write(): Promise<void> {
    const frame = produceFrame(TOPIC, 0, recordBatch({ values: sampleValues(1, 100) }), -1)
    while (!isOver) {
      const startMs = performance.now()
      const answer = await ask(server.ports.kafka, frame)
      if (isOver) return
      assert.ok(answer !== undefined, 'the node takes records')
      assert.equal(produceError(answer, 0).error, 0)
      latenciesMs.push(performance.now() - startMs)
      await sleep(20)
    }
  }

  /** Of what the node answers before it ends the connection; 0 when it says nothing. */
  async function statusOf(request: string): Promise<number> {
    const socket = openSocket(server.ports.http)
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.write(`${request}\r\nConnection: close\r\n\r\n`, 'latin1')
    await closed(socket)
    return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0)
  }

  const openFiles = () => readdirSync(`/proc/${server.pid}/fd`).length

  it('methods, paths, bodies, sizes and hosts that are wrong are refused', async () => {
    for (const [status, request] of REFUSED) {
      assert.equal(await statusOf(request), status, request.slice(0, 120))
    }
    assert.equal(JSON.parse(await page(server.ports.http, '/readyz')).isReady, true)
  })

  it('who never finishes a request is cut off, and others come in again', async function () {
    if (process.platform !== 'linux') skip(this, 'needs /proc')
    const before = openFiles()
    const slow = Array.from({ length: SLOW_CLIENTS }, () => {
      const socket = openSocket(server.ports.http)
      socket.resume()
      socket.write(`GET /metrics HTTP/1.1\r\n${HOST}\r\nX: `)
      return socket
    })
    const drip = setInterval(() => {
      for (const socket of slow) if (socket.writable) socket.write('y')
    }, 200)
    const limit = setTimeout(() => {
      for (const socket of slow) socket.destroy(new Error('it was not cut off'))
    }, SLOW_LIMIT_MS)
    const startMs = performance.now()
    await Promise.all(slow.map(closed))
    clearInterval(drip)
    clearTimeout(limit)
    assert.ok(performance.now() - startMs < SLOW_LIMIT_MS, 'all were cut off in time')
    assert.equal(JSON.parse(await page(server.ports.http, '/readyz')).isReady, true)
    await until('their connections are gone', () => openFiles() < before + 20)
  })

  it('the node has not noticed', async () => {
    assert.ok(server.isRunning)
    assert.match(await page(server.ports.http, '/metrics'), /^odradek_\w+(\{[^}]*\})? \d/m)
    const errors = server
      .logTail(10_000)
      .split('\n')
      .filter((line) => /"level":"error"|^\s+at /.test(line))
    assert.deepEqual(errors, [])
    latenciesMs.sort((a, b) => a - b)
    const median = latenciesMs[latenciesMs.length >> 1]!
    process.stdout.write(`      ${latenciesMs.length} records meanwhile, ${median.toFixed(1)} ms\n`)
    assert.ok(latenciesMs.length > 20)
    assert.ok(median < 100, `${median} ms`)
  })
})
