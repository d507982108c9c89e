/**
 * odradek demo: orders at a steady rate, three consumers of one group, and a line each second that
 * says what became of them, while somebody kills nodes.
 */
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { createTopics } from '../../kafka/api/19-create-topics.ts'
import { deleteTopics } from '../../kafka/api/20-delete-topics.ts'
import { type Cluster, check, KafkaError } from '../../kafka/client/cluster.ts'
import { ClientError } from '../../kafka/client/connection.ts'
import { Consumer } from '../../kafka/client/consumer.ts'
import { GroupMember } from '../../kafka/client/group-member.ts'
import { Producer } from '../../kafka/client/producer.ts'
import { ZERO_UUID } from '../../kafka/wire/schema.ts'
import { Tally } from './demo-tally.ts'
import { print, say } from './output.ts'
import { EXIT, wholeNumber, withCluster } from './session.ts'

interface DemoOptions {
  readonly bootstrap: string
  readonly rate: string
  readonly seconds?: string
  readonly keep?: boolean
}

const DEFAULT_BOOTSTRAP = '127.0.0.1:9092,127.0.0.1:9192,127.0.0.1:9292'
const PARTITIONS = 6
const CONSUMERS = 3
const TICK_MS = 100
/** Sends under way; more of them wait, as an application would. */
const SENDS_MAX = 50
const PAUSE_MS = 200
const READ_WITHIN_MS = 30_000
const SESSION_TIMEOUT_MS = 6000
const HEARTBEAT_MS = 1000
/** Of a request; so a node that was stopped costs no more. */
const TIMEOUT_MS = '5000'
const RATE_MAX = 20_000

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('send orders and read them in a group, and count, while you kill nodes')
    .option('-b, --bootstrap <addresses>', 'HOST:PORT of brokers, by comma', DEFAULT_BOOTSTRAP)
    .option('--rate <n>', 'orders a second', '500')
    .option('--seconds <n>', 'end after so long (default: Ctrl-C ends it)')
    .option('--keep', 'do not delete the topic at the end')
    .action(demo)
}

async function demo(options: DemoOptions): Promise<void> {
  const rate = wholeNumber(options.rate, '--rate')
  if (rate < 10 || rate > RATE_MAX) {
    throw new UserError(`--rate takes a number from 10 to ${RATE_MAX}`, EXIT.usage)
  }
  const seconds =
    options.seconds === undefined
      ? Number.POSITIVE_INFINITY
      : wholeNumber(options.seconds, '--seconds')
  const end = new AbortController()
  const interrupt = () => end.abort()
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  const shared = { bootstrap: options.bootstrap, output: 'text', timeout: TIMEOUT_MS }
  await withCluster(shared, async (cluster) => {
    const run = new Demo(cluster, { rate, seconds, signal: end.signal })
    const { lost, duplicated, lag } = await run.run(shared)
    if (options.keep !== true) await run.remove()
    if (lost + duplicated + lag > 0) {
      throw new UserError(
        `${lost} orders are lost, ${duplicated} are there twice, ${lag - lost} were not read in time`,
        EXIT.unhealthy,
      )
    }
  })
}

interface DemoRun {
  readonly rate: number
  readonly seconds: number
  readonly signal: AbortSignal
}

/** What connects a further client to the same cluster. */
type Shared = Parameters<typeof withCluster>[0]

export class Demo {
  readonly topic: string
  readonly tally = new Tally()
  readonly #cluster: Cluster
  readonly #run: DemoRun
  readonly #startedMs: number
  #failed = 0
  #order = 0
  #sends = 0
  #isDone = false
  #nodes = 0

  constructor(cluster: Cluster, run: DemoRun) {
    this.#cluster = cluster
    this.#run = run
    this.#startedMs = cluster.clock.monotonicMs()
    this.topic = `demo-orders-${cluster.clock.nowMs().toString(36)}`
  }

