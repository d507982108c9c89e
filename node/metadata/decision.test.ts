import assert from 'node:assert/strict'
import { SimClock } from '../../base/sim/clock.ts'
import { Scheduler } from '../../base/sim/scheduler.ts'
import { loadSettings } from '../config/load.ts'
import { Decisions, type View } from './decision.ts'
import { MemoryQuorum } from './memory-quorum.ts'
import { NotLeaderError, ProposalRefusedError } from './quorum.ts'
import type { MetadataRecord } from './records.ts'
import { idOf } from './testing.ts'

const settings = loadSettings({ flags: { 'node.id': '1' } })

function fixture() {
  const scheduler = new Scheduler()
  const quorum = new MemoryQuorum({ nodeId: 1, clock: new SimClock(scheduler) })
  const decisions = new Decisions({ nodeId: 1, quorum, settings: () => settings })
  quorum.lead()
  return { scheduler, quorum, decisions }
}

const topic = (name: string, id: number): MetadataRecord => ({
  type: 'TopicRecord',
  name,
  topicId: idOf(id),
})

/** Makes the topic unless it is there; the answer says which. */
const make = (name: string, id: number) => (view: View) => {
  if (view.image.topics.has(name)) return { records: [], answer: 'is there' }
  return { records: [topic(name, id)], answer: `made at ${view.nextOffset}` }
}

describe('node/metadata/decision', () => {
  it('decides together what waits, each on what the ones before would make', async () => {
    const { scheduler, quorum, decisions } = fixture()
    const first = decisions.add(make('a', 1))
    const answers = scheduler.complete(
      Promise.all([first, ...[2, 3, 4].map((id) => decisions.add(make('a', id)))]),
    )
    assert.deepEqual(await answers, ['made at 1', 'is there', 'is there', 'is there'])
    const more = ['b', 'c', 'b', 'd'].map((name, at) => decisions.add(make(name, 10 + at)))
    assert.deepEqual(await scheduler.complete(Promise.all(more)), [
      'made at 2',
      'made at 3',
      'is there',
      'made at 4',
    ])
    assert.equal(quorum.batches.length, 2, 'one proposal for all that waited')
  })

  it('answers when the records are applied, and takes urgent ones first', async () => {
    const { scheduler, quorum, decisions } = fixture()
    const order: string[] = []
    const note = (name: string) => () => order.push(name)
    const all = [
      decisions.add(make('a', 1)).then(() => assert.ok(quorum.image.topics.has('a'))),
      decisions.add(make('b', 2)).then(note('b')),
      decisions.add(make('c', 3), true).then(note('c')),
    ]
    await scheduler.complete(Promise.all(all))
    assert.deepEqual(order, ['c', 'b'])
    const [batch] = quorum.batches
    assert.deepEqual(
      batch!.map((record) => record.type === 'TopicRecord' && record.name),
      ['c', 'a', 'b'],
    )
  })

  it('does not let one that throws harm the others', async () => {
    const { scheduler, quorum, decisions } = fixture()
    const bad = decisions.add(() => {
      throw new TypeError('a mistake')
    })
    const good = decisions.add(make('a', 1))
    await assert.rejects(scheduler.complete(bad), TypeError)
    assert.equal(await scheduler.complete(good), 'made at 1')
    assert.ok(quorum.image.topics.has('a'))
  })

  it('fails together what was proposed together, and goes on from what is committed', async () => {
    const { scheduler, quorum, decisions } = fixture()
    let refusals = 1
    quorum.onPropose = () => {
      if (refusals-- > 0) throw new RangeError('no space')
    }
    const both = [decisions.add(make('a', 1)), decisions.add(make('b', 2))]
    const settled = await scheduler.complete(Promise.allSettled(both))
    assert.deepEqual(
      settled.map(({ status }) => status),
      ['rejected', 'rejected'],
    )
    assert.equal(await scheduler.complete(decisions.add(make('a', 3))), 'made at 1')
  })

  it('proposes one by one what was refused together', async () => {
    const { scheduler, quorum, decisions } = fixture()
    quorum.onPropose = (records) => {
      const isTooLarge = records.length > 1 || JSON.stringify(records).includes('huge')
      if (isTooLarge) throw new ProposalRefusedError('too large')
    }
    const all = ['a', 'huge', 'b', 'a'].map((name, id) => decisions.add(make(name, id)))
    const settled = await scheduler.complete(Promise.allSettled(all))
    assert.deepEqual(
      settled.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.message)),
      ['made at 1', 'too large', 'made at 2', 'is there'],
    )
  })

  it('refuses everything where another node leads', async () => {
    const { scheduler, quorum, decisions } = fixture()
    const onItsWay = decisions.add(make('a', 1))
    await scheduler.runFor(0)
    const waiting = decisions.add(make('b', 2))
    quorum.resign()
    const late = decisions.add(make('c', 3))
    for (const outcome of await Promise.allSettled([onItsWay, waiting, late])) {
      assert.ok(outcome.status === 'rejected' && outcome.reason instanceof NotLeaderError)
    }
    assert.equal(decisions.waiting, 0)
    quorum.lead()
    assert.equal(await scheduler.complete(decisions.add(make('a', 4))), 'made at 2')
  })

  it('puts more than fits into one batch into the next', async () => {
    const { scheduler, quorum, decisions } = fixture()
    const many = Array.from({ length: 3_000 }, (_, id) => decisions.add(make(`t${id}`, id)))
    await scheduler.complete(Promise.all(many))
    assert.equal(quorum.image.topics.size, 3_000)
    assert.deepEqual(
      quorum.batches.map(({ length }) => length),
      [2_000, 1_000],
    )
  })
})
