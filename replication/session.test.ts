import assert from 'node:assert/strict'
import { SILENT } from '../base/logger.ts'
import { SimClock } from '../base/sim/clock.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { Turn } from '../base/turn.ts'
import { MessageWriter } from './messages.ts'
import { ReplicationProbe } from './probe.ts'
import { ReplicaService } from './service.ts'

const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAQ'
const FETCH_OFFSET = 5

/** A node that knows no partition yet: it keeps the subscription for later. True: it cancelled. */
function refuses(position: number): boolean {
  const clock = new SimClock(new Scheduler())
  const service = new ReplicaService({
    clock,
    turn: new Turn(clock),
    logger: SILENT,
    probe: new ReplicationProbe(),
    find: () => undefined,
  })
  let isCancelled = false
  const cancel = () => {
    isCancelled = true
  }
  const session = service.accept({ remote: 'n2', send: () => true, end() {}, cancel })
  const writer = new MessageWriter()
  writer.hello(2, 77, 1)
  writer.subscribe({
    handle: 1,
    topicId: TOPIC_ID,
    index: 0,
    leaderEpoch: 1,
    fetchOffset: FETCH_OFFSET,
    lastEpoch: -1,
    position: 3,
    logStartOffset: 0,
  })
  writer.position(1, position, 0)
  session.onMessage(writer.take())
  return isCancelled
}

describe('replication/session', () => {
  it('believes no follower that is further than its log, also before it has a leader', () => {
    assert.equal(refuses(FETCH_OFFSET), false)
    assert.equal(refuses(FETCH_OFFSET + 1), true)
  })
})
