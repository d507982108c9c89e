/** Those who wait for a change of the voters, or for another leader. */
import { assert } from '../base/assert.ts'
import type { RaftCore } from './core.ts'
import { NO_MEMBER_ID } from './messages.ts'
import { NotLeading } from './proposals.ts'
import { isJoint } from './quorum.ts'
import { WaitOver } from './waits.ts'

interface Wait {
  resolve(): void
  reject(error: unknown): void
}

interface ChangeWait extends Wait {
  readonly term: number
}

export class Handovers {
  #changes: ChangeWait[] = []
  #transfers: Wait[] = []

  /** Resolves when the voters of `term`'s leader are committed. */
  change(term: number): Promise<void> {
    return new Promise((resolve, reject) => this.#changes.push({ term, resolve, reject }))
  }

  /** Resolves when this member does not lead any more. */
  transfer(): Promise<void> {
    return new Promise((resolve, reject) => this.#transfers.push({ resolve, reject }))
  }

  /** After anything that happened to the core. */
  settle({ leader, state }: RaftCore): void {
    if (this.#transfers.length > 0) this.#settleTransfers(leader)
    if (this.#changes.length === 0) return
    const { log, term } = state
    const isDone = !isJoint(log.membership) && log.membershipEnd <= log.commit
    this.#changes = this.#changes.filter((change) => {
      assert(change.term <= term, 'terms do not fall')
      if (leader === undefined && !isDone) change.reject(new NotLeading('another node may lead'))
      else if (change.term !== term) change.reject(new NotLeading('another node led meanwhile'))
      else if (isDone) change.resolve()
      else return true
      return false
    })
  }

  #settleTransfers(leader: RaftCore['leader']): void {
    if (leader !== undefined && leader.transferTo !== NO_MEMBER_ID) return
    const fault = new WaitOver('the other did not take over in time')
    for (const { resolve, reject } of this.#transfers.splice(0)) {
      if (leader === undefined) resolve()
      else reject(fault)
    }
  }

  fail(error: unknown): void {
    for (const { reject } of this.#changes.splice(0)) reject(error)
    // Whoever ends does not lead.
    for (const { resolve } of this.#transfers.splice(0)) resolve()
  }
}
