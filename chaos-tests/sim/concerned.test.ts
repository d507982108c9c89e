import assert from 'node:assert/strict'
import type { Poll, Send } from '../checkers/history.ts'
import { concerned } from './concerned.ts'

const send = (values: readonly string[], offset: number): Send => ({
  op: 'send',
  client: 'p',
  producer: 'p',
  topic: 't',
  partition: 0,
  acks: -1,
  isIdempotent: true,
  values,
  startMs: 0,
  endMs: 1,
  outcome: 'ok',
  offset,
})

const poll: Poll = {
  op: 'poll',
  client: 'r',
  session: 'r/1',
  topic: 't',
  partition: 0,
  fromOffset: 0,
  toOffset: 9,
  records: Array.from({ length: 9 }, (_, at) => [at, `p:${at}`] as const),
  startMs: 1,
  endMs: 2,
}

const history = [send(['p:0', 'p:1'], 0), send(['p:2'], 2), send(['p:3'], 3), poll]
const of = (message: string) => concerned(history, { checker: 'lost-write', message })

describe('chaos-tests/sim/concerned', () => {
  it('shows who wrote a value that is named, and who read it, with its neighbours', () => {
    const [first, second, ...more] = of('t-0: p:2 was acknowledged at 2 (1 to 2 ms) and is gone')
    assert.deepEqual(first, history[1])
    assert.equal(second?.op, 'poll')
    assert.deepEqual(
      (second as Poll).records.map(([offset]) => offset),
      [0, 1, 2, 3, 4],
    )
    assert.deepEqual(more, [])
  })

  it('shows the operations at an offset that is named, where no value is', () => {
    assert.deepEqual(of('t-0: nothing is at 3'), [history[2]])
  })

  it('shows none for another partition', () => {
    assert.deepEqual(of('t-1: nothing is at 3'), [])
  })
})