  /** Until the time is over and everything was read; the figures at the end. */
  async run(shared: Shared): Promise<{ lost: number; duplicated: number; lag: number }> {
    await this.#makeTopic()
    say(`orders go to ${this.topic}, ${this.#run.rate} a second; kill nodes, and look on`)
    print(
      row('SECONDS', 'ACKED', 'CONSUMED', 'LAG', 'LOST', 'DUPLICATED', 'AGAIN', 'FAILED', 'NODES'),
    )
    const readers = Array.from({ length: CONSUMERS }, () =>
      withCluster(shared, (cluster) => this.#consume(cluster)),
    )
    const shown = this.#show()
    await this.#produce()
    await this.#until(() => this.#sends === 0 && this.tally.lag === 0, READ_WITHIN_MS)
    this.#isDone = true
    await Promise.all([...readers, shown])
    this.#print()
    const { lost, duplicated, lag } = this.tally
    return { lost, duplicated, lag }
  }

  async remove(): Promise<void> {
    const topics = [{ name: this.topic, topicId: ZERO_UUID }]
    const controller = await this.#cluster.controller()
    await controller.request(
      deleteTopics,
      { topics, topicNames: [this.topic], timeoutMs: this.#cluster.options.timeoutMs },
      this.#cluster.options.timeoutMs,
    )
  }

  async #makeTopic(): Promise<void> {
    const controller = await this.#cluster.controller()
    const { timeoutMs } = this.#cluster.options
    const topic = { name: this.topic, numPartitions: PARTITIONS, replicationFactor: -1 }
    const answer = await controller.request(
      createTopics,
      { topics: [{ ...topic, assignments: [], configs: [] }], timeoutMs, validateOnly: false },
      timeoutMs,
    )
    const made = answer.topics[0]
    check(made?.errorCode ?? -1, made?.errorMessage ?? this.topic)
  }

  async #produce(): Promise<void> {
    const producer = new Producer(this.#cluster)
    while (!this.#isOver()) {
      const due = Math.floor((this.#elapsedMs() / 1000) * this.#run.rate)
      const count = Math.min(due - this.#order, this.#run.rate)
      if (count > 0 && this.#sends < SENDS_MAX) void this.#send(producer, count)
      await this.#cluster.pause(TICK_MS)
    }
  }

  async #send(producer: Producer, count: number): Promise<void> {
    const orders = Array.from({ length: count }, () => this.#order++)
    this.#sends++
    try {
      const records = orders.map((order) => ({ value: Buffer.from(JSON.stringify({ order })) }))
      const places = await producer.send(this.topic, records)
      for (const [at, place] of places.entries()) this.tally.ack(orders[at]!, place)
    } catch (error) {
      if (!isExpected(error)) throw error
      this.#failed += count
    } finally {
      this.#sends--
    }
  }

  async #consume(cluster: Cluster): Promise<void> {
    const consumer = new Consumer(cluster, { startAt: 'earliest', maxWaitMs: PAUSE_MS })
    const member = new GroupMember(cluster, {
      group: this.topic,
      topics: [this.topic],
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      heartbeatMs: HEARTBEAT_MS,
    })
    try {
      while (!this.#isDone) {
        try {
          if (member.mustRejoin) await consumer.assign(await member.join())
          for (const { partition, offset, value } of await consumer.poll()) {
            const { order } = JSON.parse(value?.toString() ?? '{}') as { order: number }
            this.tally.read(order, { partition, offset })
          }
          for (const { partition, offset } of consumer.positions()) {
            this.tally.passed(partition, offset)
          }
          await member.commit(consumer.positions())
        } catch (error) {
          if (!isExpected(error)) throw error
          await cluster.pause(PAUSE_MS)
        }
      }
    } finally {
      await member.close()
    }
  }

  async #show(): Promise<void> {
    for (let second = 1; !this.#isDone; second++) {
      await this.#until(() => this.#isDone || this.#elapsedMs() >= second * 1000, 1000)
      void this.#countNodes()
      if (!this.#isDone) this.#print()
    }
  }

  async #countNodes(): Promise<void> {
    try {
      this.#nodes = (await this.#cluster.metadata([])).brokers.length
    } catch (error) {
      if (!isExpected(error)) throw error
      this.#nodes = 0
    }
  }

  #print(): void {
    const { acked, consumed, lag, lost, duplicated, readAgain } = this.tally
    const seconds = (this.#elapsedMs() / 1000).toFixed(0)
    print(
      row(seconds, acked, consumed, lag, lost, duplicated, readAgain, this.#failed, this.#nodes),
    )
  }

  #elapsedMs(): number {
    return this.#cluster.clock.monotonicMs() - this.#startedMs
  }

  #isOver(): boolean {
    return this.#run.signal.aborted || this.#elapsedMs() >= this.#run.seconds * 1000
  }

  async #until(isSo: () => boolean, limitMs: number): Promise<void> {
    const untilMs = this.#elapsedMs() + limitMs
    while (!isSo() && this.#elapsedMs() < untilMs) await this.#cluster.pause(TICK_MS)
  }
}

/** What a cluster under faults answers; anything else is a mistake of this program. */
function isExpected(error: unknown): boolean {
  return error instanceof KafkaError || error instanceof ClientError
}

function row(...cells: readonly (string | number)[]): string {
  return cells.map((cell) => String(cell).padStart(11)).join('')
}
