import assert from 'node:assert/strict'
import { SimRandom } from '../base/sim/random.ts'
import {
  type FollowerSink,
  type LeaderSink,
  MessageWriter,
  readFollowerMessage,
  readLeaderMessage,
  type Subscribe,
} from './messages.ts'

const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAQ'
const LARGE = Number.MAX_SAFE_INTEGER

function follower(said: unknown[][]): FollowerSink {
  return {
    onHello: (...all) => said.push(['hello', ...all]),
    onCredit: (...all) => said.push(['credit', ...all]),
    onSubscribe: (...all) => said.push(['subscribe', ...all]),
    onPosition: (...all) => said.push(['position', ...all]),
    onUnsubscribe: (...all) => said.push(['unsubscribe', ...all]),
    onLeave: (...all) => said.push(['leave', ...all]),
  }
}

function leader(said: unknown[][]): LeaderSink {
  return {
    onData: (handle, watermark, logStart, source, start, end) =>
      said.push(['data', handle, watermark, logStart, String(source.subarray(start, end))]),
    onEnded: (...all) => said.push(['ended', ...all]),
    onDiverged: (...all) => said.push(['diverged', ...all]),
  }
}

describe('replication/messages', () => {
  const subscribe: Subscribe = {
    handle: 0xffff_ffff,
    topicId: TOPIC_ID,
    index: 7,
    leaderEpoch: 3,
    fetchOffset: LARGE,
    lastEpoch: -1,
    position: LARGE - 1,
    logStartOffset: 5,
  }

  function followerMessage(): Buffer {
    const writer = new MessageWriter()
    writer.hello(2, 77, 1)
    writer.subscribe(subscribe)
    writer.position(9, LARGE, 0)
    writer.credit(123_456_789_012)
    writer.unsubscribe(9, true)
    writer.leave(10, TOPIC_ID, 1, 4)
    return writer.take()
  }

  it('brings what a follower says', () => {
    const said: unknown[][] = []
    readFollowerMessage(followerMessage(), follower(said))
    assert.deepEqual(said, [
      ['hello', 2, 77, 1],
      ['subscribe', subscribe],
      ['position', 9, LARGE, 0],
      ['credit', 123_456_789_012],
      ['unsubscribe', 9, true],
      ['leave', 10, TOPIC_ID, 1, 4],
    ])
  })

  function leaderMessage(): Buffer {
    const writer = new MessageWriter()
    writer.watermark(1, 10, 2)
    writer.ended(3, 74, 5, LARGE)
    writer.diverged(4, -1, 6)
    return writer.take()
  }

  it('brings what a leader says', () => {
    const said: unknown[][] = []
    readLeaderMessage(leaderMessage(), leader(said))
    assert.deepEqual(said, [
      ['data', 1, 10, 2, ''],
      ['ended', 3, 74, 5, LARGE],
      ['diverged', 4, -1, 6],
    ])
  })

  it('refuses messages that are cut, of another format, or of the other side', () => {
    for (const [message, read] of [
      [followerMessage(), (bytes: Buffer) => readFollowerMessage(bytes, follower([]))],
      [leaderMessage(), (bytes: Buffer) => readLeaderMessage(bytes, leader([]))],
    ] as const) {
      assert.throws(() => read(message.subarray(0, message.length - 1)), RangeError)
      assert.throws(() => read(Buffer.alloc(0)), RangeError)
      const other = Buffer.from(message)
      other[0] = 9
      assert.throws(() => read(other), RangeError)
    }
    const nameless = followerMessage()
    nameless.fill(0, 19, 23) // behind the format, the hello, and the type
    assert.throws(() => readFollowerMessage(nameless, follower([])), /handle 0/)
    assert.throws(() => readLeaderMessage(followerMessage(), leader([])), RangeError)
    assert.throws(() => readFollowerMessage(leaderMessage(), follower([])), RangeError)
  })

  it('reads or refuses any bytes, and nothing else', () => {
    const random = new SimRandom('messages')
    const whole = [followerMessage(), leaderMessage()]
    for (let i = 0; i < 5000; i++) {
      const bytes = Buffer.from(whole[i % 2]!)
      for (let flips = 1 + random.below(4); flips > 0; flips--) {
        bytes[random.below(bytes.length)] = random.below(256)
      }
      for (const read of [
        () => readFollowerMessage(bytes, follower([])),
        () => readLeaderMessage(bytes, leader([])),
      ]) {
        try {
          read()
        } catch (error) {
          assert.ok(error instanceof RangeError, `draw ${i}: ${error}`)
        }
      }
    }
  })
})
