import assert from 'node:assert/strict'
import { Progress } from './progress.ts'

const WINDOW = { bytes: 100, messages: 3 }
const ID = { endOffset: 50, term: 2, sizeBytes: 10, checksum: 1 }

function replicating(match = 10): Progress {
  const progress = new Progress(2, match, 0)
  progress.acknowledge(match)
  return progress
}

describe('raft/progress', () => {
  it('probes with one message at a time', () => {
    const progress = new Progress(2, 10, 0)
    assert.ok(progress.canSend(WINDOW))
    progress.sent(12, 50)
    assert.ok(!progress.canSend(WINDOW))
    assert.equal(progress.next, 10)
  })

  it('replicates from the first acknowledgement on', () => {
    const progress = new Progress(2, 10, 0)
    progress.sent(12, 50)
    assert.ok(progress.acknowledge(12))
    assert.deepEqual([progress.state, progress.match, progress.next], ['replicate', 12, 12])
    assert.ok(!progress.acknowledge(12), 'no news')
    assert.ok(!progress.acknowledge(11), 'late')
    assert.equal(progress.match, 12)
  })

  it('sends ahead within a window of bytes', () => {
    const progress = replicating()
    progress.sent(11, 60)
    assert.ok(progress.canSend(WINDOW))
    progress.sent(12, 60)
    assert.ok(!progress.canSend(WINDOW))
    assert.deepEqual([progress.next, progress.sentBytes], [12, 120])
    progress.acknowledge(11)
    assert.deepEqual([progress.sentBytes, progress.sentMessages], [60, 1])
    assert.ok(progress.canSend(WINDOW))
  })

  it('sends ahead within a window of messages', () => {
    const progress = replicating()
    for (const end of [11, 12, 13]) progress.sent(end, 1)
    assert.ok(!progress.canSend(WINDOW))
    progress.acknowledge(13)
    assert.ok(progress.canSend(WINDOW))
    assert.equal(progress.sentMessages, 0)
  })

  it('an acknowledgement in the middle of a message frees what is before it', () => {
    const progress = replicating()
    progress.sent(15, 10)
    progress.sent(20, 10)
    progress.acknowledge(17)
    assert.equal(progress.sentMessages, 1)
  })

  it('sends again what two heartbeats have not brought back', () => {
    const progress = replicating()
    progress.sent(12, 10)
    progress.retry()
    assert.equal(progress.state, 'replicate')
    progress.retry()
    assert.deepEqual([progress.state, progress.next, progress.sentBytes], ['probe', 10, 0])
  })

  it('is patient while something comes back', () => {
    const progress = replicating()
    progress.sent(12, 10)
    progress.sent(14, 10)
    progress.retry()
    progress.acknowledge(12)
    progress.retry()
    assert.equal(progress.state, 'replicate')
    progress.acknowledge(14)
    progress.retry()
    progress.retry()
    assert.equal(progress.state, 'replicate', 'nothing is on its way')
  })

  it('a probe is sent again after two heartbeats', () => {
    const progress = new Progress(2, 10, 0)
    progress.sent(10, 0)
    progress.retry()
    assert.ok(!progress.canSend(WINDOW))
    progress.retry()
    assert.ok(progress.canSend(WINDOW))
  })

  it('who was silent is asked again at once', () => {
    const probing = new Progress(2, 10, 0)
    probing.sent(10, 0)
    probing.wake()
    assert.ok(probing.canSend(WINDOW))
    const sending = replicating()
    sending.sent(12, 10)
    sending.wake()
    assert.deepEqual([sending.state, sending.next], ['probe', 10])
  })

  it('a snapshot goes part by part, and ends with an acknowledgement of its end', () => {
    const progress = new Progress(2, 10, 0)
    progress.sendSnapshot(ID)
    assert.ok(progress.canSend(WINDOW))
    progress.pause()
    assert.ok(!progress.canSend(WINDOW))
    progress.acknowledge(20)
    assert.equal(progress.state, 'snapshot')
    progress.acknowledge(50)
    assert.deepEqual([progress.state, progress.next], ['replicate', 50])
    assert.equal(progress.snapshot, undefined)
  })

  it('nothing is known of another log under the same id', () => {
    const progress = replicating(40)
    progress.round = 7
    progress.restart('other', 60)
    const { state, match, next, round, directoryId } = progress
    assert.deepEqual([state, match, next, round, directoryId], ['probe', 0, 60, 0, 'other'])
  })

  it('refuses to probe what matches, and to send backwards', () => {
    const progress = replicating(10)
    assert.throws(() => progress.probeAt(9))
    assert.throws(() => progress.sent(9, 1))
  })
})
