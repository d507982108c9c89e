import assert from 'node:assert/strict'
import type { RpcError, RpcStreamHandler } from '../../base/rpc.ts'
import { firstFrame } from '../../proto/codecs.ts'
import { CLUSTER_SESSION, CLUSTER_STATUS } from '../../proto/methods.ts'
import { TestAuthority, whyNoCertificates } from '../../proto/testing/certificates.ts'
import { helloOf } from './hello.ts'
import {
  introduce,
  realStage,
  type Stage,
  StageNode,
  simStage,
  startNodes,
} from './testing/stage.ts'

const SEED = 20_251_125

/** How soon others know that a process has ended; a busy machine gets more. */
const DEATH_KNOWN_WITHIN_MS = { simulated: 50, real: 1000 }

class Scene {
  readonly stage: Stage
  readonly nodes: StageNode[] = []
  readonly #replaced: StageNode[] = []

  constructor(stage: Stage) {
    this.stage = stage
  }

  node(id: number): StageNode {
    const node = this.nodes.find((one) => one.id === id)
    assert.ok(node !== undefined)
    return node
  }

  /** Another life, at the same address. */
  async restart(id: number, life: number): Promise<StageNode> {
    const index = this.nodes.findIndex((one) => one.id === id)
    const { port } = this.nodes[index]!.address
    await this.nodes[index]!.end()
    return this.replace(index, { id, life, port })
  }

  async replace(
    index: number,
    { id, life, port }: { id: number; life: number; port: number },
  ): Promise<StageNode> {
    const node = new StageNode(this.stage, id, { life })
    this.#replaced.push(this.nodes[index]!)
    this.nodes[index] = node
    await node.serve(port)
    return node
  }

  async add(node: StageNode): Promise<StageNode> {
    this.nodes.push(node)
    await node.serve()
    return node
  }

  async end(): Promise<void> {
    const all = [...this.nodes, ...this.#replaced]
    for (const node of all) node.peers.close()
    for (const node of all) await node.end()
  }
}

for (const [name, start] of [
  ['simulated', () => simStage(SEED)],
  ['gRPC', realStage],
] as const) {
  describe(`node/peers ${name}`, () => {
    let scene: Scene
    beforeEach(async () => {
      scene = new Scene(start())
      scene.nodes.push(...(await startNodes(scene.stage, 3)))
    })
    afterEach(() => scene.end())
    linkTests(() => scene)
    deathTests(() => scene)
    refusalTests(() => scene)
    if (name === 'gRPC') twinTests(() => scene)
    else {
      patienceTests(() => scene)
      silenceTests()
    }
  })
}

class Recorder implements RpcStreamHandler {
  readonly messages: string[] = []
  error: RpcError | undefined
  closes = 0

  onMessage(message: Buffer): void {
    this.messages.push(message.toString())
  }

  onDrain(): void {}

