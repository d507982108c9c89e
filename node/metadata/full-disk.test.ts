import assert from 'node:assert/strict'
import { RESERVE_PIECES } from '../../log/reserve.ts'
import { RaftCluster } from './raft-fixture.ts'
import type { MetadataRecord } from './records.ts'
import { idOf, partitionRecord, topicRecord } from './testing.ts'

const made = (number: number): MetadataRecord[] => [
  topicRecord(`topic-${number}`, idOf(number)),
  partitionRecord(idOf(number), 0),
]
const deleted = (number: number): MetadataRecord[] => [
  { type: 'RemoveTopicRecord', topicId: idOf(number) },
]

describe('node/metadata: a full disk', () => {
  for (const voterIds of [[1], [1, 2, 3]]) {
    it(`takes deletions from the reserve, with ${voterIds.length} voters`, async () => {
      const cluster = new RaftCluster(7, { voterIds })
      await cluster.startAll()
      const { world } = cluster
      const fill = () => {
        for (const id of voterIds) {
          const { disk } = cluster.host(id)
          disk.quotaBytes = disk.usedBytes()
        }
      }
      await world.scheduler.runUntil(() => cluster.leader() !== undefined, 60_000)
      const propose = (records: MetadataRecord[]) =>
        world.complete(cluster.leader()!.quorum.propose(records))
      for (let i = 0; i < 2 * RESERVE_PIECES; i++) await propose(made(i))
      await world.runFor(5000)
      // Somebody takes whatever gets free.
      let count = 0
      for (; count < RESERVE_PIECES; count++) {
        fill()
        await propose(deleted(count))
      }
      assert.equal(cluster.leader()!.quorum.image.topics.size, RESERVE_PIECES)
      fill()
      await assert.rejects(propose(deleted(count)), 'the reserve is used up')
      for (const id of voterIds) cluster.host(id).disk.quotaBytes = 2 ** 40
      await world.runFor(15_000)
      fill()
      await propose(deleted(count))
      await cluster.stopAll()
    })
  }
})
