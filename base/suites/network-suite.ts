/** What every Network promises. */
import assert from 'node:assert/strict'
import { UserError } from '../errors.ts'
import type { Connection, ConnectionHandler, Listener, Network } from '../network.ts'
import { SimRandom } from '../sim/random.ts'
import type { Driver } from './driver.ts'

export interface NetworkUnderTest extends Driver {
  readonly network: Network
  /** Where a listener may listen and be reached. */
  readonly host: string
}

const LARGE_BYTES = 3_000_000

/** Records what happens to one end. */
class End implements ConnectionHandler {
  readonly chunks: Buffer[] = []
  drains = 0
  closes = 0
  error: Error | undefined
  connection: Connection | undefined
  onChunk: (chunk: Buffer) => void = () => {}

  onBytes(slab: Buffer, start: number, end: number): void {
    assert.equal(this.closes, 0, 'nothing after the end')
    const chunk = Buffer.from(slab.subarray(start, end))
    this.chunks.push(chunk)
    this.onChunk(chunk)
  }

  onDrain(): void {
    this.drains++
  }

  onClose(error: Error | undefined): void {
    this.closes++
    this.error = error
  }

  get received(): Buffer {
    return Buffer.concat(this.chunks)
  }

  get text(): string {
    return this.received.toString()
  }

  get receivedBytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  }
}

interface Pair {
  readonly client: End
  readonly server: End
  readonly listener: Listener
}

export function networkSuite(name: string, start: () => NetworkUnderTest): void {
  describe(`base/network ${name}`, () => {
    let parts: NetworkUnderTest
    const opened: Pair[] = []
    beforeEach(() => {
      parts = start()
    })
    afterEach(async () => {
      for (const { client, server, listener } of opened.splice(0)) {
        client.connection?.destroy()
        server.connection?.destroy()
        await parts.complete(listener.close())
        await parts.until(() => client.closes === 1 && server.closes === 1)
      }
    })
    const pair = async () => {
      const made = await connectPair(parts)
      opened.push(made)
      return made
    }
    bytesTests(() => parts, pair)
    endTests(() => parts, pair)
    listenTests(() => parts)
  })
}

async function connectPair(parts: NetworkUnderTest): Promise<Pair> {
  const { network, host } = parts
  const server = new End()
  const client = new End()
  const listener = await parts.complete(
    network.listen({ host, port: 0 }, (connection) => {
      server.connection = connection
      return server
    }),
  )
  const { port } = listener
  await parts.complete(
    network.connect({ host, port, timeoutMs: 1000 }, (connection) => {
      client.connection = connection
      return client
    }),
  )
  await parts.until(() => server.connection !== undefined)
  return { client, server, listener }
}

type MakePair = () => Promise<Pair>

function bytesTests(parts: () => NetworkUnderTest, pair: MakePair): void {
  it('carries bytes both ways, in order', async () => {
    const { client, server, listener } = await pair()
    client.connection?.write([Buffer.from('he'), Buffer.from('llo')])
    client.connection?.write([Buffer.from(' there')])
    server.connection?.write([])
    server.connection?.write([Buffer.from('hi')])
    await parts().until(() => client.text === 'hi' && server.text === 'hello there')
    assert.equal(server.connection?.localPort, listener.port)
    assert.match(server.connection?.remote ?? '', /:\d+$/)
    assert.ok((server.connection?.remoteAddress.length ?? 0) > 0)
  })

  it('carries megabytes both ways at once, and lends its slabs', async () => {
    const { client, server } = await pair()
    const random = new SimRandom('network')
    const sent = [client, server].map((end) => {
      const bytes = random.bytes(LARGE_BYTES)
      for (let at = 0; at < bytes.length; ) {
        const size = 1 + random.below(200_000)
        end.connection?.write([bytes.subarray(at, at + size)])
        at += size
      }
      return bytes
    })
    await parts().until(
      () => client.receivedBytes === LARGE_BYTES && server.receivedBytes === LARGE_BYTES,
    )
    assert.ok(server.received.equals(sent[0]!))
    assert.ok(client.received.equals(sent[1]!))
  })

  it('counts what is queued for an end that does not read, and says when it has left', async () => {
    const { client, server } = await pair()
    server.connection?.pause()
    server.connection?.pause()
    const sent = Buffer.alloc(1_000_000, 7)
    let count = 0
    while ((client.connection?.queuedBytes() ?? 0) < 4 * sent.length && count < 64) {
      client.connection?.write([sent])
      count++
      await parts().pause()
    }
    assert.ok((client.connection?.queuedBytes() ?? 0) >= 4 * sent.length, 'back-pressure')
    const drainsBefore = client.drains
    server.connection?.resume()
    await parts().until(() => server.receivedBytes === count * sent.length)
    await parts().until(() => client.drains > drainsBefore)
    assert.equal(client.connection?.queuedBytes(), 0)
  })

  it('can pause while it receives', async () => {
    const { client, server } = await pair()
    const total = 2_000_000
    let pauses = 0
    server.onChunk = () => {
      server.connection?.pause()
      pauses++
      void Promise.resolve().then(() => server.connection?.resume())
    }
    client.connection?.write([Buffer.alloc(total)])
    await parts().until(() => server.receivedBytes === total)
    assert.ok(pauses > 0)
  })
}

