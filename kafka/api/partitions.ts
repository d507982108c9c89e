/** Finds the partition that a request names on this node, or the error that the client is told. */
import type { DataPort, PartitionPort } from '../broker.ts'
import { NONE, NOT_LEADER_OR_FOLLOWER, UNKNOWN_TOPIC_OR_PARTITION } from '../wire/errors.ts'

export type FoundPartition =
  | { readonly partition: PartitionPort; readonly error: typeof NONE }
  | { readonly partition: undefined; readonly error: number }

/** `currentLeaderEpoch` is the client's, -1 when it gives none (KIP-320). */
export function findPartition(
  data: DataPort,
  topicName: string,
  index: number,
  currentLeaderEpoch: number,
): FoundPartition {
  const topic = data.topic(topicName)
  if (topic === undefined || index < 0 || index >= topic.partitionCount) {
    return { partition: undefined, error: UNKNOWN_TOPIC_OR_PARTITION }
  }
  const partition = topic.partitions[index]
  if (partition === undefined) return { partition: undefined, error: NOT_LEADER_OR_FOLLOWER }
  const error = partition.checkReader(currentLeaderEpoch)
  return error === NONE ? { partition, error } : { partition: undefined, error }
}
