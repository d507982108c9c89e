/** Each checker is fed a history that is broken in its way, and one that is sound. */
import assert from 'node:assert/strict'
import { CHECKERS, checkAll } from './all.ts'
import { type Entry, type Poll, parse, type Send, serialize } from './history.ts'
import { FINAL_SESSION } from './log-index.ts'
import { metadataOrder } from './metadata.ts'

let clockMs = 0
const tick = () => ++clockMs

function send(
  values: readonly string[],
  offset: number | undefined,
  more: Partial<Send> = {},
): Send {
  return {
    op: 'send',
    client: 'p',
    producer: 'p',
    topic: 't',
    partition: 0,
    acks: -1,
    isIdempotent: true,
    values,
    startMs: tick(),
    endMs: tick(),
    outcome: offset === undefined ? 'unknown' : 'ok',
    ...(offset === undefined ? {} : { offset }),
    ...more,
  }
}

function poll(
  fromOffset: number,
  records: readonly (readonly [number, string])[],
  more: Partial<Poll> = {},
): Poll {
  return {
    op: 'poll',
    client: 'c',
    session: 'c',
    topic: 't',
    partition: 0,
    fromOffset,
    toOffset: (records.at(-1)?.[0] ?? fromOffset - 1) + 1,
    records,
    startMs: tick(),
    endMs: tick(),
    ...more,
  }
}

const final = (records: readonly (readonly [number, string])[], more: Partial<Poll> = {}) =>
  poll(0, records, { session: FINAL_SESSION, ...more })

const vote = (term: number, votedId: number): Entry => {
  return { op: 'vote', node: 1, life: 1, voter: '', term, votedId, atMs: tick() }
}

const latest = (offset: number): Entry => {
  return {
    op: 'latest',
    client: 'w',
    topic: 't',
    partition: 0,
    offset,
    startMs: tick(),
    endMs: tick(),
  }
}

const assign = (member: string, generation: number, offset: number): Entry => ({
  op: 'assign',
  client: member,
  group: 'g',
  generation,
  member,
  owned: [{ topic: 't', partition: 0, offset }],
  startMs: tick(),
  endMs: tick(),
})

const commit = (member: string, generation: number, offset: number): Entry => ({
  op: 'commit',
  client: member,
  group: 'g',
  generation,
  member,
  offsets: [{ topic: 't', partition: 0, offset }],
  startMs: tick(),
  endMs: tick(),
  outcome: 'ok',
})

const trim = (offset: number, outcome: 'ok' | 'unknown' = 'ok'): Entry => ({
  op: 'trim',
  client: 'd',
  topic: 't',
  partition: 0,
  offset,
  startMs: tick(),
  endMs: tick(),
  outcome,
})

const replica = (node: number, crcs: readonly number[], logStartOffset = 0): Entry => ({
  op: 'replica',
  topic: 't',
  partition: 0,
  node,
  logStartOffset,
  highWatermark: crcs.length,
  batches: crcs.map((crc, offset) => [offset, offset, crc] as const),
})

const leader = (node: number, epoch: number): Entry => {
  return { op: 'leader', scope: 'raft', node, epoch, atMs: tick() }
}

const watermark = (offset: number, boot = 1): Entry => {
  return { op: 'watermark', scope: 't-0', node: 1, boot, offset, atMs: tick() }
}

const behind = (endOffset: number): Entry => ({
  op: 'behind',
  scope: 't-0',
  node: 2,
  isr: [1, 2],
  endOffset,
  highWatermark: 4,
  atMs: tick(),
})

const fault = (name: string, forMs = 0): Entry => {
  return { op: 'fault', name, target: 'all', atMs: tick(), forMs }
}

const admin = (more: Partial<Extract<Entry, { op: 'admin' }>>): Entry => ({
  op: 'admin',
  client: 'a',
  action: 'read',
  topic: 't',
  startMs: tick(),
  endMs: tick(),
  outcome: 'ok',
  ...more,
})

