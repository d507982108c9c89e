import assert from 'node:assert/strict'
import type { Send } from '../checkers/history.ts'
import { reportPage } from './report.ts'

const send = (offset: number, endMs: number): Send => ({
  op: 'send',
  client: 'p',
  producer: 'p',
  topic: 't<1>',
  partition: 0,
  acks: -1,
  isIdempotent: true,
  values: ['a', 'b'],
  startMs: endMs - 1,
  endMs,
  outcome: 'ok',
  offset,
})

describe('chaos-tests/sim/report', () => {
  it('shows faults, leaders, rates, gaps and what was broken, on one page by itself', () => {
    const page = reportPage({
      title: 'seed 1',
      history: [
        send(0, 100),
        send(2, 400),
        send(4, 2900),
        { op: 'fault', name: 'kill', target: 'n1', atMs: 500, forMs: 2000 },
        { op: 'leader', scope: 'raft', epoch: 1, node: 1, atMs: 0 },
        { op: 'leader', scope: 'raft', epoch: 2, node: 2, atMs: 900 },
      ],
      violations: [{ checker: 'lost-write', message: 'a & b of t<1>-0' }],
    })
    assert.match(page, /<b>lost-write<\/b> a &amp; b of t&lt;1&gt;-0/)
    assert.match(page, /Operations concerned[\s\S]*"offset":4/)
    assert.match(page, /<polyline stroke="#d9534f" points="[\d., ]+"/)
    assert.match(page, /kill of n1, 500 ms, for 2000 ms/)
    assert.match(page, /node 2 leads raft in epoch 2 since 900 ms/)
    assert.match(page, /<td>t&lt;1&gt;-0<\/td><td>2500<\/td><td>400<\/td>/)
    assert.doesNotMatch(page, /https?:|NaN|undefined/)
  })

  it('takes an empty history', () => {
    const page = reportPage({ title: 'seed 2', history: [], violations: [] })
    assert.match(page, /Every promise was kept/)
    assert.doesNotMatch(page, /NaN|undefined/)
  })
})
