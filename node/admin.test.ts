import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { UserError } from '../base/errors.ts'
import { SILENT } from '../base/logger.ts'
import { AdminServer, type AdminSource, isReachable, type Readiness } from './admin.ts'

class Pages implements AdminSource {
  isReady = true
  metricsBytes = 10
  failure: Error | undefined
  readonly asked: string[] = []
  readiness(): Readiness {
    return { isReady: this.isReady, state: 'running', reasons: this.isReady ? [] : ['fenced'] }
  }
  metrics(exposition: string) {
    this.asked.push(exposition)
    return Promise.resolve([Buffer.alloc(this.metricsBytes, 'm')])
  }
  kafkaMetrics() {
    return Promise.resolve([Buffer.from('kafka_brokers 1\n')])
  }
  cluster() {
    if (this.failure !== undefined) throw this.failure
    return { clusterId: 'c' }
  }
  quorum = () => ({ leader: 1 })
  topics = () => []
  topic = (name: string) => (name === 'a/b' ? { name } : undefined)
  groups = () => []
  group = (name: string) => (name === 'g' ? { name } : undefined)
  throughput = () => Promise.resolve({})
  config = () => ({})
  readonly drains: number[] = []
  drain(timeoutMs: number) {
    this.drains.push(timeoutMs)
    return Promise.resolve(timeoutMs > 1)
  }
}

interface Answer {
  readonly status: number
  readonly headers: string
  readonly body: string
}

/** Sends these bytes and reads until the other side ends. */
function talk(port: number, text: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    let all = ''
    socket.on('data', (chunk: Buffer) => {
      all += chunk.toString()
    })
    socket.once('error', reject)
    socket.once('close', () => {
      const end = all.indexOf('\r\n\r\n')
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(all)?.[1] ?? 0)
      resolve({ status, headers: all.slice(0, end).toLowerCase(), body: all.slice(end + 4) })
    })
  })
}

