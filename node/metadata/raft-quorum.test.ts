import assert from 'node:assert/strict'
import { type MetadataImage, topicById } from './image.ts'
import { NotLeaderError } from './quorum.ts'
import { RaftCluster } from './raft-fixture.ts'
import type { MetadataRecord } from './records.ts'
import { idOf, partitionRecord, topicRecord } from './testing.ts'

const topic = (number: number): MetadataRecord[] => [
  topicRecord(`topic-${number}`, idOf(number)),
  partitionRecord(idOf(number), 0),
]

const contentOf = (image: MetadataImage) =>
  [...image.topics.values()].sort((one, other) => (one.name < other.name ? -1 : 1))

describe('node/metadata/raft-quorum: one voter', () => {
  it('commits, applies, tells, and remembers', async () => {
    const cluster = new RaftCluster(1, { voterIds: [1] })
    const quorum = await cluster.start(1)
    assert.deepEqual([quorum.leaderId, quorum.leaderEpoch], [1, 1])
    assert.ok(cluster.world.scheduler.nowMs < 50, 'it does not wait for anybody')
    const heard: string[] = []
    const end = quorum.onApplied((image, delta) => {
      assert.equal(image, quorum.image)
      heard.push(...delta.createdTopics.map(({ name }) => name))
    })
    const before = quorum.nextOffset
    const last = await cluster.world.complete(quorum.propose(topic(1)))
    assert.equal(last, before + 1)
    assert.equal(quorum.image.offset, last)
    assert.deepEqual(heard, ['topic-1'])
    end()
    await cluster.world.complete(quorum.propose(topic(2)))
    assert.deepEqual(heard, ['topic-1'])
    await cluster.stop(1)
    assert.equal(quorum.leaderId, -1)
    const again = await cluster.start(1)
    assert.equal(again.leaderEpoch, 2)
    assert.deepEqual(contentOf(again.image), contentOf(quorum.image))
    await cluster.stop(1)
  })
})

describe('node/metadata/raft-quorum: three voters', () => {
  it('elects, commits on all, and survives the loss of each', async () => {
    const cluster = new RaftCluster(2, { proofMs: 2 })
    await cluster.startAll()
    const first = await cluster.leads()
    const offset = await cluster.world.complete(first.quorum.propose(topic(1)))
    const image = await cluster.converge(offset)
    assert.ok(topicById(image, idOf(1)))
    cluster.kill(first.id)
    const diedMs = cluster.world.scheduler.nowMs
    const second = await cluster.leads()
    assert.notEqual(second.id, first.id)
    assert.ok(cluster.world.scheduler.nowMs - diedMs < 300, 'a proof is as good as a timeout')
    const next = await cluster.world.complete(second.quorum.propose(topic(2)))
    await cluster.start(first.id)
    const all = await cluster.converge(next)
    assert.equal(all.topics.size, 2)
    for (const { quorum } of cluster.running.values()) {
      if (quorum !== second.quorum) {
        await assert.rejects(quorum.propose(topic(3)), NotLeaderError)
      }
    }
    await cluster.stopAll()
  })
})
