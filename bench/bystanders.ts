/*
 * What others notice of a node's trouble: of a controller that is killed, those who write to
 * partitions that other nodes lead; of a follower that was away for a gigabyte, those who write while
 * it catches up.
 */
import { realClock } from '../base/real/clock.ts'
import { realNetwork } from '../base/real/network.ts'
import { recordBatch, sampleValues } from '../chaos-tests/cluster/frames.ts'
import { sleep } from '../chaos-tests/cluster/processes.ts'
import { ServerGroup, waitUntilWhole } from '../chaos-tests/cluster/server-group.ts'
import { Cluster } from '../kafka/client/cluster.ts'
import { controllerOf, makeReplicatedTopic } from './failover.ts'
import type { LoadJob } from './load.ts'
import { runLoadProcess } from './measure.ts'
import { PacedSender, quantile } from './paced-sender.ts'
import type { Figures, RowContext } from './rows.ts'

const TOPIC = 'bystanders'
const NODES = 3
const PARTITIONS = 6
const GIVE_UP_MS = 120_000
/** How long is looked at behind a kill: longer than it takes until another node is the controller. */
const AFTER_MS = 3000
/** Of 1,000 B each; one batch in 5 ms makes 10 MB/s. */
const BATCH_RECORDS = 50

type Load = Omit<LoadJob, 'port' | 'topic' | 'seconds' | 'warmSeconds'>

/** Three nodes, and a client that looks on. */
async function withGroup<T>(
  { target }: RowContext,
  run: (group: ServerGroup, observer: Cluster) => Promise<T>,
): Promise<T> {
  const group = await ServerGroup.start({ ...target.options, count: NODES })
  const bootstrap = group.nodes.map((node) => node.bootstrap)
  const parts = { network: realNetwork, clock: realClock }
  const observer = new Cluster(parts, { bootstrap, clientId: 'observer', timeoutMs: 5000 })
  try {
    return await run(group, observer)
  } finally {
    await observer.close()
    await group.remove()
  }
}

/** The controller is killed `faults` times; a small record goes to a partition of another every 5 ms. */
export function controllerRow(context: RowContext): Promise<Figures> {
  return withGroup(context, async (group, observer) => {
    await makeReplicatedTopic(group, TOPIC, { partitions: PARTITIONS, configs: {}, isSpread: true })
    const batch = recordBatch({ values: sampleValues(1, 100) })
    const before: number[] = []
    const after: number[] = []
    let failed = 0
    for (let fault = 0; fault < (context.faults ?? 5); fault++) {
      await waitUntilWhole(observer, [TOPIC], GIVE_UP_MS)
      const controller = await controllerOf(group)
      const leaders = await observer.leaders(TOPIC)
      const targets = leaders
        .map((leader, partition) => ({ leader, topic: TOPIC, partition }))
        .filter(({ leader }) => leader !== controller)
        .map((one) => ({ ...one, port: group.nodes[one.leader - 1]!.ports.kafka }))
      const sender = new PacedSender(targets, batch)
      await sleep(context.warmSeconds * 1000)
      sender.take()
      await sleep(AFTER_MS)
      before.push(...sender.take())
      await group.nodes[controller - 1]!.kill()
      await sleep(AFTER_MS)
      await sender.stop(GIVE_UP_MS)
      after.push(...sender.take())
      failed += sender.failed
      await group.nodes[controller - 1]!.start()
    }
    return {
      'p99 before ms': quantile(before, 0.99),
      'p99 after ms': quantile(after, 0.99),
      'max after ms': Math.max(...after),
      failed,
    }
  })
}

/** A follower is killed, a gigabyte is written, it comes back; 10 MB/s are written all along. */
export function catchUpRow(context: RowContext, load: Load): Promise<Figures> {
  return withGroup(context, async (group, observer) => {
    await makeReplicatedTopic(group, TOPIC, { partitions: PARTITIONS, configs: {} })
    const [leader, , away] = group.nodes
    const port = leader!.ports.kafka
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition)
    const targets = partitions.map((partition) => ({ port, topic: TOPIC, partition }))
    const sender = new PacedSender(
      targets,
      recordBatch({ values: sampleValues(BATCH_RECORDS, 1000) }),
    )
    await sleep(context.warmSeconds * 1000)
    sender.take()
    await sleep(context.seconds * 1000)
    const alone = sender.take()
    await away!.kill()
    const seconds = context.seconds * 2
    const job = { ...load, acks: -1, port, topic: TOPIC, seconds, warmSeconds: 0 }
    const filled = await runLoadProcess(job, [leader!.pid])
    if (filled.error !== undefined) throw new Error(filled.error)
    while (!(await isMissed(observer, NODES))) await sleep(20)
    const beganMs = performance.now()
    await away!.launch()
    sender.take()
    await waitUntilWhole(observer, [TOPIC], GIVE_UP_MS)
    const tookSeconds = (performance.now() - beganMs) / 1000
    const meanwhile = sender.take()
    await sender.stop(GIVE_UP_MS)
    return {
      'missed MB': filled.bytes / 1e6,
      'in sync after s': tookSeconds,
      'MB/s': filled.bytes / 1e6 / tookSeconds,
      'p99 alone ms': quantile(alone, 0.99),
      'p99 meanwhile ms': quantile(meanwhile, 0.99),
      failed: sender.failed,
    }
  })
}

/** The image says that the node is out of sync, or it would seem to be whole before it is back. */
async function isMissed(observer: Cluster, nodeId: number): Promise<boolean> {
  const { topics } = await observer.metadata([TOPIC])
  return topics.every((topic) => topic.partitions.every((one) => !one.isrNodes.includes(nodeId)))
}
