/*
 * What a producer notices when a node of three goes: one record at a time with acks=all, quick
 * retries, and the time between the last acknowledgement before and the first one after.
 */

import { realClock } from '../base/real/clock.ts'
import { realNetwork } from '../base/real/network.ts'
import { type ServerProcess, sleep } from '../chaos-tests/cluster/processes.ts'
import { ServerGroup, waitUntilWhole } from '../chaos-tests/cluster/server-group.ts'
import { createTopics } from '../kafka/api/19-create-topics.ts'
import { Cluster, type ClusterOptions } from '../kafka/client/cluster.ts'
import { Producer } from '../kafka/client/producer.ts'
import type { Figures, RowContext } from './rows.ts'

export type Fault = 'kill' | 'stop' | 'restart'

const NODES = 3
const TOPIC = 'failover'
/** Of a request of the observer: the machine may be busy, and it looks on only. */
const OBSERVER_TIMEOUT_MS = 5000
/** As our own tools have it: a leader that is silent is left when others say that it leads no more. */
const WRITER_TIMEOUT_MS = 5000
const SETTLE_MS = 1500
const GIVE_UP_MS = 60_000
const ACKS_AFTER = 20

/** Sends one record after the other, and remembers when each was acknowledged. */
class Writer {
  lastAckMs = 0
  count = 0
  longestGapMs = 0
  /** Of the next record. */
  partition = 0
  readonly #producer: Producer
  #isStopped = false
  #ended: Promise<void> = Promise.resolve()

  constructor(cluster: Cluster) {
    this.#producer = new Producer(cluster, { deliveryTimeoutMs: GIVE_UP_MS })
  }

  start(): void {
    this.#ended = this.#run()
    this.#ended.catch(() => undefined) // told when it is stopped
  }

  stop(): Promise<void> {
    this.#isStopped = true
    return this.#ended
  }

  async #run(): Promise<void> {
    const value = Buffer.alloc(100)
    while (!this.#isStopped) {
      await this.#producer.send(TOPIC, [{ value, partition: this.partition }])
      const nowMs = performance.now()
      if (this.lastAckMs > 0)
        this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.lastAckMs)
      this.lastAckMs = nowMs
      this.count++
    }
  }
}

