/** ElectLeaders (KIP-460): by request; and preferred leaders, restored from time to time. */
import type { ElectLeadersRequest, ElectLeadersResponse } from '../../kafka/api/43-elect-leaders.ts'
import { PREFERRED_ELECTION, UNCLEAN_ELECTION } from '../../kafka/api/43-elect-leaders.ts'
import {
  ELECTION_NOT_NEEDED,
  ELIGIBLE_LEADERS_NOT_AVAILABLE,
  INVALID_REQUEST,
  NONE,
  PREFERRED_LEADER_NOT_AVAILABLE,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../../kafka/wire/errors.ts'
import { ClusterRules } from './cluster-rules.ts'
import type { Decision, View } from './decision.ts'
import { leaderOf, type PartitionImage, type TopicImage } from './image.ts'
import { CHANGES_PER_BATCH } from './leadership.ts'
import { changePartition } from './partition-change.ts'
import { type MetadataRecord, NO_LEADER } from './records.ts'

interface Outcome {
  readonly errorCode: number
  readonly errorMessage: string | null
}

const DONE: Outcome = { errorCode: NONE, errorMessage: null }

const MESSAGES: ReadonlyMap<number, string> = new Map([
  [ELECTION_NOT_NEEDED, 'The partition has the leader that it should have.'],
  [PREFERRED_LEADER_NOT_AVAILABLE, 'The preferred leader is not in sync, or not there.'],
  [ELIGIBLE_LEADERS_NOT_AVAILABLE, 'No replica of the partition can lead now.'],
])

const refused = (errorCode: number, errorMessage?: string): Outcome => ({
  errorCode,
  errorMessage: errorMessage ?? MESSAGES.get(errorCode) ?? null,
})

export function decideElectLeaders(
  view: View,
  request: ElectLeadersRequest,
): Decision<ElectLeadersResponse> {
  const { electionType } = request
  if (electionType !== PREFERRED_ELECTION && electionType !== UNCLEAN_ELECTION) {
    return { records: [], answer: { errorCode: INVALID_REQUEST, replicaElectionResults: [] } }
  }
  const election = new Election(view, electionType === UNCLEAN_ELECTION)
  const replicaElectionResults =
    request.topicPartitions === null
      ? election.all()
      : [...request.topicPartitions].map(({ topic, partitions }) => ({
          topic,
          partitionResult: [...partitions].map((partitionId) => ({
            partitionId,
            ...election.one(topic, partitionId),
          })),
        }))
  return { records: election.records, answer: { errorCode: NONE, replicaElectionResults } }
}

class Election {
  readonly records: MetadataRecord[] = []
  readonly #view: View
  readonly #isUnclean: boolean
  readonly #rules: ClusterRules
  readonly #done = new Set<string>()

  constructor(view: View, isUnclean: boolean) {
    this.#view = view
    this.#isUnclean = isUnclean
    this.#rules = new ClusterRules(view.image, view.settings)
  }

  one(name: string, index: number): Outcome {
    const topic = this.#view.image.topics.get(name)
    if (topic === undefined) {
      return refused(UNKNOWN_TOPIC_OR_PARTITION, `No such topic as ${name}`)
    }
    const partition = topic.partitions[index]
    if (partition === undefined) {
      return refused(UNKNOWN_TOPIC_OR_PARTITION, `There is no partition ${name}-${index}`)
    }
    const key = `${topic.id}/${index}`
    if (this.#done.has(key)) return refused(ELECTION_NOT_NEEDED)
    return this.#elect(topic, partition)
  }

  /** Those that need it. */
  all(): ElectLeadersResponse['replicaElectionResults'] {
    const results: { topic: string; partitionResult: ({ partitionId: number } & Outcome)[] }[] = []
    for (const topic of this.#view.image.topics.values()) {
      const partitionResult = topic.partitions.flatMap((partition) => {
        if (this.records.length >= CHANGES_PER_BATCH) return []
        const outcome = this.#elect(topic, partition)
        if (outcome.errorCode === ELECTION_NOT_NEEDED) return []
        return [{ partitionId: partition.index, ...outcome }]
      })
      if (partitionResult.length > 0) results.push({ topic: topic.name, partitionResult })
    }
    return results
  }

  #elect(topic: TopicImage, partition: PartitionImage): Outcome {
    const { image } = this.#view
    const isNeeded = this.#isUnclean
      ? leaderOf(image, partition) === NO_LEADER
      : partition.leader !== partition.replicas[0]
    if (!isNeeded) return refused(ELECTION_NOT_NEEDED)
    const election = this.#isUnclean ? 'unclean' : 'preferred'
    const record = changePartition(topic.id, partition, { election }, this.#rules.of(topic.name))
    const hasWon =
      record !== undefined &&
      record.leader >= 0 &&
      (this.#isUnclean || record.leader === (record.replicas ?? partition.replicas)[0])
    if (!hasWon) {
      return refused(
        this.#isUnclean ? ELIGIBLE_LEADERS_NOT_AVAILABLE : PREFERRED_LEADER_NOT_AVAILABLE,
      )
    }
    this.#done.add(`${topic.id}/${partition.index}`)
    this.records.push(record)
    return DONE
  }
}

/** How many are moved at once, so that no node has to take over too many in one breath. */
export const BALANCE_MAX = 1_000

/** Elections of preferred leaders where they are in sync and another leads; at most BALANCE_MAX. */
export function balanceRecords({ image, settings }: View): MetadataRecord[] {
  const rules = new ClusterRules(image, settings)
  const records: MetadataRecord[] = []
  for (const topic of image.topics.values()) {
    const ofTopic = rules.of(topic.name)
    for (const partition of topic.partitions) {
      const [first] = partition.replicas
      if (partition.leader === first || !partition.isr.includes(first!)) continue
      if (partition.addingReplicas.length > 0 || !rules.isActive(first!)) continue
      const record = changePartition(topic.id, partition, { election: 'preferred' }, ofTopic)
      if (record !== undefined) records.push(record)
      if (records.length >= BALANCE_MAX) return records
    }
  }
  return records
}
