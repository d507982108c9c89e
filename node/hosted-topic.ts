/** A topic of which this node knows, with the replicas that it hosts. */
import type { TopicPort } from '../kafka/broker.ts'
import type { Partition } from '../replication/partition.ts'

export const INTERNAL_TOPICS: ReadonlySet<string> = new Set([
  '__consumer_offsets',
  '__transaction_state',
  '__share_group_state',
])

export class HostedTopic implements TopicPort {
  readonly name: string
  readonly id: string
  readonly isInternal: boolean
  partitionCount = 0
  throttledReplicas: readonly string[] = []
  readonly partitions: (Partition | undefined)[] = []
  isRemoved = false

  constructor(name: string, id: string) {
    this.name = name
    this.id = id
    this.isInternal = INTERNAL_TOPICS.has(name)
  }
}
