/** Somebody who takes the vote on metadata from nodes, and gives it back (KIP-853). */
import { describeQuorum } from '../../kafka/api/55-describe-quorum.ts'
import { addRaftVoter } from '../../kafka/api/80-add-raft-voter.ts'
import { removeRaftVoter } from '../../kafka/api/81-remove-raft-voter.ts'
import { Cluster, check } from '../../kafka/client/cluster.ts'
import type { ClientContext } from './client-context.ts'

export interface ElectorSpec {
  readonly kind: 'elector'
  /** Fewer never vote: a node whose disk is lost may be one of them. */
  readonly votersMin: number
  /** Nothing is changed after this: the end has to be calm. */
  readonly forMs: number
  readonly pauseMs: number
  readonly timeoutMs: number
}

export async function runElector(context: ClientContext, spec: ElectorSpec): Promise<void> {
  const { random, recorder } = context
  const cluster = new Cluster(context.world, {
    bootstrap: context.bootstrap,
    clientId: context.name,
    timeoutMs: spec.timeoutMs,
  })
  const untilMs = recorder.nowMs + spec.forMs
  while (!context.isOver && !context.isCalm && recorder.nowMs < untilMs) {
    try {
      const { name, target } = await change(cluster, context, spec)
      recorder.add({ op: 'fault', name, target, atMs: recorder.nowMs, forMs: 0 })
    } catch {
      await context.pause(100)
    }
    await context.pause(random.below(spec.pauseMs + 1))
  }
  await cluster.close()
}

/** Returns what was done. */
async function change(
  cluster: Cluster,
  { random }: ClientContext,
  { votersMin, timeoutMs }: ElectorSpec,
): Promise<{ name: string; target: string }> {
  const topics = [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }]
  const description = await cluster.request(undefined, describeQuorum, { topics })
  const quorum = description.topics[0]?.partitions[0]
  check(quorum?.errorCode ?? description.errorCode, 'quorum')
  const { currentVoters, observers } = quorum!
  const controller = await cluster.controller()
  if (currentVoters.length > votersMin && (observers.length === 0 || random.chance(0.5))) {
    const { replicaId: voterId, replicaDirectoryId } = random.pick(currentVoters)
    const request = { clusterId: null, voterId, voterDirectoryId: replicaDirectoryId! }
    const answer = await controller.request(removeRaftVoter, request, timeoutMs)
    check(answer.errorCode, answer.errorMessage ?? 'remove')
    return { name: 'remove-voter', target: `n${voterId}` }
  }
  const { replicaId: voterId, replicaDirectoryId } = random.pick(observers)
  const request = {
    clusterId: null,
    timeoutMs,
    voterId,
    voterDirectoryId: replicaDirectoryId!,
    listeners: [],
    ackWhenCommitted: random.chance(0.8),
  }
  const answer = await controller.request(addRaftVoter, request, timeoutMs)
  check(answer.errorCode, answer.errorMessage ?? 'add')
  return { name: 'add-voter', target: `n${voterId}` }
}
