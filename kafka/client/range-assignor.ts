/**
 * The `range` assignor and the blobs that members exchange (ConsumerProtocolSubscription and
 * ConsumerProtocolAssignment): each topic's partitions in consecutive runs, in the order of the ids.
 */

import { compile } from '../wire/compile.ts'
import { array, int16, int32, nullableBytes, string, struct } from '../wire/schema.ts'

const subscription = compile(
  struct({
    version: int16(),
    topics: array(string()),
    userData: nullableBytes(),
  }),
  { version: 0, isFlexible: false },
)

const assignment = compile(
  struct({
    version: int16(),
    assignedPartitions: array({ topic: string(), partitions: array(int32()) }),
    userData: nullableBytes(),
  }),
  { version: 0, isFlexible: false },
)

export interface Assigned {
  readonly topic: string
  readonly partition: number
}

export function encodeSubscription(topics: readonly string[]): Buffer {
  return subscription.encode({ version: 0, topics: [...topics].sort(), userData: null })
}

/** Later versions only add to the end. */
export function decodeSubscription(blob: Buffer): readonly string[] {
  let at = 6
  const topics: string[] = []
  for (let left = blob.readInt32BE(2); left > 0; left--) {
    const end = at + 2 + blob.readInt16BE(at)
    if (end > blob.length) throw new RangeError('a subscription is cut off')
    topics.push(blob.toString('utf8', at + 2, end))
    at = end
  }
  return topics
}

export function encodeAssignment(assigned: readonly Assigned[]): Buffer {
  const topics = new Map<string, number[]>()
  for (const { topic, partition } of assigned) {
    const row = topics.get(topic)
    if (row === undefined) topics.set(topic, [partition])
    else row.push(partition)
  }
  return assignment.encode({
    version: 0,
    assignedPartitions: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
    userData: null,
  })
}

/** An empty blob is an empty share. */
export function decodeAssignment(blob: Buffer): Assigned[] {
  if (blob.length === 0) return []
  return assignment
    .decode(blob)
    .assignedPartitions.flatMap(({ topic, partitions }) =>
      partitions.map((partition) => ({ topic, partition })),
    )
}

/** One entry a member, in the order of `members`. */
export function rangeAssign(
  members: readonly { memberId: string; topics: readonly string[] }[],
  partitionCounts: ReadonlyMap<string, number>,
): { memberId: string; assigned: Assigned[] }[] {
  const shares = new Map<string, Assigned[]>(members.map(({ memberId }) => [memberId, []]))
  for (const [topic, count] of partitionCounts) {
    const takers = members
      .filter(({ topics }) => topics.includes(topic))
      .map(({ memberId }) => memberId)
      .sort()
    takers.forEach((memberId, at) => {
      const from = Math.floor(count / takers.length) * at + Math.min(at, count % takers.length)
      const size = Math.floor(count / takers.length) + (at < count % takers.length ? 1 : 0)
      for (let i = 0; i < size; i++) shares.get(memberId)!.push({ topic, partition: from + i })
    })
  }
  return [...shares].map(([memberId, assigned]) => ({ memberId, assigned }))
}
