/**
 * Decisions, one after the other. A decision looks at what all before it made of the image, returns
 * records and an answer, and changes nothing; only replay does.
 *
 * Those that wait while a proposal is on its way are decided together afterwards, each on the image
 * that the ones before it would make, and proposed as one atomic batch: what one of them assumes of
 * another can't come apart, and many callers share one commit.
 */
import { assert } from '../../base/assert.ts'
import type { Settings } from '../config.ts'
import { replay } from './apply.ts'
import type { MetadataImage } from './image.ts'
import { type MetadataQuorum, NotLeaderError, ProposalRefusedError } from './quorum.ts'
import type { MetadataRecord } from './records.ts'

/** What a decision may look at. */
export interface View {
  readonly image: MetadataImage
  /** The offset that its first record gets. */
  readonly nextOffset: number
  readonly settings: Settings
}

export interface Decision<T> {
  /** Part of one atomic batch; none: nothing changes. */
  readonly records: readonly MetadataRecord[]
  readonly answer: T
}

interface Waiting {
  decide(view: View): Decision<unknown>
  resolve(answer: unknown): void
  reject(error: unknown): void
}

export interface DecisionParts {
  readonly nodeId: number
  readonly quorum: MetadataQuorum
  settings(): Settings
  /** Records of a batch are committed and applied; `before` is the image that they were decided on. */
  onCommitted?(records: readonly MetadataRecord[], before: MetadataImage): void
}

/** A batch takes no more decisions once it has so many records. */
const BATCH_RECORDS = 2_000

/** More than a controller that keeps up ever has; whoever comes then is told to try again. */
const WAITING_MAX = 20_000

export class Decisions {
  readonly #parts: DecisionParts
  #waiting: Waiting[] = []
  #isRunning = false
  /** So many are proposed one by one: together they were too large. */
  #alone = 0

  constructor(parts: DecisionParts) {
    this.#parts = parts
  }

  get leads(): boolean {
    return this.#parts.quorum.leaderId === this.#parts.nodeId
  }

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * Resolves with the answer once the records are committed and applied here. Rejects with
   * NotLeaderError, with the failure of the storage, or with what `decide` throws. Urgent ones come
   * before those that wait already.
   */
  add<T>(decide: (view: View) => Decision<T>, isUrgent = false): Promise<T> {
    if (!this.leads) return Promise.reject(notLeading())
    if (this.#waiting.length >= WAITING_MAX && !isUrgent) {
      return Promise.reject(new NotLeaderError('the controller has too much to do'))
    }
    return new Promise<T>((resolve, reject) => {
      const waiting: Waiting = { decide, resolve: resolve as Waiting['resolve'], reject }
      if (isUrgent) this.#waiting.unshift(waiting)
      else this.#waiting.push(waiting)
      if (!this.#isRunning) void this.#run()
    })
  }

  async #run(): Promise<void> {
    assert(!this.#isRunning, 'one batch at a time')
    this.#isRunning = true
    // What arrives in this turn of the loop shares the first batch.
    await undefined
    while (this.#waiting.length > 0) await this.#batch()
    this.#isRunning = false
  }

  async #batch(): Promise<void> {
    const { quorum } = this.#parts
    if (!this.leads) {
      for (const { reject } of this.#waiting.splice(0)) reject(notLeading())
      return
    }
    const taken: { waiting: Waiting; answer: unknown }[] = []
    const records: MetadataRecord[] = []
    const settings = this.#parts.settings()
    const first = quorum.nextOffset
    const before = quorum.image
    let image = before
    assert(image.offset < first, 'the image is of what is in the log')
    const most = this.#alone > 0 ? 1 : Number.MAX_SAFE_INTEGER
    if (this.#alone > 0) this.#alone--
    while (this.#waiting.length > 0 && records.length < BATCH_RECORDS && taken.length < most) {
      const waiting = this.#waiting.shift()!
      try {
        const view = { image, nextOffset: first + records.length, settings }
        const decision = waiting.decide(view)
        taken.push({ waiting, answer: decision.answer })
        for (const record of decision.records) records.push(record)
        if (decision.records.length > 0 && this.#waiting.length > 0) {
          const last = first + records.length - 1
          image = replay(image, decision.records, last, Math.max(image.epoch, 0)).image
        }
      } catch (error) {
        waiting.reject(error)
      }
    }
    try {
      if (records.length > 0) {
        const last = await quorum.propose(records)
        assert(last >= first + records.length - 1, 'a batch lies where it was to lie, or later')
        assert(quorum.image.offset >= last, 'committed records are applied here')
        this.#parts.onCommitted?.(records, before)
      }
      for (const { waiting, answer } of taken) waiting.resolve(answer)
    } catch (error) {
      // Refused means that it was never tried.
      if (error instanceof ProposalRefusedError && taken.length > 1) {
        this.#alone = taken.length
        this.#waiting.unshift(...taken.map(({ waiting }) => waiting))
      } else for (const { waiting } of taken) waiting.reject(error)
    }
  }
}

const notLeading = () => new NotLeaderError('this node does not lead the metadata quorum')
