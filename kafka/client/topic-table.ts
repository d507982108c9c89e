/**
 * What a client knows of topics: their ids and leaders. Nodes learn of changes at different times,
 * so an answer may be older than what is known.
 *
 * Invariant: of one topic (one id) the leader epoch of a partition never goes back.
 */
import { ZERO_UUID } from '../wire/schema.ts'

export interface PartitionLeader {
  /** -1 none. */
  readonly leaderId: number
  /** -1 unknown. */
  readonly leaderEpoch: number
}

export interface TopicView {
  readonly name: string
  /** The zero uuid when the broker does not say. */
  readonly id: string
  /** By index. */
  readonly partitions: readonly PartitionLeader[]
  /** Monotonic. */
  readonly learnedMs: number
}

export const NO_LEADER: PartitionLeader = { leaderId: -1, leaderEpoch: -1 }

export class TopicTable {
  readonly #topics = new Map<string, TopicView>()
  readonly #suspected = new Set<string>()

  /** Undefined when the topic has to be asked for: it is unknown, or an error said that it is old. */
  get(name: string): TopicView | undefined {
    return this.#suspected.has(name) ? undefined : this.#topics.get(name)
  }

  /** Whatever is known, however old. */
  peek(name: string): TopicView | undefined {
    return this.#topics.get(name)
  }

  suspect(name: string): void {
    this.#suspected.add(name)
  }

  forget(name: string): void {
    this.#topics.delete(name)
    this.#suspected.delete(name)
  }

  /** Takes over an answer, but for leaders of older epochs than those that are known. */
  merge(told: TopicView): TopicView {
    const known = this.#topics.get(told.name)
    const isSame = known !== undefined && (known.id === told.id || told.id === ZERO_UUID)
    const partitions = told.partitions.map((leader, index) => {
      const before = isSame ? known.partitions[index] : undefined
      return before !== undefined && isNewer(before, leader) ? before : leader
    })
    const view = { ...told, partitions }
    this.#topics.set(told.name, view)
    this.#suspected.delete(told.name)
    return view
  }

  /** A leader that an answer names by the way (KIP-951). False when that is no news. */
  learn(name: string, index: number, leader: PartitionLeader): boolean {
    const view = this.#topics.get(name)
    const before = view?.partitions[index]
    if (view === undefined || before === undefined || leader.leaderId < 0) return false
    if (!isNewer(leader, before)) return false
    const partitions = view.partitions.map((known, at) => (at === index ? leader : known))
    this.#topics.set(name, { ...view, partitions })
    return true
  }
}

/** An epoch that is not known is no reason to keep anything. */
function isNewer(a: PartitionLeader, b: PartitionLeader): boolean {
  return a.leaderEpoch >= 0 && b.leaderEpoch >= 0 && a.leaderEpoch > b.leaderEpoch
}
