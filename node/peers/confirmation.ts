/**
 * Is this node still the controller? Only a majority of the quorum can say. One round of questions
 * runs at a time, and answers all who asked before it began.
 */
import { type MetadataQuorum, NotLeaderError, QuorumTimeoutError } from '../metadata/quorum.ts'

export type ConfirmedQuorum = Pick<MetadataQuorum, 'leaderId' | 'leaderEpoch' | 'readIndex'>

export class Confirmation {
  readonly #nodeId: number
  readonly #quorum: () => ConfirmedQuorum | undefined
  #running: Promise<boolean> | undefined
  #next: Promise<boolean> | undefined

  /** `quorum` undefined: there is none yet. */
  constructor(nodeId: number, quorum: () => ConfirmedQuorum | undefined) {
    this.#nodeId = nodeId
    this.#quorum = quorum
  }

  /** True: this node led at some moment after the call, and no other did until then. */
  ask(): Promise<boolean> {
    if (this.#running === undefined) return this.#begin()
    this.#next ??= this.#running.then(() => {
      this.#next = undefined
      return this.#begin()
    })
    return this.#next
  }

  #begin(): Promise<boolean> {
    const running = this.#round().finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    return running
  }

  async #round(): Promise<boolean> {
    const quorum = this.#quorum()
    if (quorum === undefined) return false
    const { leaderEpoch } = quorum
    const leads = () => quorum.leaderId === this.#nodeId && quorum.leaderEpoch === leaderEpoch
    if (!leads()) return false
    try {
      // A follower would pass the question on; whoever led before and after has not done so.
      await quorum.readIndex()
    } catch (error) {
      if (error instanceof NotLeaderError || error instanceof QuorumTimeoutError) return false
      throw error
    }
    return leads()
  }
}
