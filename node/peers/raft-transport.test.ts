import assert from 'node:assert/strict'
import { raftFrame } from '../../proto/codecs.ts'
import { RAFT_EXCHANGE } from '../../proto/methods.ts'
import type { Message } from '../../raft/messages.ts'
import { PeerRaftTransport } from './raft-transport.ts'
import { realStage, type Stage, StageNode, simStage, startNodes } from './testing/stage.ts'

const SEED = 7_331

interface Arrived {
  readonly from: number
  readonly message: Message
}

interface Member {
  readonly node: StageNode
  readonly transport: PeerRaftTransport
  readonly arrived: Arrived[]
  readonly clusterIds: string[]
}

function member(node: StageNode): Member {
  const arrived: Arrived[] = []
  const clusterIds: string[] = []
  const { clock, logger } = node.place
  const transport = new PeerRaftTransport({
    clock,
    logger,
    peers: node.peers,
    clusterId: () => node.clusterId,
    receive: (from, message, clusterId) => {
      arrived.push({ from, message })
      clusterIds.push(clusterId)
    },
  })
  node.service.routeStream(RAFT_EXCHANGE, (remote, stream) => transport.accept(remote, stream))
  return { node, transport, arrived, clusterIds }
}

function read(from: number, to: number, context: number): Message {
  return { type: 'read', from, directoryId: `directory-${from}`, to, term: 1, context }
}

function append(from: number, to: number, sizeBytes: number): Message {
  const data = Buffer.alloc(sizeBytes, from)
  const entries = [{ baseOffset: 0, count: 1, term: 1, kind: 'normal' as const, data }]
  const position = { prevEnd: 0, prevTerm: 0, commit: 0 }
  return { type: 'append', from, directoryId: '', to, term: 1, ...position, entries }
}

for (const [name, start] of [
  ['simulated', () => simStage(SEED)],
  ['gRPC', realStage],
] as const) {
  describe(`node/peers/raft-transport ${name}`, () => {
    let stage: Stage
    let members: Member[] = []
    beforeEach(async () => {
      stage = start()
      members = (await startNodes(stage, 2)).map(member)
    })
    afterEach(async () => {
      for (const { transport, node } of members) {
        transport.close()
        node.peers.close()
      }
      for (const { node } of members) await node.end()
    })
    transportTests(
      () => stage,
      () => members,
    )
  })
}

function transportTests(stage: () => Stage, members: () => Member[]): void {
  it('carries messages in order, both ways', async () => {
    const [one, two] = members()
    for (let i = 0; i < 100; i++) {
      one!.transport.send(2, read(1, 2, i))
      two!.transport.send(1, read(2, 1, i))
    }
    await stage().until(() => one!.arrived.length === 100 && two!.arrived.length === 100)
    one!.transport.send(2, read(1, 2, 100))
    await stage().until(() => two!.arrived.length === 101)
    two!.arrived.forEach(({ from, message }, i) => {
      assert.deepEqual([from, message], [1, read(1, 2, i)])
    })
    assert.equal(one!.transport.droppedCount, 0)
  })

  it('says which cluster the sender is part of, as of now', async () => {
    const [one, two] = members()
    one!.transport.send(2, read(1, 2, 0))
    await stage().until(() => two!.arrived.length === 1)
    one!.node.clusterId = 'founded-meanwhile'
    one!.transport.send(2, read(1, 2, 1))
    await stage().until(() => two!.arrived.length === 2)
    assert.deepEqual(two!.clusterIds, ['', 'founded-meanwhile'])
  })

  it('answers a node that it does not know on the stream that came from it', async () => {
    const [one] = members()
    const learner = member(new StageNode(stage(), 3))
    members().push(learner)
    await learner.node.serve()
    learner.node.peers.setNodes(new Map([[1, one!.node.address]]))
    learner.transport.send(1, {
      ...read(3, 1, 0),
      type: 'follow',
      nodeId: 3,
      endOffset: 5,
    } as Message)
    await stage().until(() => one!.arrived.length === 1)
    one!.transport.send(3, append(1, 3, 1000))
    await stage().until(() => learner.arrived.length === 1)
    assert.equal(learner.arrived[0]!.message.type, 'append')
  })

  it('knows when a new process of a node that died has taken the lead', async () => {
    const [one, two] = members()
    assert.equal(one!.transport.leadsAsAnother(2, '2.1'), false)
    two!.transport.send(1, append(2, 1, 10))
    await stage().until(() => one!.arrived.length === 1)
    const asked = (incarnationId?: string) => one!.transport.leadsAsAnother(2, incarnationId)
    assert.deepEqual([asked('2.0'), asked('2.1'), asked()], [true, false, false])
    assert.equal(one!.transport.leadsAsAnother(3, '3.0'), false)
  })

  it('keeps a bounded queue for a slow receiver, and goes on after it', async () => {
    const [one, two] = members()
    const count = 30
    for (let i = 0; i < count; i++) one!.transport.send(2, append(1, 2, 1024 * 1024))
    const { droppedCount } = one!.transport
    assert.ok(droppedCount > 20 && droppedCount < 25, `${droppedCount}`)
    await stage().until(() => two!.arrived.length === count - droppedCount)
    one!.transport.send(2, read(1, 2, 9))
    await stage().until(() => two!.arrived.at(-1)?.message.type === 'read')
  })

  it('drops what is for a node that is away', async () => {
    const [one, two] = members()
    one!.transport.send(2, read(1, 2, 0))
    await stage().until(() => two!.arrived.length === 1)
    await two!.node.end()
    await stage().until(() => one!.node.peers.isDead(2))
    one!.transport.send(2, read(1, 2, 1))
    one!.transport.send(77, read(1, 77, 1))
    await stage().until(() => one!.transport.droppedCount === 2)
  })

  it('refuses a message that speaks for another node', async () => {
    const [one, two] = members()
    let closes = 0
    const stream = one!.node.peers.peer(2).stream(RAFT_EXCHANGE, {
      onMessage() {},
      onDrain() {},
      onClose: () => closes++,
    })
    const { from: _from, directoryId, to, term } = read(1, 2, 0)
    const forged = { from: 9, directoryId, to, term, read: { context: 0 } }
    stream.send(raftFrame.encode({ messages: [forged] }))
    await stage().until(() => closes === 1)
    assert.ok(two!.node.logged(/it speaks for node 9/))
    assert.deepEqual(two!.arrived, [])
  })
}
