/**
 * Replicas of this node that failed, told to the controller until it has heard of each: it takes them
 * out of the ISR and gives their leadership to others. A leader that can't write must not wait for
 * its followers to notice.
 */
import { assert } from '../base/assert.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import {
  FENCED_LEADER_EPOCH,
  NONE,
  UNKNOWN_TOPIC_ID,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../kafka/wire/errors.ts'
import type { ControllerPort, FailedReplica } from './metadata/controller-port.ts'

const TELL_AGAIN_MS = 200
const TELL_AGAIN_MAX_MS = 5000

/** After these there is nothing more to tell. */
const HEARD: ReadonlySet<number> = new Set([
  NONE,
  FENCED_LEADER_EPOCH, // the image with the newer epoch brings the next report
  UNKNOWN_TOPIC_ID,
  UNKNOWN_TOPIC_OR_PARTITION,
])

/** What is told of one replica. */
export type Failure = Pick<FailedReplica, 'topicId' | 'partitionIndex' | 'leaderEpoch' | 'reason'>

interface Waiting {
  readonly failure: Failure
  readonly resolve: (isHeard: boolean) => void
}

export interface ReplicaFailuresParts {
  readonly nodeId: number
  readonly clock: Clock
  readonly logger: Logger
  readonly controller: Pick<ControllerPort, 'reportFailedReplica'>
  /** Of this node's registration; -1 while it has none, and can't tell anything. */
  brokerEpoch(): number
}

export class ReplicaFailures {
  readonly #parts: ReplicaFailuresParts
  /** The latest of each replica. */
  readonly #waiting = new Map<string, Waiting>()
  #timer: Timer | undefined
  #delayMs = TELL_AGAIN_MS
  #isTelling = false
  #isClosed = false

  constructor(parts: ReplicaFailuresParts) {
    this.#parts = parts
  }

  /** True when the controller has heard it in this leader epoch; false when that is over. */
  report(failure: Failure): Promise<boolean> {
    assert(failure.leaderEpoch >= -1, 'a replica has heard of an epoch, or of none')
    const key = keyOf(failure)
    return new Promise((resolve) => {
      this.#waiting.get(key)?.resolve(false)
      this.#waiting.set(key, { failure, resolve })
      this.tell()
    })
  }

  /** Now: this node has been registered, say. */
  tell(): void {
    if (this.#isTelling || this.#isClosed || this.#waiting.size === 0) return
    if (this.#parts.brokerEpoch() < 0) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#isTelling = true
    void this.#tell().then((isAllHeard) => {
      this.#isTelling = false
      this.#delayMs = isAllHeard ? TELL_AGAIN_MS : Math.min(2 * this.#delayMs, TELL_AGAIN_MAX_MS)
      if (this.#waiting.size === 0 || this.#isClosed) return
      this.#timer = this.#parts.clock.after(isAllHeard ? 0 : this.#delayMs, () => this.tell())
    })
  }

  async #tell(): Promise<boolean> {
    let isAllHeard = true
    for (const [key, waiting] of [...this.#waiting]) {
      const error = await this.#tellOne(waiting.failure)
      if (this.#isClosed) return true
      if (!HEARD.has(error)) {
        isAllHeard = false
        continue
      }
      if (this.#waiting.get(key) === waiting) this.#waiting.delete(key)
      waiting.resolve(error === NONE)
    }
    return isAllHeard
  }

  async #tellOne(failure: Failure): Promise<number> {
    const { nodeId: brokerId, controller, logger } = this.#parts
    const brokerEpoch = this.#parts.brokerEpoch()
    try {
      return await controller.reportFailedReplica({ ...failure, brokerId, brokerEpoch })
    } catch (error) {
      logger.debug('The controller did not hear of a failed replica yet.', {
        topicId: failure.topicId,
        partition: failure.partitionIndex,
        error: error instanceof Error ? error.message : String(error),
      })
      return -1
    }
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    for (const { resolve } of this.#waiting.values()) resolve(false)
    this.#waiting.clear()
  }
}

function keyOf({ topicId, partitionIndex }: Failure): string {
  return `${topicId}/${partitionIndex}`
}
