/*
 * How long records wait on a cluster that has time: three nodes, 10 MB/s in batches of 50 records of
 * 1,000 B, one each 5 ms as a producer with linger.ms=5 sends them, acks=all. The time is from the send of
 * the batch to its acknowledgement, and to when a consumer has its first record; a record that lingers
 * waits up to 5 ms more before that. Producer and consumer are ours and share a core with the nodes.
 */
import { realClock } from '../base/real/clock.ts'
import { realNetwork } from '../base/real/network.ts'
import { sleep } from '../chaos-tests/cluster/processes.ts'
import { ServerGroup } from '../chaos-tests/cluster/server-group.ts'
import { Cluster } from '../kafka/client/cluster.ts'
import { Consumer } from '../kafka/client/consumer.ts'
import { Producer } from '../kafka/client/producer.ts'
import { makeReplicatedTopic } from './failover.ts'
import { quantile } from './paced-sender.ts'
import type { Figures, RowContext } from './rows.ts'

const TOPIC = 'paced'
const PARTITIONS = 6
const BATCH_RECORDS = 50
const VALUE_BYTES = 1000
const PERIOD_MS = 5
const WAIT_MS = 30_000
/** Bytes of a value that say when it was sent, in milliseconds of this process. */
const TIME_BYTES = 8

export async function pacedRow({ target, seconds, warmSeconds }: RowContext): Promise<Figures> {
  const group = await ServerGroup.start({ ...target.options, count: 3 })
  try {
    await makeReplicatedTopic(group, TOPIC, { partitions: PARTITIONS, configs: {} })
    const bootstrap = group.nodes.map((node) => node.bootstrap)
    const options = { bootstrap, clientId: 'bench', timeoutMs: WAIT_MS }
    const parts = { network: realNetwork, clock: realClock }
    const clusters = [new Cluster(parts, options), new Cluster(parts, options)] as const
    try {
      return await measure(clusters, { seconds, warmSeconds })
    } finally {
      for (const cluster of clusters) await cluster.close()
    }
  } finally {
    await group.remove()
  }
}

async function measure(
  [sending, reading]: readonly [Cluster, Cluster],
  { seconds, warmSeconds }: { seconds: number; warmSeconds: number },
): Promise<Figures> {
  const consumer = new Consumer(reading, { startAt: 'latest' })
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition)
  await consumer.assign(partitions.map((partition) => ({ topic: TOPIC, partition })))
  const beginMs = performance.now()
  const fromMs = beginMs + warmSeconds * 1000
  const untilMs = fromMs + seconds * 1000
  const acked: number[] = []
  const seen: number[] = []
  let isOver = false
  const watching = (async () => {
    while (!isOver) {
      for (const { value } of await consumer.poll()) {
        const sentMs = timeOf(value)
        if (sentMs >= fromMs) seen.push(performance.now() - sentMs)
      }
    }
  })()
  const producer = new Producer(sending, { deliveryTimeoutMs: WAIT_MS })
  const sends: Promise<void>[] = []
  let sent = 0
  for (let atMs = beginMs; atMs < untilMs; atMs += PERIOD_MS) {
    const early = atMs - performance.now()
    if (early > 0) await sleep(early)
    const sentMs = performance.now()
    const partition = sent++ % PARTITIONS
    const records = Array.from({ length: BATCH_RECORDS }, () => ({
      value: valueSentAt(sentMs),
      partition,
    }))
    sends.push(
      producer.send(TOPIC, records).then(() => {
        if (sentMs >= fromMs) acked.push(performance.now() - sentMs)
      }),
    )
  }
  await Promise.all(sends)
  const tookSeconds = (performance.now() - beginMs) / 1000
  await sleep(PERIOD_MS * PARTITIONS)
  isOver = true
  await watching
  return {
    'MB/s': (sent * BATCH_RECORDS * VALUE_BYTES) / 1e6 / tookSeconds,
    'ack p50 ms': quantile(acked, 0.5),
    'ack p99 ms': quantile(acked, 0.99),
    'seen p50 ms': quantile(seen, 0.5),
    'seen p99 ms': quantile(seen, 0.99),
  }
}

function valueSentAt(sentMs: number): Buffer {
  const value = Buffer.alloc(VALUE_BYTES)
  value.writeDoubleBE(sentMs, 0)
  return value
}

function timeOf(value: Uint8Array | null): number {
  if (value === null || value.length < TIME_BYTES) return 0
  return new DataView(value.buffer, value.byteOffset, TIME_BYTES).getFloat64(0)
}
