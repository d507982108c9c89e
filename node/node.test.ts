import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SILENT } from '../base/logger.ts'
import { UNSCRAPED } from '../base/metrics.ts'
import { realClock } from '../base/real/clock.ts'
import { realWorld } from '../base/real/world.ts'
import { Cluster } from '../kafka/client/cluster.ts'
import { Consumer } from '../kafka/client/consumer.ts'
import { GroupMember } from '../kafka/client/group-member.ts'
import { Producer } from '../kafka/client/producer.ts'
import { GrpcRpc } from '../proto/rpc.ts'
import { loadSettings } from './config/load.ts'
import { Node } from './node.ts'

const rpc = new GrpcRpc({ clock: realClock })
const world = realWorld({ logger: SILENT, metrics: UNSCRAPED, rpc })
const onFatal = (error: unknown) => {
  throw error
}

function settings(directory: string) {
  return loadSettings({
    profile: 'test',
    flags: {
      'process.roles': 'broker,controller',
      'node.id': '1',
      listeners: 'PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0',
      'controller.listener.names': 'CONTROLLER',
      'log.dirs': directory,
      'http.address': '',
    },
  })
}

function connect(node: Node): Cluster {
  return new Cluster(world, {
    bootstrap: [`127.0.0.1:${node.endpoints[0]!.port}`],
    clientId: 'test',
    timeoutMs: 5000,
  })
}

describe('node', () => {
  let directory = ''

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'odradek-node-'))
  })

  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it('keeps records and committed offsets over a restart', async () => {
    let node = await Node.start(world, settings(directory), onFatal)
    let cluster = connect(node)
    const values = ['a', 'b', 'c'].map((value) => ({ value: Buffer.from(value), partition: 0 }))
    await new Producer(cluster).send('t', values)
    const member = new GroupMember(cluster, { group: 'g', topics: ['t'] })
    await member.join()
    await member.commit([{ topic: 't', partition: 0, offset: 2 }])
    await member.close()
    await cluster.close()
    await node.stop()

    node = await Node.start(world, settings(directory), onFatal)
    cluster = connect(node)
    const consumer = new Consumer(cluster, { startAt: 'earliest', maxWaitMs: 100 })
    await consumer.assign([{ topic: 't', partition: 0 }])
    const records = await consumer.poll()
    assert.deepEqual(
      records.map(({ offset, value }) => `${offset} ${value}`),
      ['0 a', '1 b', '2 c'],
    )
    const again = new GroupMember(cluster, { group: 'g', topics: ['t'] })
    assert.deepEqual(await again.join(), [{ topic: 't', partition: 0, offset: 2, epoch: -1 }])
    await again.close()
    await cluster.close()
    await node.stop()
  })

  it('refuses a directory that another node uses', async () => {
    const node = await Node.start(world, settings(directory), onFatal)
    await assert.rejects(
      Node.start(world, settings(directory), onFatal),
      /is in use by another node/,
    )
    await node.stop()
  })
})
