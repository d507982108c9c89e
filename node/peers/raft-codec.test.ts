import assert from 'node:assert/strict'
import fc from 'fast-check'
import { ProtocolError, raftFrame } from '../../proto/codecs.ts'
import type { Message, MessageType } from '../../raft/messages.ts'
import { fromProto, toProto } from './raft-codec.ts'

const record = (model: Record<string, fc.Arbitrary<unknown>>) =>
  fc.record(model, { noNullPrototype: true })
const position = fc.oneof(fc.maxSafeNat(), fc.nat(1000))
const orNone = fc.oneof(fc.constant(-1), fc.nat())
const id = fc.base64String({ minLength: 0, maxLength: 22 })
const data = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
const member = record({ nodeId: fc.nat(), directoryId: id })
const members = fc.array(member, { maxLength: 5 })
const head = { from: fc.nat(), directoryId: id, to: fc.nat(), term: position }
const snapshot = record({
  endOffset: position,
  term: position,
  sizeBytes: position,
  checksum: fc.nat(0xffffffff),
})
const entry = record({
  baseOffset: position,
  count: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  term: position,
  kind: fc.constantFrom('normal' as const, 'leader' as const, 'membership' as const),
  data,
})

const contents: Readonly<Record<MessageType, Record<string, fc.Arbitrary<unknown>>>> = {
  vote: {
    isPreVote: fc.boolean(),
    endOffset: position,
    lastTerm: position,
    isTransfer: fc.boolean(),
    deadLeaderId: orNone,
  },
  'vote-response': {
    isPreVote: fc.boolean(),
    isGranted: fc.boolean(),
    refusal: fc.constantFrom('', 'lease', 'log', 'voted', 'term', 'stranger', 'mute'),
  },
  append: {
    prevEnd: position,
    prevTerm: position,
    commit: position,
    entries: fc.array(entry, { maxLength: 5 }),
  },
  'append-response': {
    isRejected: fc.boolean(),
    prevEnd: position,
    match: position,
    hintEnd: position,
    hintTerm: position,
  },
  heartbeat: { commit: position, round: position, progress: position },
  'heartbeat-response': {
    round: position,
    endOffset: position,
    progress: position,
    hasRoom: fc.boolean(),
  },
  snapshot: {
    snapshot,
    membership: record({ voters: members, outgoing: members }),
    position,
    data,
  },
  'snapshot-response': { snapshot, position },
  'timeout-now': {},
  follow: { endOffset: position, nodeId: fc.nat() },
  read: { context: position },
  'read-response': { context: position, offset: orNone },
}

describe('node/peers/raft-codec', () => {
  for (const [type, fields] of Object.entries(contents)) {
    it(`carries every ${type}`, () => {
      const message = record({ type: fc.constant(type), ...head, ...fields })
      fc.assert(
        fc.property(fc.array(message, { minLength: 1, maxLength: 3 }), (sent) => {
          const messages = (sent as unknown as Message[]).map(toProto)
          const received = raftFrame.decode(raftFrame.encode({ messages })).messages.map(fromProto)
          assert.deepEqual(received, sent)
        }),
        { numRuns: 50 },
      )
    })
  }

  it('refuses what can be no message', () => {
    const whole = { from: 1, directoryId: 'd', to: 2, term: 3 }
    const empty = {
      baseOffset: 0,
      count: 0,
      term: 1,
      kind: 'NORMAL' as const,
      data: Buffer.alloc(0),
    }
    const append = { prevEnd: 0, prevTerm: 0, commit: 0, entries: [empty] }
    const vote = { isPreVote: true, isGranted: false, refusal: 'mood' }
    for (const message of [
      whole,
      { ...whole, term: 2 ** 60, timeoutNow: {} },
      { ...whole, append },
      { ...whole, voteResponse: vote },
      { ...whole, snapshotResponse: { snapshot: null, position: 0 } },
    ]) {
      assert.throws(() => fromProto(message), ProtocolError)
    }
  })
})
