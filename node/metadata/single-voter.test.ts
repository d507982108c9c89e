import assert from 'node:assert/strict'
import { type MetadataImage, topicById } from './image.ts'
import { NotLeaderError } from './quorum.ts'
import type { MetadataRecord } from './records.ts'
import { idOf, partitionRecord, QuorumFixture, topicRecord } from './testing.ts'

const topic = (number: number): MetadataRecord[] => [
  topicRecord(`topic-${number}`, idOf(number)),
  partitionRecord(idOf(number), 0),
]

const contentOf = (image: MetadataImage) =>
  [...image.topics.values()].sort((one, other) => (one.name < other.name ? -1 : 1))

describe('node/metadata/single-voter', () => {
  it('commits, applies, tells, and remembers', async () => {
    const fixture = new QuorumFixture(1)
    const voter = await fixture.start()
    assert.deepEqual([voter.leaderId, voter.leaderEpoch, voter.highWatermark], [1, 1, 1])
    const heard: string[] = []
    const end = voter.onApplied((image, delta) => {
      assert.equal(image, voter.image)
      heard.push(...delta.createdTopics.map(({ name }) => name))
    })
    const before = voter.nextOffset
    const last = await fixture.complete(voter.propose(topic(1)))
    assert.equal(last, before + 1)
    assert.equal(voter.image.offset, last)
    assert.deepEqual(heard, ['topic-1'])
    end()
    await fixture.complete(voter.propose(topic(2)))
    assert.deepEqual(heard, ['topic-1'])
    await fixture.complete(voter.stop())
    assert.equal(voter.leaderId, -1)
    fixture.kill()
    const again = await fixture.start()
    assert.equal(again.leaderEpoch, 2)
    assert.deepEqual(contentOf(again.image), contentOf(voter.image))
    assert.equal(again.image.offset, again.nextOffset - 1)
    await fixture.complete(again.stop())
  })

  it('keeps the order of proposals, and gives many one sync', async () => {
    const fixture = new QuorumFixture(2)
    const voter = await fixture.start()
    const order: number[] = []
    const syncs = fixture.disk.syncCount
    const proposals = Array.from({ length: 100 }, (_, number) =>
      voter.propose(topic(number)).then((offset) => order.push(offset)),
    )
    await fixture.complete(Promise.all(proposals))
    assert.deepEqual(
      order,
      [...order].sort((one, other) => one - other),
    )
    assert.equal(voter.image.topics.size, 100)
    assert.ok(fixture.disk.syncCount - syncs <= 4, 'they share syncs')
    await fixture.complete(voter.stop())
  })

  it('loses nothing that was acknowledged when the power goes', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const fixture = new QuorumFixture(seed)
      const acknowledged = new Set<number>()
      let number = 1
      for (let life = 0; life < 3; life++) {
        const voter = await fixture.start()
        assert.equal(voter.leaderEpoch > life, true)
        for (const one of acknowledged) {
          assert.ok(topicById(voter.image, idOf(one)), `seed ${seed}: topic ${one}`)
        }
        for (let round = 0; round < 5; round++) {
          const one = number++
          const proposal = voter.propose(topic(one)).then(() => acknowledged.add(one))
          // In the last round the power goes before the sync has ended.
          if (round < 4) await fixture.complete(proposal)
          else proposal.catch(() => undefined)
        }
        fixture.powerLoss()
      }
      assert.ok(acknowledged.size >= 12)
      assert.deepEqual(fixture.fatal, [])
    }
  })

  it('refuses proposals when it does not lead', async () => {
    const fixture = new QuorumFixture(3)
    const voter = await fixture.start()
    const late = voter.propose(topic(1))
    const stopped = voter.stop()
    await fixture.complete(late)
    await fixture.complete(stopped)
    await assert.rejects(voter.propose(topic(2)), NotLeaderError)
    await fixture.complete(voter.stop())
  })

  it('refuses proposals while the disk is full, and goes on when it is not', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const fixture = new QuorumFixture(seed)
      const voter = await fixture.start()
      const good = await fixture.complete(voter.propose(topic(1)))
      fixture.disk.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined)
      const large = Array.from({ length: 1000 }, (_, index) => partitionRecord(idOf(4), index))
      const proposals = [
        voter.propose(topic(2)),
        ...(seed % 2 === 0 ? [voter.propose([topicRecord('large', idOf(4)), ...large])] : []),
        voter.propose(topic(3)),
      ]
      for (const one of await fixture.complete(Promise.allSettled(proposals))) {
        assert.equal(one.status, 'rejected')
      }
      assert.equal(voter.image.offset, good)
      fixture.disk.fault = () => undefined
      // The log repairs itself when it is written to again: one refusal more is allowed.
      const retry = () => fixture.complete(voter.propose(topic(2)))
      await retry().catch(async () => {
        await fixture.scheduler.runFor(1000)
        await retry()
      })
      assert.deepEqual([...voter.image.topics.keys()].sort(), ['topic-1', 'topic-2'])
      await fixture.complete(voter.stop())
      fixture.kill()
      const again = await fixture.start()
      assert.deepEqual(contentOf(again.image), contentOf(voter.image))
      assert.deepEqual(fixture.fatal, [])
      await fixture.complete(again.stop())
    }
  })

  it('ends the node when a sync fails', async () => {
    const fixture = new QuorumFixture(4)
    const voter = await fixture.start()
    fixture.disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
    await assert.rejects(fixture.complete(voter.propose(topic(1))))
    assert.equal(fixture.fatal.length, 1)
    assert.equal(voter.image.topics.size, 0, 'what is not durable is not applied')
    await assert.rejects(voter.propose(topic(2)), NotLeaderError)
  })

  it('reads ten thousand partitions in well under a second', async function () {
    this.timeout(20_000)
    const fixture = new QuorumFixture(5)
    const voter = await fixture.start()
    for (let number = 0; number < 100; number++) {
      const id = idOf(number)
      const records = [topicRecord(`topic-${number}`, id)]
      for (let index = 0; index < 100; index++) records.push(partitionRecord(id, index))
      await fixture.complete(voter.propose(records))
    }
    await fixture.complete(voter.stop())
    fixture.kill()
    const again = await fixture.start()
    assert.equal(again.image.partitionCount, 10_000)
    await fixture.complete(again.stop())
  })
})