/** The id of the node that leads the Raft group. */
export async function controllerOf(group: ServerGroup): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${group.nodes[0]!.ports.http}/api/v1/quorum`, {
    signal: AbortSignal.timeout(OBSERVER_TIMEOUT_MS),
  })
  const { leader } = (await response.json()) as { leader: number }
  return leader
}

async function inflict(fault: Fault, node: ServerProcess): Promise<void> {
  if (fault === 'kill') await node.kill()
  else if (fault === 'stop') node.signal('SIGSTOP')
  else await node.stop()
}

async function mend(fault: Fault, node: ServerProcess): Promise<void> {
  if (fault === 'stop') node.signal('SIGCONT')
  else await node.start()
}

/**
 * Kept by three nodes, led by the first, or (`isSpread`) by all in turn; resolves when it takes
 * records.
 */
export async function makeReplicatedTopic(
  group: ServerGroup,
  name: string,
  options: {
    partitions: number
    configs: Readonly<Record<string, string>>
    isSpread?: boolean
  },
): Promise<void> {
  const { partitions, configs, isSpread = false } = options
  const bootstrap = group.nodes.map((node) => node.bootstrap)
  const cluster = new Cluster(
    { network: realNetwork, clock: realClock },
    { bootstrap, clientId: 'bench', timeoutMs: GIVE_UP_MS },
  )
  const assignments = Array.from({ length: partitions }, (_, partitionIndex) => ({
    partitionIndex,
    brokerIds: [0, 1, 2].map((at) => 1 + ((at + (isSpread ? partitionIndex : 0)) % NODES)),
  }))
  const rows = Object.entries(configs).map(([key, value]) => ({ name: key, value }))
  await cluster.request(undefined, createTopics, {
    topics: [{ name, numPartitions: -1, replicationFactor: -1, assignments, configs: rows }],
    timeoutMs: GIVE_UP_MS,
    validateOnly: false,
  })
  const producer = new Producer(cluster, { deliveryTimeoutMs: GIVE_UP_MS })
  for (let partition = 0; partition < partitions; partition++) {
    await producer.send(name, [{ value: Buffer.from('first'), partition }])
  }
  await cluster.close()
}

/** What the faults of the partition's leader did, one entry each. */
interface Found {
  readonly gapMs: number
  readonly wasController: boolean
}

async function makeTopic(observer: Cluster): Promise<void> {
  const topic = { name: TOPIC, numPartitions: NODES, replicationFactor: NODES }
  await observer.request(
    undefined,
    createTopics,
    {
      topics: [{ ...topic, assignments: [], configs: [] }],
      timeoutMs: GIVE_UP_MS,
      validateOnly: false,
    },
    GIVE_UP_MS,
  )
}

async function measureOne(
  { group, observer, writer }: { group: ServerGroup; observer: Cluster; writer: Writer },
  fault: Fault,
  wantsController: boolean,
): Promise<Found> {
  await waitUntilWhole(observer, [TOPIC], GIVE_UP_MS)
  const leaders = await observer.leaders(TOPIC)
  const controller = await controllerOf(group)
  // Where no partition is led by the one that is wanted, another one is as good.
  const wanted = leaders.findIndex((leader) => (leader === controller) === wantsController)
  const partition = Math.max(0, wanted)
  const leader = leaders[partition]!
  const node = group.nodes[leader - 1]!
  const wasController = leader === controller
  writer.partition = partition
  await sleep(SETTLE_MS)
  writer.longestGapMs = 0
  const countBefore = writer.count
  await inflict(fault, node)
  const until = performance.now() + GIVE_UP_MS
  while (writer.count < countBefore + ACKS_AFTER && performance.now() < until) await sleep(5)
  await sleep(SETTLE_MS)
  const gapMs = writer.longestGapMs
  // Else the fault has hit a node that did not matter to the writer.
  if ((await observer.leaders(TOPIC))[partition] === leader)
    throw new Error(`node ${leader} still leads`)
  await mend(fault, node)
  return { gapMs, wasController }
}

/** `count` faults of whoever leads the writer's partition; every other one of the controller too. */
async function faults(group: ServerGroup, fault: Fault, count: number): Promise<Found[]> {
  const bootstrap = group.nodes.map((node) => node.bootstrap)
  const parts = { network: realNetwork, clock: realClock }
  const clientOf = (clientId: string, timeoutMs: number) =>
    new Cluster(parts, { bootstrap, clientId, timeoutMs })
  const observer = clientOf('observer', OBSERVER_TIMEOUT_MS)
  const own = clientOf('failover', WRITER_TIMEOUT_MS)
  const writer = new Writer(own)
  const found: Found[] = []
  try {
    await makeTopic(observer)
    writer.start()
    for (let i = 0; i < count; i++) {
      found.push(await measureOne({ group, observer, writer }, fault, i % 2 === 1))
    }
    await waitUntilWhole(observer, [TOPIC], GIVE_UP_MS)
  } finally {
    await writer.stop()
    await own.close()
    await observer.close()
  }
  return found
}

export async function failoverRow(
  { target }: RowContext,
  fault: Fault,
  count: number,
): Promise<Figures> {
  const group = await ServerGroup.start({ ...target.options, count: NODES })
  let found: Found[]
  try {
    found = await faults(group, fault, count)
  } catch (error) {
    // What the nodes said is of use now.
    await Promise.all(group.nodes.map((node) => node.kill()))
    const logs = group.nodes.map(({ logFile }) => logFile).join(' ')
    throw new Error(`${error instanceof Error ? error.message : error}; see ${logs}`, {
      cause: error,
    })
  }
  await group.remove()
  const sorted = found.map(({ gapMs }) => gapMs).sort((a, b) => a - b)
  return {
    'p50 ms': sorted[Math.floor(sorted.length / 2)]!,
    'p90 ms': sorted[Math.floor(sorted.length * 0.9)]!,
    'max ms': sorted.at(-1)!,
    faults: count,
    'of the controller': found.filter(({ wasController }) => wasController).length,
  }
}

/** False while nobody listens, or nobody leads. */
async function sendsOne(options: ClusterOptions): Promise<boolean> {
  const cluster = new Cluster({ network: realNetwork, clock: realClock }, options)
  try {
    await new Producer(cluster).send(TOPIC, [{ value: Buffer.from('first') }])
    return true
  } catch {
    return false
  } finally {
    await cluster.close()
  }
}

/** Seconds from the start of three processes to the first record that all three have. */
export async function groupStartRow({ target }: RowContext): Promise<Figures> {
  const group = await ServerGroup.prepare({ ...target.options, count: NODES })
  const options = {
    bootstrap: group.nodes.map((node) => node.bootstrap),
    clientId: 'start',
    timeoutMs: 2000,
  }
  const first = async (): Promise<number> => {
    const beganMs = performance.now()
    await Promise.all(group.nodes.map((node) => node.launch()))
    while (!(await sendsOne(options))) {
      if (performance.now() - beganMs > GIVE_UP_MS) throw new Error('no record was acknowledged')
      await sleep(5)
    }
    return (performance.now() - beganMs) / 1000
  }
  try {
    await Promise.all(group.nodes.map((node) => node.format()))
    const fresh = await first()
    await group.stop()
    return { 'fresh s': fresh, 'restart s': await first() }
  } finally {
    await group.remove()
  }
}
