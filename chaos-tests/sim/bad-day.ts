/**
 * A small cluster on virtual time to which one thing happens, while a writer goes on: each test
 * says what, what the log has to say of it, and what clients see. In the end every node serves
 * again (or is known to be out), all is read, and the checkers look for what was acknowledged.
 */
import assert from 'node:assert/strict'
import { SimRandom } from '../../base/sim/random.ts'
import { produce } from '../../kafka/api/00-produce.ts'
import { createTopics } from '../../kafka/api/19-create-topics.ts'
import { Cluster } from '../../kafka/client/cluster.ts'
import { encodeBatch } from '../../log/records.ts'
import type { PartitionImage, TopicImage } from '../../node/metadata/image.ts'
import { checkAll } from '../checkers/all.ts'
import { ClientContext } from './client-context.ts'
import { SimCluster, type SimNode } from './cluster.ts'
import { batchesOf, segmentsOf } from './disks.ts'
import { readEverything } from './finale.ts'
import { type ProducerSpec, runProducer } from './producers.ts'
import { Recorder } from './recorder.ts'
import { DISKS, LATENCIES } from './shapes.ts'
import { stray } from './strays.ts'
import { Watch } from './watch.ts'

export const TOPIC = 'orders'
const LIMIT_MS = 60_000
/** So that some are closed, which the scrubber reads. */
const SHORT_SEGMENTS = { name: 'segment.ms', value: '1000' }

const WRITER: ProducerSpec = {
  kind: 'producer',
  topic: TOPIC,
  partitions: 1,
  isIdempotent: true,
  compression: 'none',
  batchMax: 3,
  paddingMax: 300,
  pauseMs: 50,
  lanes: 1,
  timeoutMs: 1000,
  deliveryTimeoutMs: 30_000,
}

export interface BadDayOptions {
  readonly nodes?: number
  readonly settings?: Readonly<Record<string, string>>
  readonly settingsOf?: (nodeId: number) => Readonly<Record<string, string>>
  /** Nodes that are started before the topic is made; the others by the test. All by default. */
  readonly startIds?: readonly number[]
  /** Nodes of another cluster: what they lead is not looked at. */
  readonly strangerIds?: readonly number[]
}

export class BadDay {
  readonly cluster: SimCluster
  /** For requests of a test, on a machine of its own. */
  readonly client: Cluster
  readonly #recorder: Recorder
  readonly #watch: Watch
  readonly #writer: ClientContext
  readonly #errors: unknown[] = []
  readonly #strangerIds: readonly number[]
  #writing: Promise<void> = Promise.resolve()

  private constructor(seed: string, options: BadDayOptions) {
    this.cluster = new SimCluster(seed, {
      nodes: options.nodes ?? 3,
      maybeProbability: 0,
      latencyUs: LATENCIES.typical,
      diskLatencyUs: DISKS.typical,
      settings: { 'min.insync.replicas': '2', ...options.settings },
      ...(options.settingsOf === undefined ? {} : { settingsOf: options.settingsOf }),
    })
    this.#strangerIds = options.strangerIds ?? []
    this.#recorder = new Recorder(() => this.cluster.nowMs)
    this.#watch = new Watch(this.cluster, this.#recorder)
    this.#writer = this.#contextOf('writer', 'writer')
    const { bootstrap } = this.cluster
    const client = { bootstrap, clientId: 'test', timeoutMs: 3000 }
    this.client = new Cluster(this.cluster.clientWorld('test'), client)
  }

  /** Plays `story` on a cluster with a topic and a writer, then checks that nothing is lost. */
  static async play(
    seed: string,
    story: (day: BadDay) => Promise<void>,
    options: BadDayOptions = {},
  ): Promise<void> {
    const day = new BadDay(seed, options)
    const complete = async () => {
      await day.#begin(options)
      await story(day)
      await day.#end()
    }
    await stray(complete, (error) => day.#errors.push(error))
    assert.deepEqual(day.#errors, [], 'errors that nobody handles')
  }

  async #begin({ startIds }: BadDayOptions): Promise<void> {
    const { nodes, sim } = this.cluster
    const first = nodes.filter(({ id }) => startIds?.includes(id) ?? true)
    for (const node of first) this.cluster.start(node)
    this.#watch.start()
    await this.until('all serve', () => first.every(({ running }) => running !== undefined))
    await this.until('brokers are there', () => this.#unfenced() >= Math.min(3, first.length))
    const topic = { name: TOPIC, numPartitions: 1, replicationFactor: 3 }
    const answer = await this.ask(
      this.client.request(undefined, createTopics, {
        topics: [{ ...topic, assignments: [], configs: [SHORT_SEGMENTS] }],
        timeoutMs: 3000,
        validateOnly: false,
      }),
    )
    assert.equal(answer.topics[0]!.errorCode, 0)
    await this.ask(this.client.metadata([TOPIC]))
    this.#writing = runProducer(this.#writer, WRITER)
    await sim.runFor(500)
    assert.ok(this.acknowledged > 0, 'records are acknowledged')
  }

  async #end(): Promise<void> {
    const { cluster } = this
    cluster.sim.links.healAll()
    await this.until('all replicas are in sync', () => this.partition.isr.length === 3)
    const before = this.acknowledged
    await this.until('records are acknowledged', () => this.acknowledged > before)
    this.#writer.isOver = true
    await this.ask(this.#writing)
    const topics = [{ name: TOPIC, partitions: 1, configs: {} }]
    await this.ask(readEverything(this.#contextOf('final', 'final'), topics, []))
    this.#watch.stop()
    await this.ask(this.client.close())
    for (const { id, host, running } of cluster.running) {
      for (const one of running!.partitions.all()) {
        if (one.topic !== TOPIC) continue
        const batches = segmentsOf(host.disk, TOPIC, 0).flatMap((path) => {
          return batchesOf(host.disk.readFile(path))
        })
        const { logStartOffset, highWatermark } = one
        const ends = { logStartOffset, highWatermark }
        this.#recorder.add({
          op: 'replica',
          topic: TOPIC,
          partition: 0,
          node: id,
          ...ends,
          batches,
        })
      }
    }
    const entries = this.#recorder.entries.filter((one) => {
      return !('node' in one && this.#strangerIds.includes(one.node))
    })
    assert.deepEqual(checkAll(entries), [])
  }

  #unfenced(): number {
    const image = this.cluster.controller()?.running?.quorum.image
    return [...(image?.brokers.values() ?? [])].filter(({ isFenced }) => !isFenced).length
  }

