/* A cluster that grows by a broker and a voter, and loses a voter, while records flow. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { realClock } from '../../base/real/clock.ts'
import { realNetwork } from '../../base/real/network.ts'
import { Cluster } from '../../kafka/client/cluster.ts'
import { Producer } from '../../kafka/client/producer.ts'
import { freePorts, ServerProcess } from '../cluster/processes.ts'
import { ServerGroup } from '../cluster/server-group.ts'
import { until } from './nodes.ts'

const PROGRAM = fileURLToPath(new URL('../../node/odradek.cjs', import.meta.url))
const TOPIC = 'growth'

describe('hardship/growth', function () {
  this.timeout(120_000)
  let group: ServerGroup
  const more: ServerProcess[] = []

  before(async () => {
    group = await ServerGroup.start({ peer: 'odradek', count: 3 })
  })
  after(async () => {
    await Promise.all(more.map((node) => node.remove()))
    await group.remove()
  })

  /** A node beside the first three. Voters know their own address, others need not be listed. */
  async function startNode(id: number, roles: string): Promise<ServerProcess> {
    const [kafka, controller, http] = await freePorts(3)
    const known = group.nodes.map((node, at) => `${at + 1}@127.0.0.1:${node.ports.controller}`)
    if (roles.includes('controller')) known.push(`${id}@127.0.0.1:${controller}`)
    const properties = {
      'node.id': String(id),
      'process.roles': roles,
      'controller.quorum.voters': known.join(','),
    }
    const node = new ServerProcess(
      { peer: 'odradek', properties },
      { kafka: kafka!, controller: controller!, http: http! },
    )
    more.push(node)
    await node.start()
    return node
  }

  function run(...words: string[]) {
    const bootstrap = [...group.nodes, ...more].map((node) => node.bootstrap).join(',')
    return spawnSync(process.execPath, [PROGRAM, ...words, '-b', bootstrap], { encoding: 'utf8' })
  }

  /** An idempotent producer at work; what it was acknowledged is looked at when it is stopped. */
  function startWriter(): { stop: () => Promise<number[]> } {
    const bootstrap = group.nodes.map((node) => node.bootstrap)
    const parts = { network: realNetwork, clock: realClock }
    const cluster = new Cluster(parts, { bootstrap, clientId: 'growth', timeoutMs: 20_000 })
    const producer = new Producer(cluster, { deliveryTimeoutMs: 60_000 })
    let isStopping = false
    const writing = (async () => {
      const offsets: number[] = []
      while (!isStopping) {
        const value = Buffer.from(`record ${offsets.length}`)
        offsets.push((await producer.send(TOPIC, [{ value, partition: 0 }]))[0]!.offset)
      }
      return offsets
    })()
    // Looked at in `stop`; until then a failure is nobody's.
    writing.catch(() => undefined)
    return {
      stop: async () => {
        isStopping = true
        try {
          return await writing
        } finally {
          await cluster.close()
        }
      },
    }
  }

  it('a broker and a voter join, a voter goes, and no send fails', async () => {
    const made = run('topic', 'create', TOPIC, '--partitions', '1', '--replicas', '3')
    assert.equal(made.status, 0, made.stderr)
    const writer = startWriter()
    await startNode(4, 'broker')
    await startNode(5, 'broker,controller')
    const isObserver = (id: number) => new RegExp(`^${id} +observer`, 'm')
    await until('both follow the metadata log', () => {
      const { stdout } = run('cluster', 'quorum')
      return isObserver(4).test(stdout) && isObserver(5).test(stdout)
    })
    const added = run('cluster', 'add-voter', '5')
    assert.equal(added.status, 0, added.stderr)
    assert.match(added.stderr, /node 5 votes; voters: 1, 2, 3, 5/)
    const again = run('cluster', 'add-voter', '5')
    assert.equal(again.status, 2)
    assert.match(again.stderr, /node 5 is a voter already/)

    const moved = run('partition', 'move', `${TOPIC}:0`, '4,5,2', '--wait')
    assert.equal(moved.status, 0, moved.stderr)
    const removed = run('cluster', 'remove-voter', '1')
    assert.equal(removed.status, 0, removed.stderr)
    assert.match(removed.stderr, /node 1 votes no longer; voters: 2, 3, 5/)

    // Two of 2, 3 and 5 are a majority; of 1, 2 and 3 they would be one node.
    await group.nodes[0]!.kill()
    await group.nodes[2]!.kill()
    await until('a leader among 2 and 5', () =>
      /^[25] +leader/m.test(run('cluster', 'quorum').stdout),
    )

    const offsets = await writer.stop()
    assert.ok(offsets.length > 20, `${offsets.length} records`)
    assert.ok(offsets.every((offset, at) => at === 0 || offset > offsets[at - 1]!))
    const read = run('consume', TOPIC, '--from-beginning', '--exit')
    const expected = offsets.map((_, at) => `record ${at}`)
    assert.deepEqual(read.stdout.trim().split('\n'), expected)
  })

  it('a node that is gone for good is forgotten; one that runs, votes or has replicas is not', async () => {
    await group.nodes[2]!.start()
    const forget = (id: number) => run('node', 'unregister', String(id), '--yes')
    await until('nodes 1 is fenced, and 3 serves', () => {
      const { stdout } = run('node', 'status')
      return /^1 .* fenced/m.test(stdout) && /^3 .* running/m.test(stdout)
    })
    assert.match(run('cluster', 'health').stdout, /nodes that do not answer: 1/)
    assert.match(forget(4).stderr, /node 4 runs: stop it first/)
    assert.match(forget(9).stderr, /there is no node 9/)
    await more[0]!.kill()
    await until('node 4 is fenced', () => /^4 .* fenced/m.test(run('node', 'status').stdout))
    assert.match(forget(4).stderr, /node 4 has 1 replicas/)
    const done = forget(1)
    assert.equal(done.status, 0, done.stderr)
    const { stdout } = run('cluster', 'info')
    assert.match(stdout, /^4 /m)
    assert.doesNotMatch(stdout, /^1 /m)
  })

  it('a node that does not follow the log gets no vote', () => {
    const answer = run('cluster', 'add-voter', '9')
    assert.equal(answer.status, 2)
    assert.match(answer.stderr, /node 9 does not follow the metadata log: start it first/)
  })
})
