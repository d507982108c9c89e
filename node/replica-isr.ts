/**
 * Changes of in-sync sets on their way to the controller: all that a turn of the loop brings in one
 * AlterPartition request (56), one request at a time, so that a node that lost a follower asks
 * once for all its partitions.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import type { AlterPartitionRequest } from '../kafka/api/56-alter-partition.ts'
import { REQUEST_TIMED_OUT } from '../kafka/wire/errors.ts'
import type { IsrChange, IsrPort, IsrVerdict } from '../replication/isr.ts'
import type { ControllerPort } from './metadata/controller-port.ts'

const CHANGES_PER_REQUEST = 1000
const RECOVERED = 0

export interface ControllerIsrParts {
  readonly nodeId: number
  readonly clock: Clock
  readonly logger: Logger
  readonly controller: Pick<ControllerPort, 'alterPartition'>
  /** Of this node's registration. */
  brokerEpoch(): number
}

interface Waiting {
  readonly change: IsrChange
  readonly resolve: (verdict: IsrVerdict) => void
}

export class ControllerIsr implements IsrPort {
  readonly #parts: ControllerIsrParts
  #waiting: Waiting[] = []
  #isScheduled = false
  #isAsking = false

  constructor(parts: ControllerIsrParts) {
    this.#parts = parts
  }

  alterPartition(change: IsrChange): Promise<IsrVerdict> {
    return new Promise((resolve) => {
      this.#waiting.push({ change, resolve })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isAsking || this.#waiting.length === 0) return
    this.#isScheduled = true
    this.#parts.clock.soon(() => {
      this.#isScheduled = false
      void this.#ask(this.#waiting.splice(0, CHANGES_PER_REQUEST))
    })
  }

  async #ask(asked: readonly Waiting[]): Promise<void> {
    assert(asked.length > 0 && !this.#isAsking, 'one request at a time')
    this.#isAsking = true
    const verdicts = await this.#verdicts(asked.map(({ change }) => change))
    this.#isAsking = false
    asked.forEach(({ resolve }, i) => {
      resolve(verdicts[i]!)
    })
    this.#schedule()
  }

  async #verdicts(changes: readonly IsrChange[]): Promise<IsrVerdict[]> {
    try {
      const answer = await this.#parts.controller.alterPartition(this.#request(changes))
      if (answer.errorCode !== 0) {
        // A stale broker epoch, say, which passes with the next image.
        return changes.map(() => refused(REQUEST_TIMED_OUT))
      }
      const found = new Map<string, IsrVerdict>()
      for (const { topicId, partitions } of answer.topics) {
        for (const { partitionIndex, errorCode, ...state } of partitions) {
          const { leaderEpoch, partitionEpoch, isr } = state
          const verdict = { error: errorCode, leaderEpoch, partitionEpoch, isr: [...isr] }
          found.set(`${topicId}/${partitionIndex}`, verdict)
        }
      }
      return changes.map(
        ({ topicId, index }) => found.get(`${topicId}/${index}`) ?? refused(REQUEST_TIMED_OUT),
      )
    } catch (error) {
      // No controller that answers: whether it was changed is not known, so it is asked again.
      this.#parts.logger.debug('The controller did not answer a change of in-sync sets.', {
        error: error instanceof Error ? error.message : String(error),
      })
      return changes.map(() => refused(REQUEST_TIMED_OUT))
    }
  }

  #request(changes: readonly IsrChange[]): AlterPartitionRequest {
    const topics = new Map<
      string,
      AlterPartitionRequest['topics'][number]['partitions'][number][]
    >()
    for (const change of changes) {
      const partitions = topics.get(change.topicId) ?? []
      if (partitions.length === 0) topics.set(change.topicId, partitions)
      partitions.push({
        partitionIndex: change.index,
        leaderEpoch: change.leaderEpoch,
        newIsr: [],
        newIsrWithEpochs: change.isr.map(({ nodeId, brokerEpoch }) => ({
          brokerId: nodeId,
          brokerEpoch,
        })),
        leaderRecoveryState: RECOVERED,
        partitionEpoch: change.partitionEpoch,
      })
    }
    return {
      brokerId: this.#parts.nodeId,
      brokerEpoch: this.#parts.brokerEpoch(),
      topics: [...topics].map(([topicId, partitions]) => ({ topicId, partitions })),
    }
  }
}

function refused(error: number): IsrVerdict {
  return { error, leaderEpoch: -1, partitionEpoch: -1, isr: [] }
}
