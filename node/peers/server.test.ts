import assert from 'node:assert/strict'
import { RpcError, type RpcStream } from '../../base/rpc.ts'
import { SimWorld } from '../../base/sim/world.ts'
import { firstFrame } from '../../proto/codecs.ts'
import { CLUSTER_PULSE, CLUSTER_SESSION, CLUSTER_STATUS } from '../../proto/methods.ts'
import { helloOf, type SelfIdentity } from './hello.ts'
import { PeerServer } from './server.ts'

const SEED = 31

const identityOf = (nodeId: number): SelfIdentity => ({
  nodeId,
  directoryId: `directory-${nodeId}`,
  incarnationId: `${nodeId}.1`,
  clusterId: () => undefined,
})

/** The other end, as the server sees it. */
class Caller implements RpcStream {
  readonly remote = 'elsewhere:1'
  readonly sent: Buffer[] = []
  isEnded = false
  isCancelled = false

  send(message: Uint8Array): boolean {
    this.sent.push(Buffer.from(message))
    return true
  }

  end(): void {
    this.isEnded = true
  }

  cancel(): void {
    this.isCancelled = true
  }
}

describe('node/peers/server', () => {
  let world: SimWorld
  let server: PeerServer
  beforeEach(() => {
    world = new SimWorld(SEED)
    const { clock, logger } = world.host('node-1').world
    server = new PeerServer({
      clock,
      logger,
      self: identityOf(1),
      heardFrom() {},
      streamsMax: 2,
    })
  })
  const lines = () => world.host('node-1').logLines.map(({ fields }) => String(fields['reason']))
  const hello = firstFrame.encode({ hello: helloOf(identityOf(2), 1) })

  it('takes no more streams than it can hold', () => {
    const first = server.onStream(CLUSTER_PULSE, new Caller())
    server.onStream(CLUSTER_PULSE, new Caller())
    const third = () => server.onStream(CLUSTER_PULSE, new Caller())
    assert.throws(third, (error) => error instanceof RpcError && error.code === 'denied')
    first.onClose(undefined)
    third()
  })

  it('gives up who says nothing', async () => {
    const silent = new Caller()
    server.onStream(CLUSTER_PULSE, silent)
    const polite = new Caller()
    server.onStream(CLUSTER_PULSE, polite).onMessage(hello)
    await world.runFor(5000)
    assert.deepEqual([silent.isCancelled, polite.isCancelled], [true, false])
    assert.equal(firstFrame.decode(polite.sent[0]!).hello?.nodeId, 1)
  })

  it('refuses who begins with something else, and says why on both sides', () => {
    const caller = new Caller()
    const handler = server.onStream(CLUSTER_PULSE, caller)
    handler.onMessage(Buffer.from('GET / HTTP/1.1'))
    handler.onMessage(hello) // too late
    assert.equal(caller.isEnded, true)
    assert.equal(caller.sent.length, 1)
    const sentence = 'a stream begins with a hello'
    assert.equal(firstFrame.decode(caller.sent[0]!).hello?.refusal, sentence)
    assert.deepEqual(lines(), [sentence])
  })

  it('refuses nodes of other versions in a sentence that says what to do', () => {
    const later = { ...helloOf(identityOf(2), 1), protocolMin: 7, protocolMax: 9 }
    const older = { ...helloOf(identityOf(3), 1), metadataVersionMin: 1, metadataVersionMax: 2 }
    for (const [other, sentence] of [
      [later, /speaks versions 7 to 9 of the protocol.*speaks 1 to 1: upgrade the older one/],
      [older, /node 3 knows metadata.version 1 to 2, node 1 .*: upgrade the older one/],
    ] as const) {
      const caller = new Caller()
      const handler = server.onStream(CLUSTER_PULSE, caller)
      handler.onMessage(firstFrame.encode({ hello: other }))
      assert.match(firstFrame.decode(caller.sent[0]!).hello?.refusal ?? '', sentence)
      assert.match(lines().at(-1) ?? '', sentence)
      handler.onClose(undefined)
    }
  })

  it('passes on what a handler refuses', () => {
    server.routeStream(CLUSTER_SESSION, () => {
      throw new RpcError('denied', 'not now')
    })
    const caller = new Caller()
    server.onStream(CLUSTER_SESSION, caller).onMessage(hello)
    assert.equal(caller.isCancelled, true)
    assert.deepEqual(lines(), ['not now'])
  })

  it('serves only what it knows', async () => {
    const open = () => server.onStream('raft/unknown', new Caller())
    assert.throws(open, (error) => error instanceof RpcError && error.code === 'denied')
    await assert.rejects(server.onCall(CLUSTER_STATUS, hello, 'elsewhere:1'), { code: 'denied' })
  })
})
