/** All that this node follows: one fetcher for each node that leads any of it. */
import { assert } from '../base/assert.ts'
import { Fetcher, type FetcherParts } from './fetcher.ts'
import type { Partition } from './partition.ts'

export class Fetchers {
  readonly #parts: FetcherParts
  /** By the id of the leader. */
  readonly #fetchers = new Map<number, Fetcher>()
  readonly #of = new Map<Partition, Fetcher>()

  constructor(parts: FetcherParts) {
    this.#parts = parts
  }

  /** Follows who leads the partition now; nobody, when this node does, or nobody does. */
  update(partition: Partition): void {
    const { leaderId } = partition
    const isFollower =
      leaderId >= 0 &&
      leaderId !== this.#parts.nodeId &&
      partition.replicas.includes(this.#parts.nodeId) &&
      !partition.isFailed &&
      !partition.isClosed
    const before = this.#of.get(partition)
    if (before !== undefined && (!isFollower || before.leaderId !== leaderId)) {
      before.remove(partition)
      this.#of.delete(partition)
    }
    if (!isFollower) return
    let fetcher = this.#fetchers.get(leaderId)
    if (fetcher === undefined) {
      fetcher = new Fetcher(leaderId, this.#parts)
      this.#fetchers.set(leaderId, fetcher)
    }
    assert(fetcher.leaderId === partition.leaderId, 'a partition follows its leader')
    this.#of.set(partition, fetcher)
    fetcher.add(partition)
  }

  /** The partition goes. */
  remove(partition: Partition): void {
    this.#of.get(partition)?.remove(partition)
    this.#of.delete(partition)
  }

  /** The node has registered anew, or can be reached again. */
  reconnect(leaderId: number): void {
    this.#fetchers.get(leaderId)?.reconnectNow()
  }

  /** This process is registered from now on. */
  reconnectAll(): void {
    for (const fetcher of this.#fetchers.values()) fetcher.reconnectNow()
  }

  fetcherOf(partition: Partition): Fetcher | undefined {
    return this.#of.get(partition)
  }

  close(): void {
    for (const fetcher of this.#fetchers.values()) fetcher.close()
    this.#fetchers.clear()
    this.#of.clear()
  }
}
