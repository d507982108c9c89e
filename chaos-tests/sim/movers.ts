/**
 * Somebody who moves the partitions of a topic that others write and read: other replicas, another
 * order of them, back before the move is done, or the leadership where it belongs.
 */
import { electLeaders } from '../../kafka/api/43-elect-leaders.ts'
import { alterPartitionReassignments } from '../../kafka/api/45-alter-partition-reassignments.ts'
import { Cluster } from '../../kafka/client/cluster.ts'
import type { ClientContext } from './client-context.ts'

export interface MoverSpec {
  readonly kind: 'mover'
  readonly topic: string
  readonly partitions: number
  readonly nodes: number
  readonly replicas: number
  /** Nothing is moved after this: the end has to be calm. */
  readonly forMs: number
  readonly pauseMs: number
  readonly timeoutMs: number
}

const PREFERRED = 0

export async function runMover(context: ClientContext, spec: MoverSpec): Promise<void> {
  const { random, recorder } = context
  const cluster = new Cluster(context.world, {
    bootstrap: context.bootstrap,
    clientId: context.name,
    timeoutMs: spec.timeoutMs,
  })
  const untilMs = recorder.nowMs + spec.forMs
  while (!context.isOver && !context.isCalm && recorder.nowMs < untilMs) {
    const partition = random.below(spec.partitions)
    try {
      const what = await move(cluster, context, { spec, partition })
      const target = `${spec.topic}-${partition} ${what}`
      recorder.add({ op: 'fault', name: 'move', target, atMs: recorder.nowMs, forMs: 0 })
    } catch {
      await context.pause(100)
    }
    await context.pause(random.below(spec.pauseMs + 1))
  }
  await cluster.close()
}

/** Returns what was asked for. */
async function move(
  cluster: Cluster,
  { random }: ClientContext,
  { spec, partition }: { readonly spec: MoverSpec; readonly partition: number },
): Promise<string> {
  const { topic, timeoutMs } = spec
  if (random.chance(0.2)) {
    const topicPartitions = [{ topic, partitions: [partition] }]
    const request = { electionType: PREFERRED, topicPartitions, timeoutMs }
    await cluster.request(undefined, electLeaders, request)
    return 'to its preferred leader'
  }
  const replicas = random.chance(0.2) ? null : pickReplicas(random, spec)
  const partitions = [{ partitionIndex: partition, replicas }]
  const request = { timeoutMs, topics: [{ name: topic, partitions }] }
  await cluster.request(undefined, alterPartitionReassignments, request)
  return replicas === null ? 'back' : `to ${replicas.join(', ')}`
}

function pickReplicas(random: ClientContext['random'], spec: MoverSpec): number[] {
  const left = Array.from({ length: spec.nodes }, (_, index) => index + 1)
  return Array.from({ length: spec.replicas }, () => {
    return left.splice(random.below(left.length), 1)[0]!
  })
}
