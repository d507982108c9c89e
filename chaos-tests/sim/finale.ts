/**
 * After everything: reads each partition from its start to its end, each group's committed offsets,
 * and what the disks of the nodes hold, as evidence for the checkers.
 */
import { Cluster } from '../../kafka/client/cluster.ts'
import { Consumer } from '../../kafka/client/consumer.ts'
import { fetchCommitted, lookUpCoordinator } from '../../kafka/client/coordinator.ts'
import { FINAL_SESSION } from '../checkers/log-index.ts'
import type { ClientContext } from './client-context.ts'
import { decodePayload } from './payload.ts'
import type { Topic } from './plan.ts'

const TIMEOUT_MS = 3000
const PAUSE_MS = 200

/** Ends when all has been read; the caller sets a limit. */
export async function readEverything(
  context: ClientContext,
  topics: readonly Topic[],
  groups: readonly string[],
): Promise<void> {
  const cluster = new Cluster(context.world, {
    bootstrap: context.bootstrap,
    clientId: context.name,
    timeoutMs: TIMEOUT_MS,
  })
  for (const { name, partitions } of topics) {
    for (let partition = 0; partition < partitions; partition++) {
      await persist(context, () => readPartition(context, cluster, name, partition))
    }
  }
  for (const group of groups) await persist(context, () => readCommitted(context, cluster, group))
  await cluster.close()
}

async function persist(context: ClientContext, attempt: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await attempt()
    } catch {
      await context.pause(PAUSE_MS)
    }
  }
}

async function readPartition(
  context: ClientContext,
  cluster: Cluster,
  topic: string,
  partition: number,
): Promise<void> {
  const { recorder } = context
  const startMs = recorder.nowMs
  const consumer = new Consumer(cluster, { startAt: 'earliest', maxWaitMs: 100 })
  const fromOffset = await consumer.offset(topic, partition, 'earliest')
  const toOffset = await consumer.offset(topic, partition, 'latest')
  await consumer.assign([{ topic, partition, offset: fromOffset }])
  const records: [number, string][] = []
  while (consumer.positions()[0]!.offset < toOffset) {
    for (const { offset, value } of await consumer.poll()) {
      records.push([offset, decodePayload(value)])
    }
  }
  recorder.add({
    op: 'poll',
    client: context.name,
    session: FINAL_SESSION,
    topic,
    partition,
    fromOffset,
    toOffset: consumer.positions()[0]!.offset,
    records,
    startMs,
    endMs: recorder.nowMs,
  })
}

async function readCommitted(
  context: ClientContext,
  cluster: Cluster,
  group: string,
): Promise<void> {
  const { recorder, name: client } = context
  const startMs = recorder.nowMs
  const { errorCode, nodeId } = await lookUpCoordinator(cluster, group)
  if (errorCode !== 0) throw new Error(`coordinator of ${group}: ${errorCode}`)
  await cluster.metadata([])
  const connection = await cluster.node(nodeId)
  const found = await fetchCommitted(connection, group, null, {
    requireStable: false,
    timeoutMs: TIMEOUT_MS,
  })
  const offsets = found.flatMap(({ name: topic, partitions }) => {
    return partitions.map(({ partitionIndex, committedOffset, errorCode: error }) => {
      if (error !== 0) throw new Error(`committed offset of ${topic}: ${error}`)
      return { topic, partition: partitionIndex, offset: committedOffset }
    })
  })
  recorder.add({ op: 'committed', client, group, offsets, startMs, endMs: recorder.nowMs })
}
