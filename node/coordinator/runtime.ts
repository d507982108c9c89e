/**
 * The shards of one kind of coordinator: one for each partition of its topic that this node has
 * ever led. Who wants something of a group, or of a transaction, is sent to the shard of its key.
 */
import { assert } from '../../base/assert.ts'
import type { CoordinatorLog } from './log.ts'
import { Shard, type ShardParts, type StateMachine } from './shard.ts'

export class CoordinatorRuntime<S extends StateMachine<R>, R> {
  readonly #parts: ShardParts<S, R>
  readonly #shards = new Map<number, Shard<S, R>>()

  constructor(parts: ShardParts<S, R>) {
    this.#parts = parts
  }

  onLeadership(partition: number, log: CoordinatorLog): void {
    assert(partition >= 0 && log.leaderEpoch >= 0, 'a partition is led in an epoch')
    let shard = this.#shards.get(partition)
    if (shard === undefined) {
      shard = new Shard(partition, this.#parts)
      this.#shards.set(partition, shard)
    }
    assert(shard.partition === partition, 'a shard stays with its partition')
    shard.lead(log)
  }

  onResignation(partition: number): void {
    this.#shards.get(partition)?.resign()
  }

  shard(partition: number): Shard<S, R> | undefined {
    return this.#shards.get(partition)
  }

  shards(): IterableIterator<Shard<S, R>> {
    return this.#shards.values()
  }

  /** All deadlines end, all that wait is answered. */
  close(): void {
    for (const shard of this.#shards.values()) shard.resign()
  }
}

/** The partition that holds a key: Java's hash of the string, as all clients and tools expect. */
export function partitionOf(key: string, partitionCount: number): number {
  assert(partitionCount > 0, 'there are partitions')
  let hash = 0
  for (let i = 0; i < key.length; i++) hash = (Math.imul(31, hash) + key.charCodeAt(i)) | 0
  // The one number without a positive counterpart counts as 0.
  return (hash === -2147483648 ? 0 : Math.abs(hash)) % partitionCount
}
