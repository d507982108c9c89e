/*
 * Replication alone: a topic on one node is given a second replica, and what that costs both nodes
 * is measured until it is in sync. No client writes meanwhile, so nothing else is in the figure but
 * reading, gRPC, checking, writing and syncing.
 */
import { realClock } from '../base/real/clock.ts'
import { realNetwork } from '../base/real/network.ts'
import { sleep } from '../chaos-tests/cluster/processes.ts'
import { ServerGroup } from '../chaos-tests/cluster/server-group.ts'
import { createTopics } from '../kafka/api/19-create-topics.ts'
import { alterPartitionReassignments } from '../kafka/api/45-alter-partition-reassignments.ts'
import { listPartitionReassignments } from '../kafka/api/46-list-partition-reassignments.ts'
import { Cluster } from '../kafka/client/cluster.ts'
import type { LoadJob } from './load.ts'
import { cpuSecondsOf, runLoadProcess, stealSeconds } from './measure.ts'
import type { Figures, RowContext } from './rows.ts'

const TOPIC = 'copy'
const PARTITIONS = 6
const TIMEOUT_MS = 60_000
const LOOK_AGAIN_MS = 20

/** Fills the topic for the measured time, then copies it. */
export async function copyRow(
  { target, seconds }: RowContext,
  load: Omit<LoadJob, 'port' | 'topic' | 'seconds' | 'warmSeconds'>,
): Promise<Figures> {
  const group = await ServerGroup.start({ ...target.options, count: 3 })
  const bootstrap = group.nodes.map((node) => node.bootstrap)
  const world = { network: realNetwork, clock: realClock }
  const cluster = new Cluster(world, { bootstrap, clientId: 'bench', timeoutMs: TIMEOUT_MS })
  try {
    const partitions = Array.from({ length: PARTITIONS }, (_, partitionIndex) => partitionIndex)
    const assignments = partitions.map((partitionIndex) => ({ partitionIndex, brokerIds: [1] }))
    const topic = { name: TOPIC, numPartitions: -1, replicationFactor: -1, assignments }
    const topics = [{ ...topic, configs: [] }]
    await cluster.request(undefined, createTopics, {
      topics,
      timeoutMs: TIMEOUT_MS,
      validateOnly: false,
    })
    const pids = group.nodes.slice(0, 2).map((node) => node.pid)
    const { port, job } = { port: group.nodes[0]!.ports.kafka, job: { ...load, topic: TOPIC } }
    const filled = await runLoadProcess({ ...job, port, seconds, warmSeconds: 0 }, pids)
    if (filled.error !== undefined) throw new Error(filled.error)
    const [cpuBefore, stealBefore] = [cpuSecondsOf(pids), stealSeconds()]
    const beganMs = performance.now()
    const wanted = partitions.map((partitionIndex) => ({ partitionIndex, replicas: [1, 2] }))
    const answer = await cluster.request(undefined, alterPartitionReassignments, {
      timeoutMs: TIMEOUT_MS,
      topics: [{ name: TOPIC, partitions: wanted }],
    })
    if (answer.errorCode !== 0) throw new Error(`the copy was refused with ${answer.errorCode}`)
    while (await isCopying(cluster)) await sleep(LOOK_AGAIN_MS)
    const tookSeconds = (performance.now() - beganMs) / 1000
    return {
      'MB/s': filled.bytes / 1e6 / tookSeconds,
      'CPU s/GB': (cpuSecondsOf(pids) - cpuBefore) / (filled.bytes / 1e9),
      'copied MB': filled.bytes / 1e6,
      'steal s': stealSeconds() - stealBefore,
    }
  } finally {
    await cluster.close()
    await group.remove()
  }
}

async function isCopying(cluster: Cluster): Promise<boolean> {
  const { errorCode, topics } = await cluster.request(undefined, listPartitionReassignments, {
    timeoutMs: TIMEOUT_MS,
    topics: null,
  })
  if (errorCode !== 0) throw new Error(`the reassignments were not listed: error ${errorCode}`)
  return topics.length > 0
}