describe('node/admin', () => {
  const pages = new Pages()
  let server: AdminServer
  let port = 0

  before(async () => {
    server = new AdminServer(SILENT, ['node1.example'])
    await server.listen('127.0.0.1', 0)
    port = server.port
  })
  after(() => server.close())

  const ask = (line: string, headers = `Host: localhost:${port}`, body = '') =>
    talk(port, `${line} HTTP/1.1\r\n${headers}\r\nConnection: close\r\n\r\n${body}`)

  it('says that the process lives before there is a node to show', async () => {
    assert.equal((await ask('GET /livez')).status, 200)
    const ready = await ask('GET /readyz')
    assert.equal(ready.status, 503)
    assert.deepEqual(JSON.parse(ready.body).reasons, ['starting'])
    assert.equal((await ask('GET /metrics')).status, 503)
    assert.equal((await ask('GET /api/v1/topics')).status, 503)
    server.show(pages)
  })

  it('tells readiness with its reasons', async () => {
    assert.equal((await ask('GET /readyz')).status, 200)
    pages.isReady = false
    const answer = await ask('GET /readyz')
    pages.isReady = true
    assert.equal(answer.status, 503)
    assert.match(answer.headers, /content-type: application\/json/)
    assert.deepEqual(JSON.parse(answer.body), {
      isReady: false,
      state: 'running',
      reasons: ['fenced'],
    })
  })

  it('shows each page, and only the head where that is asked for', async () => {
    for (const path of ['cluster', 'quorum', 'topics', 'groups', 'throughput', 'config']) {
      const answer = await ask(`GET /api/v1/${path}?pretty=1`)
      assert.equal(answer.status, 200, path)
      assert.match(answer.headers, /x-content-type-options: nosniff/)
      JSON.parse(answer.body)
    }
    assert.deepEqual(JSON.parse((await ask('GET /api/v1/topics/a%2Fb')).body), { name: 'a/b' })
    assert.equal((await ask('GET /api/v1/groups/g')).status, 200)
    assert.equal((await ask('GET /api/v1/groups/other')).status, 404)
    assert.equal((await ask('GET /metrics')).body, 'm'.repeat(10))
    assert.equal((await ask('GET /metrics/kafka')).body, 'kafka_brokers 1\n')
    const head = await ask('HEAD /metrics')
    assert.equal(head.body, '')
    assert.match(head.headers, /content-length: 10/)
    await ask(
      'GET /metrics',
      `Host: localhost\r\nAccept: application/openmetrics-text; version=1.0.0`,
    )
    assert.equal(pages.asked.at(-1), 'openmetrics')
  })

  it('refuses other methods, and says which are allowed', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE']) {
      const answer = await ask(`${method} /api/v1/cluster`)
      assert.equal(answer.status, 405, method)
      assert.match(answer.headers, /allow: get, head/)
    }
    assert.equal((await ask('CONNECT example.org:443')).status, 0, 'cut off')
    assert.equal((await ask('BREW /pot')).status, 400)
  })

  it('drains the node for who says so in a header of its own', async () => {
    const host = 'Host: localhost'
    const header = (value: string) => `${host}\r\nX-Odradek-Drain: ${value}`
    assert.equal((await ask('POST /api/v1/drain', host)).status, 403)
    for (const value of ['0', '-1', 'soon', '99999999']) {
      assert.equal((await ask('POST /api/v1/drain', header(value))).status, 403, value)
    }
    assert.deepEqual(pages.drains, [])
    assert.equal((await ask('POST /api/v1/drain', header('5000'))).status, 200)
    assert.equal((await ask('POST /api/v1/drain', header('1'))).status, 504)
    assert.deepEqual(pages.drains, [5000, 1])
  })

  it('takes no body, declared or in chunks', async () => {
    const host = `Host: localhost:${port}`
    assert.equal((await ask('GET /livez', `${host}\r\nContent-Length: 5`, 'hello')).status, 413)
    const chunked = `${host}\r\nTransfer-Encoding: chunked`
    assert.equal((await ask('GET /livez', chunked, '5\r\nhello\r\n0\r\n\r\n')).status, 413)
    const huge = `${host}\r\nContent-Length: 99999999999`
    assert.equal((await ask('GET /livez', huge)).status, 413)
    const both = `${host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked`
    assert.equal((await ask('GET /livez', both, '0\r\n\r\n')).status, 400)
  })

  it('refuses paths that are too long, climb, or are none', async () => {
    assert.equal((await ask(`GET /${'x'.repeat(3000)}`)).status, 414)
    const paths = [
      '/../../etc/passwd',
      '/api/v1/topics/../../../../etc/passwd',
      '/api/v1/topics/%2e%2e%2f%2e%2e%2fetc%2fpasswd',
      '/api/v1/topics/%E0%A4%A',
      '/api/v1/topics/a/b',
      '/api/v1/topics/__proto__',
      '/livez/',
      '//livez',
      '/LIVEZ',
      '*',
      'http://localhost/livez',
    ]
    for (const path of paths) assert.equal((await ask(`GET ${path}`)).status, 404, path)
    assert.equal((await ask('GET livez')).status, 400)
    assert.equal((await ask('GET /a b')).status, 400)
  })

  it('refuses a foreign Host, as a page that was rebound to this address would send', async () => {
    for (const host of ['evil.example', `evil.example:${port}`, 'localhost.evil.example', '']) {
      assert.equal((await ask('GET /api/v1/cluster', `Host: ${host}`)).status, 421, host)
    }
    assert.equal((await ask('GET /livez', 'X: no host at all')).status, 400)
    for (const host of ['127.0.0.1', `[::1]:${port}`, 'LOCALHOST', `node1.example:${port}`]) {
      assert.equal((await ask('GET /livez', `Host: ${host}`)).status, 200, host)
    }
  })

  it('cuts off headers that are too many or too long, and what is no HTTP', async () => {
    const long = `Host: localhost\r\nX: ${'y'.repeat(20_000)}`
    assert.equal((await ask('GET /livez', long)).status, 400)
    assert.equal((await talk(port, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03')).status, 400)
    assert.equal((await talk(port, '\0\0\0\x12\0\x12\0\0\0\0\0\x01\0\0\r\n\r\n')).status, 400)
  })

  it('does not wait for somebody who never finishes a request', async () => {
    const impatient = new AdminServer(SILENT, [], 200)
    await impatient.listen('127.0.0.1', 0)
    const slow = await talk(impatient.port, 'GET /livez HTTP/1.1\r\nHost: localhost\r\n')
    assert.equal(slow.status, 400)
    await impatient.close()
  })

  it('makes no more pages than somebody reads', async () => {
    pages.metricsBytes = 16 * 1024 * 1024
    const sockets: Socket[] = []
    for (let i = 0; i < 8; i++) {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(`GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      })
      socket.pause()
      socket.on('error', () => {})
      sockets.push(socket)
    }
    let status = 0
    for (let tries = 0; tries < 200 && status !== 503; tries++) {
      status = (await ask('HEAD /metrics')).status
    }
    pages.metricsBytes = 10
    for (const socket of sockets) socket.destroy()
    assert.equal(status, 503)
    for (let tries = 0; tries < 200 && status !== 200; tries++) {
      status = (await ask('GET /metrics')).status
    }
    assert.equal(status, 200)
  })

  it('survives a page that fails', async () => {
    pages.failure = new Error('a secret detail')
    const answer = await ask('GET /api/v1/cluster')
    pages.failure = undefined
    assert.equal(answer.status, 500)
    assert.doesNotMatch(answer.body, /secret detail/)
    assert.equal((await ask('GET /api/v1/cluster')).status, 200)
  })

  it('says which port is taken', async () => {
    const other = new AdminServer(SILENT, [])
    await assert.rejects(other.listen('127.0.0.1', port), (error: unknown) => {
      assert.ok(error instanceof UserError)
      assert.match(error.message, new RegExp(`http.address 127.0.0.1:${port} is taken`))
      return true
    })
    await other.close()
  })

  it('is for this machine alone, unless somebody says otherwise', () => {
    for (const host of ['127.0.0.1', '127.8.9.1', '::1', 'localhost']) {
      assert.equal(isReachable(host, 9644, false), false, host)
    }
    for (const host of ['', '0.0.0.0', '::', '192.168.1.5', 'node1', '127.0.0.1.example.org']) {
      assert.throws(() => isReachable(host, 9644, false), /http\.insecure=true/, host)
      assert.equal(isReachable(host, 9644, true), true, host)
    }
  })
})