  onClose(error: RpcError | undefined): void {
    this.closes++
    this.error = error
  }
}

function linkTests(scene: () => Scene): void {
  it('connects every node with every other', () => {
    for (const node of scene().nodes) {
      const states = node.peers.states()
      const others = [1, 2, 3].filter((id) => id !== node.id)
      assert.deepEqual(
        states.map(({ nodeId }) => nodeId),
        others,
      )
      for (const { isUp, isDead, remote, nodeId } of states) {
        assert.deepEqual([isUp, isDead], [true, false])
        assert.equal(remote?.incarnationId, `${nodeId}.1`)
        assert.equal(remote.directoryId, `directory-${nodeId}`)
      }
      assert.deepEqual([node.dead, node.downs], [[], []])
    }
  })

  it('says hello before a stream, and tells who is there', async () => {
    const { stage } = scene()
    const server = new Recorder()
    let from = -1
    scene()
      .node(2)
      .service.routeStream(CLUSTER_SESSION, (remote, stream) => {
        from = remote.nodeId
        stream.send(Buffer.from('welcome'))
        return server
      })
    const client = new Recorder()
    const stream = scene().node(1).peers.peer(2).stream(CLUSTER_SESSION, client)
    for (const text of ['a', 'b', 'c']) stream.send(Buffer.from(text))
    await stage.until(() => server.messages.length === 3 && client.messages.length === 1)
    assert.deepEqual([server.messages, client.messages, from], [['a', 'b', 'c'], ['welcome'], 1])
    stream.end()
    await stage.until(() => client.closes === 1 && server.closes === 1)
    assert.deepEqual([client.error, server.error], [undefined, undefined])
  })

  it('fails at once where nobody can be reached or nobody is known', async () => {
    const { stage } = scene()
    const { peers } = scene().node(1)
    await scene().node(3).end()
    await stage.until(() => peers.isDead(3))
    for (const id of [3, 99]) {
      const client = new Recorder()
      const stream = peers.peer(id).stream(CLUSTER_SESSION, client)
      assert.equal(stream.send(Buffer.from('x')), false)
      await stage.until(() => client.closes === 1)
      assert.equal(client.error?.code, 'unavailable')
      await assert.rejects(
        stage.complete(peers.peer(id).call(CLUSTER_STATUS, Buffer.alloc(0), 1000)),
        { code: 'unavailable' },
      )
    }
    const errors = [...peers.probe.errors()]
    // Nobody was asked where nobody is known.
    assert.deepEqual(errors, [
      { method: CLUSTER_SESSION, peer: 3, code: 'unavailable', count: 1 },
      { method: CLUSTER_STATUS, peer: 3, code: 'unavailable', count: 1 },
    ])
    const calls = [...peers.probe.calls()].map(({ method, peer }) => `${method} ${peer}`)
    assert.deepEqual(calls, [`${CLUSTER_STATUS} 3`])
  })

  it('follows a node to another address, and forgets one that is gone', async () => {
    const { stage } = scene()
    const [first, , third] = scene().nodes
    const moved = await scene()
      .replace(1, { id: 2, life: 1, port: 0 })
      .catch(() => undefined)
    if (moved === undefined) return // the simulation has one process a machine
    const addresses = new Map([
      [2, moved.address],
      [1, first!.address],
    ])
    first!.peers.setNodes(addresses)
    await stage.until(() => first!.peers.isUp(2))
    assert.deepEqual(
      first!.peers.states().map(({ nodeId }) => nodeId),
      [2],
    )
    assert.deepEqual(first!.downs.sort(), [2, 3])
    assert.equal(third!.peers.isUp(1), true)
  })
}

function deathTests(scene: () => Scene): void {
  it('takes a refused connection for the proof of a death', async () => {
    const { stage } = scene()
    const others = [scene().node(1), scene().node(2)]
    const sinceMs = stage.monotonicMs()
    await scene().node(3).end()
    await stage.until(() => others.every(({ dead }) => dead.length > 0))
    const tookMs = stage.monotonicMs() - sinceMs
    const limitMs = DEATH_KNOWN_WITHIN_MS[stage.isSimulated ? 'simulated' : 'real']
    assert.ok(tookMs <= limitMs, `${tookMs} ms`)
    for (const { dead, peers } of others) {
      assert.deepEqual(dead[0], { nodeId: 3, incarnationId: undefined })
      assert.deepEqual([peers.isDead(3), peers.isUp(3)], [true, false])
    }
    assert.deepEqual(others[0]!.peers.isUp(2), true)
    assert.ok(others[0]!.logged(/process of a node has ended/))
  })

  it('looks for itself when others suspect a node', async () => {
    const { stage } = scene()
    const { peers, downs, dead } = scene().node(1)
    for (let i = 0; i < 3; i++) peers.suspect(2)
    await stage.elapse(50)
    assert.deepEqual([peers.isUp(2), downs, dead], [true, [], []])
    peers.suspect(2)
    peers.suspect(99)
    await scene().node(2).end()
    peers.suspect(2)
    await stage.until(() => dead.length > 0)
    assert.equal(peers.isDead(2), true)
  })

  it('knows a node that comes back as another process', async () => {
    const { stage } = scene()
    const others = [scene().node(1), scene().node(2)]
    const again = await scene().restart(3, 2)
    introduce(scene().nodes)
    await stage.until(() => others.every(({ ups }) => ups.includes('3.2')))
    for (const { dead, peers } of others) {
      assert.deepEqual(dead.at(-1), { nodeId: 3, incarnationId: '3.1' })
      assert.deepEqual([peers.isDead(3), peers.isUp(3)], [false, true])
    }
    await stage.until(() => again.peers.isUp(1) && again.peers.isUp(2))
    assert.deepEqual(again.dead, [])
  })

  it('calls back who calls, without waiting for its own next try', async () => {
    const { stage } = scene()
    const first = scene().node(1)
    const { port } = scene().node(3).address
    await scene().node(3).end()
    await stage.elapse(1000) // its tries are rare by now
    const again = await scene().replace(2, { id: 3, life: 2, port })
    again.peers.setNodes(new Map([[1, first.address]]))
    await stage.until(() => again.peers.isUp(1))
    const calledAtMs = stage.monotonicMs()
    await stage.until(() => first.peers.isUp(3))
    const tookMs = stage.monotonicMs() - calledAtMs
    assert.ok(tookMs < (stage.isSimulated ? 20 : 500), `${tookMs} ms`)
  })
}

function refusalTests(scene: () => Scene): void {
  it('keeps two clusters apart, and says so on both sides', async () => {
    const { stage } = scene()
    const first = scene().node(1)
    first.clusterId = 'cluster-a'
    const stranger = await scene().add(new StageNode(stage, 4, { clusterId: 'cluster-b' }))
    const addresses = new Map([
      [1, first.address],
      [4, stranger.address],
    ])
    stranger.peers.setNodes(addresses)
    first.peers.setNodes(addresses)
    const sentence = /is of cluster cluster-[ab], node [14] of cluster cluster-[ab]/
    await stage.until(() => first.logged(sentence) && stranger.logged(sentence))
    assert.deepEqual([first.peers.isUp(4), stranger.peers.isUp(1)], [false, false])
    assert.deepEqual([first.dead, stranger.dead], [[], []])
  })

  it('lets nodes meet that have not heard of a cluster yet', async () => {
    const { stage } = scene()
    const first = scene().node(1)
    first.clusterId = 'cluster-a'
    const fresh = await scene().add(new StageNode(stage, 4))
    fresh.peers.setNodes(new Map([[1, first.address]]))
    await stage.until(() => fresh.peers.isUp(1))
    assert.equal(fresh.peers.states()[0]?.remote?.clusterId, 'cluster-a')
  })

  it('says that two nodes list different voters, and talks to both', async () => {
    const { stage } = scene()
    const first = scene().node(1)
    first.voterIds.push(1, 2, 3)
    const other = new StageNode(stage, 4)
    other.voterIds.push(4, 1, 2)
    await scene().add(other)
    other.peers.setNodes(new Map([[1, first.address]]))
    await stage.until(() => other.peers.isUp(1))
    assert.ok(other.logged(/node 1 lists the voters 1, 2, 3, node 4 1, 2, 4: make controller/))
  })

  it('refuses a node that is not the one that was called', async () => {
    const { stage } = scene()
    const [first, second] = scene().nodes
    first!.peers.setNodes(new Map([[7, second!.address]]))
    await stage.until(() => first!.logged(/called node 7, and node 2 answered/))
    assert.ok(second!.logged(/node 1 called node 7, and node 2 answered/))
    assert.equal(first!.peers.isUp(7), false)
    // And again only after a while.
    const lines = first!.place.lines.filter(({ message }) => /refused/.test(message))
    assert.equal(lines.length, 1)
  })
}

/** What takes its time. */
function patienceTests(scene: () => Scene): void {
  it('says it again while nobody listens there', async () => {
    const { stage } = scene()
    const { dead, place } = scene().node(1)
    await scene().node(3).end()
    await stage.until(() => dead.length >= 2)
    assert.ok(dead.every(({ nodeId }) => nodeId === 3))
    const lines = place.lines.filter(({ message }) => /has ended/.test(message))
    assert.equal(lines.length, 1)
  })

  it('does not call in a tight loop who hangs up at once', async () => {
    const { stage } = scene()
    const { place, peers } = scene().node(1)
    const rude = { ...scene().node(2).self, nodeId: 4 }
    let calls = 0
    const server = await stage.complete(
      place.rpc.serve(
        { host: stage.host(1), port: 0 },
        {
          onStream(_method, stream) {
            calls++
            return {
              onMessage() {
                stream.send(firstFrame.encode({ hello: helloOf(rude, 1) }))
                place.clock.after(5, () => stream.cancel())
              },
              onDrain() {},
              onClose() {},
            }
          },
          onCall: () => Promise.reject(new Error('not called')),
        },
      ),
    )
    peers.setNodes(new Map([[4, { host: stage.host(1), port: server.port }]]))
    await stage.elapse(900)
    assert.ok(calls > 3 && calls <= 9, `${calls} calls`)
    peers.close()
    await stage.complete(server.close())
  })
}

/** Where a machine can fall silent. */
function silenceTests(): void {
  it('gives up a frozen node within a second, and does not call it dead', async () => {
    const stage = simStage(SEED)
    const { world } = stage
    const [first, second] = await startNodes(stage, 3)
    world.host('node-3').freeze()
    const sinceMs = stage.monotonicMs()
    await stage.until(() => first!.downs.includes(3) && second!.downs.includes(3))
    assert.ok(stage.monotonicMs() - sinceMs <= 1000)
    await world.runFor(5000)
    assert.deepEqual([first!.dead, first!.peers.isUp(3)], [[], false])
    world.host('node-3').thaw()
    await stage.until(() => first!.peers.isUp(3) && second!.peers.isUp(3))
    assert.deepEqual([first!.dead, second!.dead], [[], []])
  })

  it('gives up a node without power, and knows the process that comes after', async () => {
    const stage = simStage(SEED)
    const { world } = stage
    const nodes = await startNodes(stage, 3)
    const first = nodes[0]!
    const { port } = nodes[2]!.address
    world.host('node-3').powerLoss()
    await stage.until(() => first.downs.includes(3))
    await world.runFor(3000)
    assert.deepEqual(first.dead, [])
    const again = new StageNode(stage, 3, { life: 2 })
    await again.serve(port)
    await stage.until(() => first.dead.length > 0)
    assert.deepEqual(first.dead, [{ nodeId: 3, incarnationId: '3.1' }])
    assert.equal(first.peers.isUp(3), true)
  })

  it('asks again when another process calls, before the silence of the first one shows', async () => {
    const stage = simStage(SEED)
    const { world } = stage
    const nodes = await startNodes(stage, 3)
    const first = nodes[0]!
    const { port } = nodes[2]!.address
    world.host('node-3').powerLoss()
    await world.runFor(200)
    assert.equal(first.peers.isUp(3), true)
    const again = new StageNode(stage, 3, { life: 2 })
    await again.serve(port)
    again.peers.setNodes(new Map([[1, first.address]]))
    const sinceMs = stage.monotonicMs()
    await stage.until(() => first.dead.length > 0 && first.peers.isUp(3))
    assert.ok(stage.monotonicMs() - sinceMs < 20)
    assert.deepEqual(first.dead, [{ nodeId: 3, incarnationId: '3.1' }])
  })

  it('keeps calling behind a cut, in both directions of it', async () => {
    const stage = simStage(SEED)
    const { world } = stage
    const [first, , third] = await startNodes(stage, 3)
    world.links.cutOneWay('node-3', 'node-1')
    await stage.until(() => first!.downs.includes(3) && third!.downs.includes(1))
    await world.runFor(10_000)
    assert.deepEqual([first!.peers.isUp(3), third!.peers.isUp(1)], [false, false])
    world.links.healAll()
    const sinceMs = stage.monotonicMs()
    await stage.until(() => first!.peers.isUp(3) && third!.peers.isUp(1))
    assert.ok(stage.monotonicMs() - sinceMs < 2000)
    assert.deepEqual([first!.dead, third!.dead], [[], []])
  })
}

/** A simulated machine has the name of its node, and one process. */
function twinTests(scene: () => Scene): void {
  it('refuses a second node of the same id', async () => {
    const { stage } = scene()
    const first = scene().node(1)
    const twin = await scene().add(new StageNode(stage, 1, { life: 2 }))
    twin.peers.setNodes(new Map([[9, first.address]]))
    await stage.until(() => twin.logged(/two nodes have node.id=1/))
    assert.ok(first.logged(/two nodes have node.id=1/))
  })

  it('tells the others that two processes of one id live', async () => {
    const { stage } = scene()
    const [first, second] = [scene().node(1), scene().node(2)]
    const twin = await scene().add(new StageNode(stage, 1, { life: 2 }))
    twin.peers.setNodes(new Map([[2, second.address]]))
    await stage.until(() => second.logged(/not the one at .* called as node 1 too: change the/))
    assert.equal(second.peers.isUp(1), true)
    assert.deepEqual([first.dead, second.dead], [[], []])
  })
}

/** Each connection proves who is at its ends. */
function certificateTests(): void {
  const CLUSTER = 'the-cluster'
  let authority: TestAuthority
  let scene: Scene
  before(() => {
    authority = new TestAuthority()
  })
  after(() => authority.remove())
  afterEach(() => scene.end())

  it('connects nodes that have certificates', async () => {
    scene = new Scene(realStage((id) => authority.certificates(CLUSTER, id)))
    scene.nodes.push(...(await startNodes(scene.stage, 2)))
    assert.equal(scene.node(1).peers.isUp(2), true)
    await scene.node(2).end()
    await scene.stage.until(() => scene.node(1).dead.length > 0)
  })

  it('refuses a node with the certificate of another, and says so on both sides', async () => {
    const borrowed = (id: number) => authority.certificates(CLUSTER, id === 2 ? 7 : id)
    scene = new Scene(realStage(borrowed))
    await refuses(/node 2 has the certificate of node 7/)
  })

  it('refuses certificates of another cluster', async () => {
    const foreign = (id: number) => authority.certificates(id === 2 ? 'another' : CLUSTER, id)
    scene = new Scene(realStage(foreign))
    await refuses(/certificate is of cluster \S+, that of node \d of cluster/)
    assert.ok(scene.node(2).logged(/certificate is of cluster/))
  })

  it('refuses certificates that are not for the cluster of the directory', async () => {
    scene = new Scene(realStage((id) => authority.certificates(CLUSTER, id)))
    const clusterId = 'of-the-directory'
    await refuses(/certificate of node 2 is of cluster the-cluster, node 1 of/, clusterId)
  })

  async function refuses(sentence: RegExp, clusterId?: string): Promise<void> {
    const { stage, nodes } = scene
    for (const id of [1, 2]) {
      const options = clusterId === undefined ? {} : { clusterId }
      await scene.add(new StageNode(stage, id, options))
    }
    introduce(nodes)
    await stage.until(() => nodes[0]!.logged(sentence))
    assert.deepEqual([nodes[0]!.peers.isUp(2), nodes[0]!.dead], [false, []])
  }
}

const reason = whyNoCertificates()
describe('node/peers with certificates', () => {
  if (reason === undefined) certificateTests()
  else it(`is not tested: ${reason}`)
})
