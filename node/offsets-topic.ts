/** Topics that are made on demand: `__consumer_offsets`, and those that clients ask for by name. */
import type { Settings } from './config.ts'
import type { OffsetsTopic } from './coordinator/group/group-coordinator.ts'
import type { Partitions } from './partitions.ts'
import type { AutoCreation, NodeTopics } from './ports/topics.ts'

export const OFFSETS_TOPIC = '__consumer_offsets'

/** A group with many members is one record: larger ones than clients may send are allowed here. */
const OFFSETS_MESSAGE_BYTES = 16 * 1024 * 1024

/** How topics are made when nobody said how. `brokerCount`: of those that are registered. */
export function autoCreation(settings: Settings, brokerCount: () => number): AutoCreation {
  return {
    isEnabled: settings.boolean('auto.create.topics.enable'),
    sizeOf: (topic) =>
      topic === OFFSETS_TOPIC
        ? {
            partitions: settings.number('offsets.topic.num.partitions'),
            replicas: offsetsReplicas(settings, brokerCount()),
          }
        : { partitions: -1, replicas: -1 },
    configsOf: (topic) => (topic === OFFSETS_TOPIC ? offsetsConfigs(settings, brokerCount()) : []),
  }
}

/**
 * A cluster of one node can hold one copy, whatever the default for three says. Nodes that are to be
 * there count: while they start, the topic waits for them rather than have fewer copies for good.
 */
function offsetsReplicas(settings: Settings, brokerCount: number): number {
  const expected = Math.max(1, settings.voters.length, brokerCount)
  return Math.min(settings.number('offsets.topic.replication.factor'), expected)
}

function offsetsConfigs(
  settings: Settings,
  brokerCount: number,
): { name: string; value: string }[] {
  const configs = [
    { name: 'cleanup.policy', value: 'compact' },
    { name: 'compression.type', value: 'producer' },
    { name: 'segment.bytes', value: String(settings.number('offsets.topic.segment.bytes')) },
    { name: 'max.message.bytes', value: String(OFFSETS_MESSAGE_BYTES) },
  ]
  // What is committed survives the loss of any one node, also while another is away.
  const isSafe = offsetsReplicas(settings, brokerCount) >= 3
  return isSafe ? [...configs, { name: 'min.insync.replicas', value: '2' }] : configs
}

export class OffsetsTopicOfNode implements OffsetsTopic {
  readonly #partitions: Partitions
  readonly #topics: NodeTopics
  #creation: Promise<void> | undefined

  constructor(partitions: Partitions, topics: NodeTopics) {
    this.#partitions = partitions
    this.#topics = topics
  }

  partitionCount(): number {
    return this.#partitions.topic(OFFSETS_TOPIC)?.partitionCount ?? 0
  }

  create(): Promise<void> {
    this.#creation ??= this.#topics
      .create(undefined, [OFFSETS_TOPIC])
      .then(() => undefined)
      .finally(() => {
        this.#creation = undefined
      })
    return this.#creation
  }

  leader(partition: number, listener: string) {
    const topic = this.#partitions.topic(OFFSETS_TOPIC)
    if (topic === undefined) return undefined
    const { leaderId } = this.#partitions.leader(topic, partition)
    return this.#partitions.endpoint(leaderId, listener)
  }
}
