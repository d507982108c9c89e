import assert from 'node:assert/strict'
import { ZERO_UUID } from '../wire/schema.ts'
import { TopicTable } from './topic-table.ts'

const ID = 'BHJLm_MOSfSN-ix-hyUAjw'
const OTHER_ID = 'CHJLm_MOSfSN-ix-hyUAjw'

const told = (id: string, ...leaders: [leaderId: number, leaderEpoch: number][]) => ({
  name: 't',
  id,
  partitions: leaders.map(([leaderId, leaderEpoch]) => ({ leaderId, leaderEpoch })),
  learnedMs: 0,
})

describe('kafka/client/topic-table', () => {
  const leadersOf = (table: TopicTable) =>
    table.peek('t')?.partitions.map(({ leaderId, leaderEpoch }) => [leaderId, leaderEpoch])

  it('keeps leaders of newer epochs than those that it is told', () => {
    const table = new TopicTable()
    table.merge(told(ID, [1, 5], [2, 5], [3, 5]))
    table.merge(told(ID, [2, 4], [-1, 5], [1, 6]))
    assert.deepEqual(leadersOf(table), [
      [1, 5],
      [-1, 5],
      [1, 6],
    ])
  })

  it('believes what it is told of another topic with the same name', () => {
    const table = new TopicTable()
    table.merge(told(ID, [1, 5]))
    table.merge(told(OTHER_ID, [2, 0]))
    assert.deepEqual(leadersOf(table), [[2, 0]])
  })

  it('believes brokers that know no epochs or no ids', () => {
    const table = new TopicTable()
    table.merge(told(ID, [1, 5]))
    table.merge(told(ZERO_UUID, [2, -1]))
    assert.deepEqual(leadersOf(table), [[2, -1]])
    table.merge(told(ID, [3, 2]))
    assert.deepEqual(leadersOf(table), [[3, 2]])
  })

  it('takes partitions that were added', () => {
    const table = new TopicTable()
    table.merge(told(ID, [1, 5]))
    table.merge(told(ID, [1, 5], [2, 0]))
    assert.equal(leadersOf(table)?.length, 2)
  })

  it('learns leaders by the way, when they are news', () => {
    const table = new TopicTable()
    assert.equal(table.learn('t', 0, { leaderId: 2, leaderEpoch: 6 }), false)
    table.merge(told(ID, [1, 5]))
    assert.equal(table.learn('t', 1, { leaderId: 2, leaderEpoch: 6 }), false)
    assert.equal(table.learn('t', 0, { leaderId: 2, leaderEpoch: 5 }), false)
    assert.equal(table.learn('t', 0, { leaderId: -1, leaderEpoch: 6 }), false)
    assert.equal(table.learn('t', 0, { leaderId: 2, leaderEpoch: 6 }), true)
    assert.deepEqual(leadersOf(table), [[2, 6]])
  })

  it('has no answer for a suspected topic until it is told again', () => {
    const table = new TopicTable()
    table.merge(told(ID, [1, 5]))
    assert.equal(table.get('t')?.id, ID)
    table.suspect('t')
    assert.equal(table.get('t'), undefined)
    assert.equal(table.peek('t')?.id, ID)
    table.merge(told(ID, [1, 5]))
    assert.equal(table.get('t')?.id, ID)
    table.forget('t')
    assert.equal(table.peek('t'), undefined)
  })
})
