import assert from 'node:assert/strict'
import { SILENT } from '../base/logger.ts'
import { SimWorld } from '../base/sim/world.ts'
import type {
  AlterPartitionRequest,
  AlterPartitionResponse,
} from '../kafka/api/56-alter-partition.ts'
import type { IsrChange } from '../replication/isr.ts'
import type { FailedReplica } from './metadata/controller-port.ts'
import { idOf } from './metadata/testing.ts'
import { ReplicaFailures } from './replica-failures.ts'
import { ControllerIsr } from './replica-isr.ts'

const change = (topic: number, index: number): IsrChange => ({
  topicId: idOf(topic),
  index,
  leaderEpoch: 3,
  partitionEpoch: 7,
  isr: [
    { nodeId: 1, brokerEpoch: -1 },
    { nodeId: 2, brokerEpoch: 20 },
  ],
})

function accepted(request: AlterPartitionRequest): AlterPartitionResponse {
  return {
    errorCode: 0,
    topics: [...request.topics].map(({ topicId, partitions }) => ({
      topicId,
      partitions: [...partitions].map(({ partitionIndex, leaderEpoch, newIsrWithEpochs }) => ({
        partitionIndex,
        errorCode: partitionIndex === 9 ? 95 : 0,
        leaderId: 1,
        leaderEpoch,
        isr: [...newIsrWithEpochs].map(({ brokerId }) => brokerId),
        leaderRecoveryState: 0,
        partitionEpoch: 8,
      })),
    })),
  }
}

describe('node/replica-isr', () => {
  function start(answer: (request: AlterPartitionRequest) => Promise<AlterPartitionResponse>) {
    const world = new SimWorld(1)
    const { clock } = world.host('n1').world
    const requests: AlterPartitionRequest[] = []
    const isr = new ControllerIsr({
      nodeId: 1,
      clock,
      logger: SILENT,
      controller: {
        alterPartition: (request) => {
          requests.push(request)
          return answer(request)
        },
      },
      brokerEpoch: () => 11,
    })
    return { world, isr, requests }
  }

  it('asks once for all that a turn brings', async () => {
    const { world, isr, requests } = start(async (request) => accepted(request))
    const asked = [change(1, 0), change(2, 0), change(1, 9)]
    const verdicts = await world.complete(Promise.all(asked.map((one) => isr.alterPartition(one))))
    assert.equal(requests.length, 1)
    const { brokerId, brokerEpoch, topics } = requests[0]!
    assert.deepEqual([brokerId, brokerEpoch, [...topics].length], [1, 11, 2])
    assert.deepEqual(
      verdicts.map(({ error, partitionEpoch }) => [error, partitionEpoch]),
      [
        [0, 8],
        [0, 8],
        [95, 8],
      ],
    )
    assert.deepEqual(verdicts[0]!.isr, [1, 2])
  })

  it('makes of whatever keeps it from an answer an error that may pass', async () => {
    for (const answer of [
      () => Promise.reject(new Error('no controller')),
      async () => ({ errorCode: 77, topics: [] }),
      async () => ({ errorCode: 0, topics: [] }),
    ]) {
      const { world, isr } = start(answer)
      const { error } = await world.complete(isr.alterPartition(change(1, 0)))
      assert.equal(error, 7)
    }
  })
})

describe('node/replica-failures', () => {
  function start() {
    const world = new SimWorld(1)
    const { clock } = world.host('n1').world
    const reports: FailedReplica[] = []
    const state = { brokerEpoch: -1, answers: [] as (number | Error)[] }
    const failures = new ReplicaFailures({
      nodeId: 1,
      clock,
      logger: SILENT,
      controller: {
        reportFailedReplica: async (report) => {
          reports.push(report)
          const answer = state.answers.shift() ?? 0
          if (typeof answer !== 'number') throw answer
          return answer
        },
      },
      brokerEpoch: () => state.brokerEpoch,
    })
    return { world, failures, reports, state }
  }
  const failure = {
    topicId: idOf(1),
    partitionIndex: 2,
    leaderEpoch: 3,
    reason: 'storage' as const,
  }

  it('waits for the registration, and tells until it is heard', async () => {
    const { world, failures, reports, state } = start()
    state.answers = [new Error('nobody'), 41]
    const heard = failures.report(failure)
    await world.runFor(500)
    assert.equal(reports.length, 0)
    state.brokerEpoch = 5
    failures.tell()
    assert.equal(await world.complete(heard), true)
    assert.equal(reports.length, 3)
    assert.deepEqual(reports[0], { ...failure, brokerId: 1, brokerEpoch: 5 })
    await world.runFor(20_000)
    assert.equal(reports.length, 3)
    failures.close()
  })

  it('says when the epoch of a report is over, and that a later report counts', async () => {
    const { world, failures, reports, state } = start()
    state.brokerEpoch = 5
    state.answers = [74]
    assert.equal(await world.complete(failures.report(failure)), false)
    state.answers = [7, 7, 7]
    const first = failures.report(failure)
    const second = failures.report({ ...failure, leaderEpoch: 4 })
    assert.equal(await world.complete(first), false)
    assert.equal(await world.complete(second), true)
    assert.equal(reports.at(-1)!.leaderEpoch, 4)
    const third = failures.report(failure)
    state.answers = [7]
    failures.close()
    assert.equal(await world.complete(third), false)
  })
})
