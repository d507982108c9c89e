/** What every Rpc promises. */
import assert from 'node:assert/strict'
import {
  type Rpc,
  RpcError,
  type RpcPeer,
  type RpcServer,
  type RpcService,
  type RpcStream,
  type RpcStreamHandler,
} from '../rpc.ts'
import type { Driver } from './driver.ts'

export interface RpcUnderTest extends Driver {
  readonly rpc: Rpc
  /** Where a server may listen and be reached. */
  readonly host: string
}

/** Records what happens to one end. */
class End implements RpcStreamHandler {
  readonly messages: string[] = []
  drains = 0
  closes = 0
  error: RpcError | undefined
  stream: RpcStream | undefined
  onText: (text: string) => void = () => {}

  onMessage(message: Buffer): void {
    assert.equal(this.closes, 0, 'nothing after the end')
    const text = message.toString('latin1')
    this.messages.push(text)
    this.onText(text)
  }

  onDrain(): void {
    this.drains++
  }

  onClose(error: RpcError | undefined): void {
    this.closes++
    this.error = error
  }
}

class Service implements RpcService {
  readonly ends: End[] = []
  readonly methods: string[] = []

  onStream(method: string, stream: RpcStream): RpcStreamHandler {
    this.methods.push(method)
    if (method === 'test/denied') throw new RpcError('denied', 'not you')
    const end = new End()
    end.stream = stream
    this.ends.push(end)
    return end
  }

  onCall(method: string, request: Buffer, remote: string): Promise<Uint8Array> {
    assert.ok(remote.length > 0)
    if (method === 'test/denied') return Promise.reject(new RpcError('denied', 'not you'))
    if (method === 'test/never') return new Promise(() => {})
    return Promise.resolve(Buffer.concat([Buffer.from(`${method} `), request]))
  }
}

interface Setup {
  readonly service: Service
  readonly server: RpcServer
  readonly peer: RpcPeer
}

export function rpcSuite(name: string, start: () => RpcUnderTest): void {
  describe(`base/rpc ${name}`, () => {
    let parts: RpcUnderTest
    let setup: Setup
    beforeEach(async () => {
      parts = start()
      const service = new Service()
      const server = await parts.complete(parts.rpc.serve({ host: parts.host, port: 0 }, service))
      setup = { service, server, peer: parts.rpc.peer({ host: parts.host, port: server.port }) }
    })
    afterEach(async () => {
      setup.peer.close()
      await parts.complete(setup.server.close())
    })
    streamTests(
      () => parts,
      () => setup,
    )
    endTests(
      () => parts,
      () => setup,
    )
    callTests(
      () => parts,
      () => setup,
    )
  })
}

type Parts = () => RpcUnderTest
type GetSetup = () => Setup

/** Both ends of a new stream. */
async function openStream(parts: RpcUnderTest, { service, peer }: Setup) {
  const client = new End()
  const before = service.ends.length
  client.stream = peer.stream('test/stream', client)
  await parts.until(() => service.ends.length > before)
  return { client, server: service.ends[before]! }
}

function streamTests(parts: Parts, setup: GetSetup): void {
  it('carries messages both ways, whole and in order', async () => {
    const { client, server } = await openStream(parts(), setup())
    server.onText = (text) => {
      if (text.length < 10) server.stream?.send(Buffer.from(`re ${text}`))
    }
    const sent = ['a', '', 'b'.repeat(700_000), 'c']
    for (const text of sent) client.stream?.send(Buffer.from(text))
    await parts().until(() => server.messages.length === 4 && client.messages.length === 3)
    assert.ok(server.messages.every((text, i) => text === sent[i]))
    assert.deepEqual(client.messages, ['re a', 're ', 're c'])
    assert.deepEqual(setup().service.methods, ['test/stream'])
    assert.ok((server.stream?.remote.length ?? 0) > 0)
    assert.ok(client.stream?.remote.includes(`${setup().server.port}`))
  })

  it('holds a sender back, and says when it may go on', async () => {
    const { client, server } = await openStream(parts(), setup())
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      let sent = 0
      let bytes: Buffer
      do {
        bytes = Buffer.alloc(64 * 1024)
        bytes.writeUInt32BE(sent++)
        assert.ok(sent < 10_000, 'the window ends')
      } while (from.stream?.send(bytes) === true)
      await parts().until(() => from.drains > 0 && to.messages.length === sent)
      to.messages.forEach((text, i) => {
        assert.equal(Buffer.from(text, 'latin1').readUInt32BE(), i)
      })
    }
  })

  it('keeps streams apart', async () => {
    const first = await openStream(parts(), setup())
    const second = await openStream(parts(), setup())
    first.client.stream?.send(Buffer.from('1'))
    second.client.stream?.send(Buffer.from('2'))
    await parts().until(
      () => first.server.messages.length === 1 && second.server.messages.length === 1,
    )
    assert.deepEqual([first.server.messages, second.server.messages], [['1'], ['2']])
    first.client.stream?.cancel()
    await parts().until(() => first.server.closes === 1)
    second.client.stream?.send(Buffer.from('3'))
    await parts().until(() => second.server.messages.length === 2)
  })
}

