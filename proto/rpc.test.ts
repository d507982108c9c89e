import assert from 'node:assert/strict'
import { UserError } from '../base/errors.ts'
import type { Connection } from '../base/network.ts'
import { realClock } from '../base/real/clock.ts'
import { RealNetwork } from '../base/real/network.ts'
import { RpcError, type RpcService, type RpcStreamHandler } from '../base/rpc.ts'
import { realDriver } from '../base/suites/driver.ts'
import { rpcSuite } from '../base/suites/rpc-suite.ts'
import { GrpcRpc } from './rpc.ts'
import { SUITE_METHODS } from './testing/suite-methods.ts'

const host = '127.0.0.1'

const newRpc = (messageBytesMax?: number) =>
  new GrpcRpc({
    clock: realClock,
    methods: SUITE_METHODS,
    ...(messageBytesMax === undefined ? {} : { messageBytesMax }),
  })

rpcSuite('gRPC', () => ({ rpc: newRpc(), host, ...realDriver }))

const ignore: RpcStreamHandler = { onMessage() {}, onDrain() {}, onClose() {} }
const echo: RpcService = { onStream: () => ignore, onCall: async (_method, request) => request }

describe('proto/rpc', () => {
  it('finds a silent peer in under a second', async () => {
    const rpc = newRpc()
    const server = await rpc.serve({ host, port: 0 }, echo)
    const proxy = await silentProxy(server.port)
    const peer = rpc.peer({ host, port: proxy.port })
    assert.equal((await peer.call('test/echo', Buffer.from('x'), 5000)).toString(), 'x')
    let error: RpcError | undefined
    peer.stream('test/stream', {
      ...ignore,
      onClose(reason) {
        error = reason
      },
    })
    proxy.silence()
    const silentSinceMs = realClock.monotonicMs()
    await realDriver.until(() => error !== undefined)
    const tookMs = realClock.monotonicMs() - silentSinceMs
    assert.equal(error?.code, 'unavailable')
    assert.ok(tookMs < 2000, `${tookMs} ms`) // 0.8 s, and a slow machine
    peer.close()
    await proxy.close()
    await server.close()
  })

  it('refuses messages that are too large, and goes on', async () => {
    const rpc = newRpc(100_000)
    const server = await rpc.serve({ host, port: 0 }, echo)
    const peer = rpc.peer({ host, port: server.port })
    await assert.rejects(
      peer.call('test/echo', Buffer.alloc(100_001), 5000),
      (error: unknown) => error instanceof RpcError && error.code === 'too-large',
    )
    assert.equal((await peer.call('test/echo', Buffer.alloc(90_000), 5000)).length, 90_000)
    peer.close()
    await server.close()
  })

  it('says in one sentence that a port is taken', async () => {
    const rpc = newRpc()
    const server = await rpc.serve({ host, port: 0 }, echo)
    const { port } = server
    await assert.rejects(rpc.serve({ host, port }, echo), (error: unknown) => {
      assert.ok(error instanceof UserError)
      assert.match(error.message, new RegExp(`^cannot listen on ${host}:${port}[^\n]*$`))
      return true
    })
    await server.close()
    await server.close()
  })
})

/** Passes bytes on to `port` until it is told to swallow them. */
async function silentProxy(port: number) {
  const network = new RealNetwork()
  const open = new Set<Connection>()
  let isSilent = false
  const forward = (connection: Connection, to: () => Connection | undefined) => {
    open.add(connection)
    return {
      onBytes(slab: Buffer, start: number, end: number) {
        if (!isSilent) to()?.write([Buffer.from(slab.subarray(start, end))])
      },
      onDrain() {},
      onClose() {
        open.delete(connection)
      },
    }
  }
  const listener = await network.listen({ host, port: 0 }, (client) => {
    let server: Connection | undefined
    client.pause()
    void network
      .connect({ host, port, timeoutMs: 1000 }, (connection) => forward(connection, () => client))
      .then((connection) => {
        server = connection
        client.resume()
      })
    return forward(client, () => server)
  })
  return {
    port: listener.port,
    silence() {
      isSilent = true
    },
    async close() {
      for (const connection of open) connection.destroy()
      await listener.close()
    },
  }
}