  #contextOf(host: string, name: string): ClientContext {
    return new ClientContext({
      name,
      world: this.cluster.clientWorld(host),
      random: new SimRandom(`${name}/client`),
      recorder: this.#recorder,
      bootstrap: this.cluster.bootstrap,
    })
  }

  /** Of the topic, as the controller knows it. */
  get partition(): PartitionImage {
    return this.#topic?.partitions[0] ?? NONE
  }

  get topicId(): string {
    assert.ok(this.#topic !== undefined, 'the topic is there')
    return this.#topic.id
  }

  get #topic(): TopicImage | undefined {
    return this.cluster.controller()?.running?.quorum.image.topics.get(TOPIC)
  }

  get leader(): SimNode {
    return this.cluster.node(this.partition.leader)
  }

  /** The replicas that do not lead. */
  get followers(): SimNode[] {
    const { leader, replicas } = this.partition
    return replicas.filter((id) => id !== leader).map((id) => this.cluster.node(id))
  }

  /** Batches that were acknowledged with acks=all. */
  get acknowledged(): number {
    return this.#recorder.entries.filter((one) => one.op === 'send' && one.outcome === 'ok').length
  }

  ask<T>(promise: Promise<T>): Promise<T> {
    return this.cluster.sim.complete(promise, LIMIT_MS)
  }

  async until(what: string, condition: () => boolean, limitMs = LIMIT_MS): Promise<void> {
    const deadlineMs = this.cluster.nowMs + limitMs
    while (!condition()) {
      assert.ok(this.cluster.nowMs < deadlineMs, `not in ${limitMs} ms: ${what}`)
      await this.cluster.sim.runFor(20)
    }
  }

  /** What `node` says to a record without a writer's name. */
  async produceAt(node: SimNode, acks: number, timeoutMs = 3000) {
    const batch = encodeBatch([{ timestampMs: 0, key: null, value: Buffer.from('x'), headers: [] }])
    const body = {
      acks,
      timeoutMs,
      topicData: [
        { name: TOPIC, topicId: this.topicId, partitionData: [{ index: 0, records: batch }] },
      ],
    }
    const answer = await this.client.request(node.id, produce, body, 30_000)
    return answer.responses[0]!.partitionResponses[0]!
  }

  /** As a client does that has seen nothing yet. */
  async readFromStart(): Promise<void> {
    const topics = [{ name: TOPIC, partitions: 1, configs: {} }]
    await readEverything(this.#contextOf('reader', 'reader'), topics, [])
  }

  runFor(durationMs: number): Promise<void> {
    return this.cluster.sim.runFor(durationMs)
  }

  /** Kept writing while something lasts. */
  async goesOn(): Promise<void> {
    const before = this.acknowledged
    await this.until('records are acknowledged', () => this.acknowledged > before + 5, 10_000)
  }

  /** Of a node's log: level, sentence, fields. */
  lines({ host }: SimNode): string[] {
    return host.logLines.map(({ level, message, fields }) => {
      return `${level} ${message} ${JSON.stringify(fields)}`
    })
  }

  /** Waits until a node says so, and says it so that people see it: not among debug lines. */
  async says(node: SimNode, pattern: RegExp): Promise<void> {
    const isSaid = () => this.lines(node).some((line) => !/^debug/.test(line) && pattern.test(line))
    await this.until(`${node.name} says ${pattern}`, isSaid)
  }

  /** Makes `node` the controller. */
  async giveControl(node: SimNode): Promise<void> {
    await this.ask(this.cluster.controller()!.running!.quorum.transferLeadership(node.id))
    await this.until('it is the controller', () => this.cluster.controller() === node)
  }

  restart(node: SimNode): void {
    if (node.host.isRunning) this.cluster.kill(node)
    this.cluster.start(node)
  }
}

const NONE = { leader: -1, replicas: [], isr: [], leaderEpoch: -1 } as unknown as PartitionImage