function endTests(parts: Parts, setup: GetSetup): void {
  for (const side of ['client', 'server'] as const) {
    it(`ends cleanly after all messages, when the ${side} ends`, async () => {
      const { client, server } = await openStream(parts(), setup())
      const [own, other] = side === 'client' ? [client, server] : [server, client]
      for (let i = 0; i < 50; i++) own.stream?.send(Buffer.from(`${i}`))
      own.stream?.end()
      own.stream?.end()
      await parts().until(() => client.closes === 1 && server.closes === 1)
      assert.equal(other.messages.length, 50)
      assert.deepEqual([client.error, server.error], [undefined, undefined])
      assert.equal(own.stream?.send(Buffer.from('late')), false)
    })

    it(`breaks on both ends when the ${side} cancels`, async () => {
      const { client, server } = await openStream(parts(), setup())
      const own = side === 'client' ? client : server
      own.stream?.cancel()
      own.stream?.cancel()
      assert.equal(own.closes, 0, 'later')
      await parts().until(() => client.closes === 1 && server.closes === 1)
      assert.equal(client.error?.code, 'cancelled')
      assert.equal(server.error?.code, 'cancelled')
    })
  }

  it('breaks when the server closes, and comes back with it', async () => {
    const { client, server } = await openStream(parts(), setup())
    const { port } = setup().server
    await parts().complete(setup().server.close())
    await parts().until(() => client.closes === 1 && server.closes === 1)
    assert.equal(client.error?.code, 'unavailable')
    const { rpc, host, complete } = parts()
    const again = await complete(rpc.serve({ host, port }, setup().service))
    let echo: Buffer | undefined
    const ask = () => {
      setup()
        .peer.call('test/echo', Buffer.from('x'), 1000)
        .then(
          (answer) => {
            echo = answer
          },
          () => ask(),
        )
    }
    ask()
    await parts().until(() => echo !== undefined)
    await complete(again.close())
  })

  it('tells a client that it was refused', async () => {
    const client = new End()
    setup().peer.stream('test/denied', client)
    await parts().until(() => client.closes === 1)
    assert.equal(client.error?.code, 'denied')
    const nobody = parts().rpc.peer({ host: parts().host, port: 1 })
    const lost = new End()
    nobody.stream('test/stream', lost)
    await parts().until(() => lost.closes === 1)
    assert.ok(['refused', 'unavailable'].includes(lost.error?.code ?? ''), lost.error?.code)
    nobody.close()
  })

  it('cancels what is open when the peer closes', async () => {
    const { client, server } = await openStream(parts(), setup())
    setup().peer.close()
    await parts().until(() => client.closes === 1 && server.closes === 1)
    assert.equal(client.error?.code, 'cancelled')
  })
}

function callTests(parts: Parts, setup: GetSetup): void {
  const call = (method: string, text: string, timeoutMs = 5000) =>
    parts().complete(setup().peer.call(method, Buffer.from(text), timeoutMs))

  it('answers calls', async () => {
    assert.equal((await call('test/echo', 'hello')).toString(), 'test/echo hello')
    assert.equal((await call('test/echo', '')).toString(), 'test/echo ')
    const answers = await parts().complete(
      Promise.all(
        ['a', 'b', 'c'].map((text) => setup().peer.call('test/echo', Buffer.from(text), 5000)),
      ),
    )
    assert.deepEqual(answers.map(String), ['test/echo a', 'test/echo b', 'test/echo c'])
  })

  it('fails calls with a code', async () => {
    const code = (expected: string) => (error: unknown) => {
      assert.ok(error instanceof RpcError, String(error))
      assert.equal(error.code, expected)
      return true
    }
    await assert.rejects(call('test/denied', ''), code('denied'))
    await assert.rejects(call('test/never', '', 50), code('timeout'))
    const nobody = parts().rpc.peer({ host: parts().host, port: 1 })
    await assert.rejects(
      parts().complete(nobody.call('test/echo', Buffer.from('x'), 2000)),
      (error: unknown) =>
        error instanceof RpcError && ['refused', 'unavailable'].includes(error.code),
    )
    nobody.close()
  })
}