function endTests(parts: () => NetworkUnderTest, pair: MakePair): void {
  it('delivers everything before a clean end, on both ends', async () => {
    const { client, server } = await pair()
    client.connection?.write([Buffer.alloc(500_000, 1)])
    client.connection?.end()
    client.connection?.end()
    client.connection?.write([Buffer.from('too late')])
    await parts().until(() => server.closes === 1 && client.closes === 1)
    assert.equal(server.receivedBytes, 500_000)
    assert.equal(server.error, undefined)
    assert.equal(client.error, undefined)
    server.connection?.write([Buffer.from('too late')])
    assert.equal(server.connection?.queuedBytes(), 0)
  })

  it('ends when the other end is destroyed, once', async () => {
    const { client, server } = await pair()
    server.connection?.destroy()
    server.connection?.destroy()
    assert.equal(server.closes, 0, 'later')
    await parts().until(() => server.closes === 1 && client.closes === 1)
    assert.equal(server.error, undefined)
    client.connection?.write([Buffer.from('x')])
    client.connection?.end()
    client.connection?.destroy()
  })

  it('tells why it was destroyed', async () => {
    const { client, server } = await pair()
    server.connection?.destroy(new Error('the frame is too long'))
    await parts().until(() => server.closes === 1 && client.closes === 1)
    assert.equal(server.error?.message, 'the frame is too long')
  })

  it('may be destroyed by what it receives', async () => {
    const { client, server } = await pair()
    server.onChunk = () => server.connection?.destroy()
    client.connection?.write([Buffer.alloc(1_000_000)])
    await parts().until(() => server.closes === 1 && client.closes === 1)
  })
}

function listenTests(parts: () => NetworkUnderTest): void {
  const refuse = (): ConnectionHandler => {
    throw new Error('nobody should come')
  }

  it('refuses a port that is taken, in one sentence', async () => {
    const { network, host, complete } = parts()
    const listener = await complete(network.listen({ host, port: 0 }, refuse))
    const { port } = listener
    await assert.rejects(complete(network.listen({ host, port }, refuse)), (error: unknown) => {
      assert.ok(error instanceof UserError)
      assert.ok(error.message.includes(`${host}:${port}`), error.message)
      assert.ok(!error.message.includes('\n'))
      return true
    })
    await complete(listener.close())
    const again = await complete(network.listen({ host, port }, refuse))
    assert.equal(again.port, port)
    await complete(again.close())
    await complete(again.close())
  })

  it('rejects a connection that nobody accepts', async () => {
    const { network, host, complete } = parts()
    const listener = await complete(network.listen({ host, port: 0 }, refuse))
    const { port } = listener
    await complete(listener.close())
    await assert.rejects(
      complete(network.connect({ host, port, timeoutMs: 1000 }, refuse)),
      (error: Error) => error.message.includes(`${host}:${port}`),
    )
  })

  it('lets accepted connections live when it stops to listen', async () => {
    const { client, server, listener } = await connectPair(parts())
    await parts().complete(listener.close())
    client.connection?.write([Buffer.from('still here')])
    await parts().until(() => server.text === 'still here')
    client.connection?.end()
    await parts().until(() => server.closes === 1 && client.closes === 1)
  })
}