/** By the name of the anomaly. */
const BROKEN: Readonly<Record<string, () => Entry[]>> = {
  'lost-write': () => [send(['a'], 0), send(['b'], 1), final([[1, 'b']])],
  unseen: () => [send(['a'], 0), send(['b'], 1), final([[0, 'a']])],
  'lost-start': () => [
    send(['a'], 0),
    send(['b'], 1),
    poll(1, [[1, 'b']], { session: FINAL_SESSION }),
  ],
  'deleted-read': () => [send(['a'], 0), trim(1), poll(0, [[0, 'a']])],
  'inconsistent-offsets': () => [send(['a'], 0), send(['b'], undefined), poll(0, [[0, 'b']])],
  duplicate: () => [
    send(['a'], 0),
    poll(0, [
      [0, 'a'],
      [1, 'a'],
    ]),
  ],
  'vanished-read': () => [send(['a'], undefined), poll(0, [[0, 'a']]), final([])],
  'unwritten-read': () => [poll(0, [[0, 'damaged: x']])],
  'producer-order': () => {
    const [first, second] = [send(['a'], 1), send(['b'], 0)]
    return [{ ...first, endMs: second.endMs! }, second]
  },
  'realtime-inversion': () => [send(['a'], 1), send(['b'], 0, { producer: 'q' })],
  'int-nonmonotonic-poll': () => [
    send(['a', 'b'], 0),
    poll(
      0,
      [
        [1, 'b'],
        [0, 'a'],
      ],
      { toOffset: 2 },
    ),
  ],
  'nonmonotonic-poll': () => [send(['a'], 0), poll(0, [[0, 'a']]), poll(0, [[0, 'a']])],
  'poll-skip': () => [send(['a', 'b', 'c'], 0), poll(0, [[0, 'a']]), poll(2, [[2, 'c']])],
  'int-poll-skip': () => [
    send(['a', 'b', 'c'], 0),
    poll(0, [
      [0, 'a'],
      [2, 'c'],
    ]),
  ],
  'stale-latest': () => [send(['a', 'b'], 0), latest(1)],
  'end-goes-back': () => [latest(5), latest(4)],
  'watermark-goes-back': () => [watermark(5), watermark(4)],
  'in-sync-behind': () => [watermark(4), behind(3)],
  'double-owner': () => [assign('m', 1, -1), assign('n', 1, -1)],
  'offset-commit-regress': () => [commit('m', 1, 5), assign('n', 2, 4)],
  'two-leaders': () => [leader(1, 7), leader(2, 7)],
  'vote-goes-back': () => [vote(7, 2), vote(7, 3)],
  'vote-not-durable': () => [
    { op: 'elected', term: 7, node: 1, voters: 3, backers: [1], atMs: tick() },
  ],
  'replica-divergence': () => [replica(1, [11, 12]), replica(2, [11, 13])],
  'metadata-not-linear': () => [
    admin({ action: 'create', partitions: 3 }),
    admin({ action: 'read', partitions: 0 }),
  ],
  unavailable: () => [
    fault('healed', 1),
    fault('later'),
    send(['a'], undefined),
    send(['b'], 0),
    fault('load ends'),
    final([[0, 'b']]),
  ],
}

/** Everything that may look odd and is allowed. */
function sound(): Entry[] {
  return [
    send(['a', 'b'], 0),
    // Only the leader had it: lost, and its offset given again.
    send(['x'], 2, { acks: 1, isIdempotent: false, producer: 'q' }),
    send(['c'], 2),
    send(['d'], undefined),
    // A retry without sequences.
    send(['e'], 4, { isIdempotent: false, producer: 'r', acks: -1 }),
    poll(0, [
      [0, 'a'],
      [1, 'b'],
    ]),
    poll(2, [
      [2, 'c'],
      [3, 'e'],
      [4, 'e'],
    ]),
    latest(5),
    latest(5),
    watermark(5),
    watermark(3, 2),
    behind(5),
    assign('m', 1, -1),
    commit('m', 1, 2),
    assign('n', 2, 2),
    commit('n', 2, 5),
    leader(1, 7),
    leader(2, 8),
    replica(1, [11, 12]),
    replica(2, [11, 12, 13]),
    replica(3, [10, 12], 1),
    admin({ action: 'create', partitions: 3 }),
    admin({ action: 'grow', partitions: 4, outcome: 'unknown' }),
    admin({ action: 'read', partitions: 3 }),
    admin({ action: 'read', partitions: 4 }),
    admin({ action: 'delete', outcome: 'unknown' }),
    admin({ action: 'read', partitions: 0 }),
    final([
      [0, 'a'],
      [1, 'b'],
      [2, 'c'],
      [3, 'e'],
      [4, 'e'],
    ]),
  ]
}

describe('chaos-tests/checkers', () => {
  for (const [name, history] of Object.entries(BROKEN)) {
    it(`finds ${name}`, () => {
      const found = checkAll(history())
      assert.ok(
        found.some(({ checker }) => checker === name),
        `found ${found.map(({ checker }) => checker).join(', ') || 'nothing'}`,
      )
    })
  }

  it('has a broken history for each checker', () => {
    const histories = Object.values(BROKEN).map((history) => history())
    for (const checker of CHECKERS) {
      assert.ok(
        histories.some((history) => checker(history).length > 0),
        `${checker.name} finds something`,
      )
    }
  })

  it('finds nothing in a sound history', () => assert.deepEqual(checkAll(sound()), []))

  it('decides on many answers at once, with many that are missing', () => {
    const at = { startMs: 1, endMs: 100 }
    const created = admin({ action: 'create', partitions: 3, startMs: 0, endMs: 1 })
    const reads = Array.from({ length: 40 }, () => admin({ partitions: 3, ...at }))
    const lost = Array.from({ length: 20 }, (_, i) => {
      return admin({ action: 'grow', partitions: i % 4, outcome: 'unknown', ...at })
    })
    assert.deepEqual(metadataOrder([created, ...lost, ...reads]), [])
    const deleted = admin({ action: 'delete', ...at })
    const later = admin({ partitions: 3, startMs: 101, endMs: 102 })
    const [found] = metadataOrder([created, ...lost, ...reads, deleted, later])
    assert.match(found!.message, /no order fits/)
  })

  it('finds nothing where records were deleted as somebody asked', () => {
    const history = [
      send(['a', 'b', 'c'], 0),
      trim(1, 'unknown'),
      // Thrown forward: its position had been deleted.
      poll(0, [
        [1, 'b'],
        [2, 'c'],
      ]),
      trim(2),
      poll(2, [[2, 'c']], { session: FINAL_SESSION }),
    ]
    assert.deepEqual(checkAll(history), [])
  })

  it('reads what it wrote', () =>
    assert.deepEqual(parse(serialize(sound())).length, sound().length))
})
