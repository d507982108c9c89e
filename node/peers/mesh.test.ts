import assert from 'node:assert/strict'
import { statusRequest, statusResponse } from '../../proto/codecs.ts'
import { CLUSTER_STATUS } from '../../proto/methods.ts'
import { helloOf } from './hello.ts'
import { ControlCluster } from './testing/control-cluster.ts'
import { ControlStorm } from './testing/control-storm.ts'

const SEED = 55_021

describe('node/peers/mesh', () => {
  let cluster: ControlCluster
  beforeEach(async () => {
    cluster = new ControlCluster(SEED)
    await cluster.start(1, 2, 3)
  })

  it('is a cluster within two seconds, of one id, with all brokers', async () => {
    const { world, nodes, leader } = cluster
    assert.ok(world.scheduler.nowMs < 2000, `${world.scheduler.nowMs} ms`)
    const clusterId = leader?.quorum.image.clusterId
    assert.equal(clusterId?.length, 22)
    await world.runFor(100)
    for (const { quorum } of nodes.values()) {
      assert.equal(quorum.image.clusterId, clusterId)
      const brokers = [...quorum.image.brokers.values()]
      assert.deepEqual(brokers.map(({ id, isFenced }) => [id, isFenced]).sort(), [
        [1, false],
        [2, false],
        [3, false],
      ])
    }
  })

  it('takes requests anywhere, and shows their effect where they were made', async () => {
    const { world, follower } = cluster
    const { topics } = await world.complete(follower.createTopic('orders'))
    assert.equal(topics[0]!.errorCode, 0)
    const topic = follower.quorum.image.topics.get('orders')
    assert.deepEqual(
      topic?.partitions.map(({ isr }) => [...isr].sort()),
      [
        [1, 2, 3],
        [1, 2, 3],
        [1, 2, 3],
      ],
    )
  })

  it('has another controller at once when the process of the first one ends', async () => {
    const { world } = cluster
    const first = cluster.leader!.id
    const { follower } = cluster
    await world.complete(follower.createTopic('orders'))
    const killedAtMs = world.scheduler.nowMs
    cluster.kill(first)
    const isMoved = () => {
      const image = cluster.leader?.quorum.image
      return (
        cluster.isFenced(first) &&
        image!.topics.get('orders')!.partitions.every(({ leader }) => leader !== first)
      )
    }
    const answer = follower.createTopic('payments')
    await world.runUntil(isMoved, 5000)
    const tookMs = world.scheduler.nowMs - killedAtMs
    assert.ok(tookMs < 100, `${tookMs} ms`)
    assert.equal((await world.complete(answer)).topics[0]!.errorCode, 0)
  })

  it('fences a node that falls silent in under one and a half seconds', async () => {
    const { world } = cluster
    await world.runFor(1000)
    for (const isLeader of [false, true]) {
      const victim = isLeader ? cluster.leader!.id : cluster.follower.id
      const silentAtMs = world.scheduler.nowMs
      const nodes = [...cluster.nodes.values()].filter(({ id }) => id !== victim)
      world.host(`node-${victim}`).freeze()
      const sees = () =>
        nodes.some(({ id, quorum }) => {
          return quorum.leaderId === id && quorum.image.brokers.get(victim)?.isFenced === true
        })
      await world.runUntil(sees, 5000)
      const tookMs = world.scheduler.nowMs - silentAtMs
      assert.ok(tookMs < (isLeader ? 1700 : 1400), `${tookMs} ms`)
      world.host(`node-${victim}`).thaw()
      await world.runUntil(() => !cluster.isFenced(victim) && !sees(), 5000)
      await world.runFor(1000)
    }
  })

  it('lets a node back in that was killed and comes again', async () => {
    const { world } = cluster
    const victim = cluster.follower.id
    cluster.kill(victim)
    await world.runUntil(() => cluster.isFenced(victim), 1000)
    const sinceMs = world.scheduler.nowMs
    await cluster.start(victim)
    assert.ok(world.scheduler.nowMs - sinceMs < 1000)
    assert.equal(cluster.isFenced(victim), false)
  })

  it('comes back from a loss of all power', async () => {
    const { world } = cluster
    await world.complete(cluster.follower.createTopic('orders'))
    const clusterId = cluster.leader?.quorum.image.clusterId
    for (const id of [1, 2, 3]) {
      world.host(`node-${id}`).powerLoss()
      cluster.nodes.delete(id)
    }
    await cluster.start(1, 2, 3)
    assert.equal(cluster.leader?.quorum.image.clusterId, clusterId)
    assert.equal(cluster.leader?.quorum.image.topics.get('orders')?.partitions.length, 3)
  })

  it('moves the leadership when the controller stops, and leaves nothing behind', async () => {
    const { world } = cluster
    const first = cluster.leader!
    await world.complete(first.stop())
    cluster.nodes.delete(first.id)
    await world.runUntil(() => cluster.leader !== undefined, 500)
    await world.runUntil(() => cluster.isFenced(first.id), 500)
  })

  it('has a change on every node when it is answered', async () => {
    const { world, nodes } = cluster
    const all = [...nodes.values()]
    const areMet = () =>
      all.every((one) => all.every(({ id }) => id === one.id || one.mesh.peers.isUp(id)))
    await world.runUntil(areMet, 2000)
    for (let i = 0; i < 10; i++) {
      const asked = nodes.get(1 + (i % 3))!
      const answer = asked.createTopic(`topic-${i}`).then(() => {
        return all.every(({ quorum }) => quorum.image.topics.has(`topic-${i}`))
      })
      assert.equal(await world.complete(answer), true)
    }
  })

  it('does not wait long for a node that stands still', async () => {
    const { world, nodes, follower } = cluster
    const asked = [...nodes.values()].find((node) => node !== follower)!
    world.host(`node-${follower.id}`).freeze()
    const sinceMs = world.scheduler.nowMs
    await world.complete(asked.createTopic('orders'))
    assert.ok(world.scheduler.nowMs - sinceMs < 300)
    world.host(`node-${follower.id}`).thaw()
    await world.runFor(1000)
  })

  it('takes in a broker that does not vote, and all nodes meet it', async () => {
    const { world, nodes } = cluster
    await cluster.start(4)
    const all = [...nodes.values()]
    await world.runUntil(() => all.every(({ id, mesh }) => id === 4 || mesh.peers.isUp(4)), 1000)
    const { quorum } = nodes.get(4)!
    assert.equal(quorum.image.brokers.get(4)?.isFenced, false)
    const { topics } = await world.complete(nodes.get(4)!.createTopic('orders'))
    assert.equal(topics[0]!.errorCode, 0)
    assert.ok(quorum.image.topics.has('orders'))
    cluster.kill(4)
    await world.runUntil(() => cluster.isFenced(4), 200)
  })

  it('tells its state', async () => {
    const { world, follower } = cluster
    const leader = cluster.leader!
    const request = statusRequest.encode({ hello: helloOf(follower.self, leader.id) })
    const answer = follower.mesh.peer(leader.id).call(CLUSTER_STATUS, request, 1000)
    const status = statusResponse.decode(await world.complete(answer))
    assert.deepEqual(
      [status.state, status.leaderId, status.hello?.nodeId],
      ['running', leader.id, leader.id],
    )
    assert.equal(status.appliedOffset, leader.quorum.image.offset)
  })
})

describe('node/peers/mesh in a storm', () => {
  const fresh = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9))
  for (const seed of [95, 2008, fresh]) {
    it(`comes together again, seed ${seed}`, async () => {
      await new ControlStorm(seed).run()
    })
  }
})
