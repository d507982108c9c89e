/**
 * For tests: random histories of a cluster against the deciders, with a model of what each replica
 * has on its disk. After each step the image is checked by itself, against the one before, and
 * against the records that were acknowledged: a clean leader has all of them.
 */
import { assert } from '../../base/assert.ts'
import { SimRandom } from '../../base/sim/random.ts'
import { loadSettings } from '../config/load.ts'
import type { Settings } from '../config.ts'
import { replay } from './apply.ts'
import {
  decideRegistration,
  registrationRequest,
  unregistrationRecords,
} from './broker-registrations.ts'
import { nextStep, type Step, stepRecords } from './broker-states.ts'
import { ClusterRules } from './cluster-rules.ts'
import { decideIncrementalConfigs } from './config-changes.ts'
import type { View } from './decision.ts'
import { balanceRecords, decideElectLeaders } from './elections.ts'
import { decideFailedReplica } from './failed-replicas.ts'
import { foundingRecords } from './founding.ts'
import { EMPTY_IMAGE, type MetadataImage, type PartitionImage, type TopicImage } from './image.ts'
import { checkImage, checkLeaders } from './invariants.ts'
import { decideAlterPartition } from './isr-changes.ts'
import { isNeeded, someRepairs } from './leadership.ts'
import { decideReassignments } from './reassignments.ts'
import { decodeRecord, encodeRecord, type MetadataRecord } from './records.ts'
import { idOf } from './testing.ts'
import { decideCreateTopics, decideDeleteTopics } from './topic-changes.ts'

const BROKERS = 5
const TOPICS = 3
const CLUSTER_ID = 'MkU3OEVBNTcwNTJENDM2Qg'

type Log = readonly number[]

interface Machine {
  readonly id: number
  /** Its process runs, as far as the process knows. */
  isUp: boolean
  directoryId: string
  incarnation: number
}

interface Held {
  readonly topic: TopicImage
  readonly partition: PartitionImage
  readonly key: string
}

export class ControllerModel {
  image: MetadataImage = EMPTY_IMAGE
  /** What was done, for the message of a failure. */
  readonly trace: string[] = []
  readonly #random: SimRandom
  readonly #settings: Settings
  readonly #machines: Machine[] = []
  /** Partition and broker -> what lies there. */
  readonly #logs = new Map<string, Log>()
  readonly #acknowledged = new Map<string, Log>()
  /** Partition and epoch -> who led. */
  readonly #leaders = new Map<string, number>()
  #nextOffset = 0
  #nextId = 1
  #nextRecord = 1

  constructor(seed: number) {
    this.#random = new SimRandom(seed)
    this.#settings = loadSettings({ flags: { 'node.id': '1', 'min.insync.replicas': '1' } })
    this.#write(foundingRecords(this.#view, CLUSTER_ID, this.#random))
    for (let id = 1; id <= BROKERS; id++) {
      this.#machines.push({ id, isUp: false, directoryId: this.#newId(), incarnation: 0 })
    }
  }

  run(steps: number): void {
    const operations = this.#operations()
    for (let step = 0; step < steps; step++) {
      const [name, act] = operations[this.#random.below(operations.length)]!
      this.trace.push(name)
      act()
      this.#check()
    }
  }

  /** Each as often as it is listed. */
  #operations(): [name: string, act: () => void][] {
    const often = (count: number, name: string, act: () => void) =>
      Array.from({ length: count }, (): [string, () => void] => [name, act])
    return [
      ...often(8, 'start', () => this.#start('crash')),
      ...often(3, 'start cleanly', () => this.#start('clean')),
      ...often(1, 'start wiped', () => this.#start('wiped')),
      ...often(10, 'unfence', () => this.#step('unfence')),
      ...often(4, 'fence', () => this.#step('fence')),
      ...often(3, 'depart', () => this.#step('depart')),
      ...often(3, 'leave', () => this.#step('leave')),
      ...often(1, 'unregister', () => this.#unregister()),
      ...often(4, 'create', () => this.#create()),
      ...often(1, 'delete', () => this.#delete()),
      ...often(20, 'write', () => this.#produce()),
      ...often(3, 'zombie', () => this.#zombie()),
      ...often(16, 'catch up', () => this.#catchUp()),
      ...often(8, 'shrink', () => this.#shrink()),
      ...often(2, 'nonsense', () => this.#nonsense()),
      ...often(2, 'elect', () => this.#elect()),
      ...often(2, 'balance', () => this.#write(balanceRecords(this.#view))),
      ...often(5, 'reassign', () => this.#reassign()),
      ...often(2, 'fail', () => this.#fail()),
      ...often(3, 'configure', () => this.#configure()),
    ]
  }

  get #view(): View {
    return { image: this.image, nextOffset: this.#nextOffset, settings: this.#settings }
  }

  #newId(): string {
    return idOf(this.#nextId++ + 1_000)
  }

  #write(records: readonly MetadataRecord[]): void {
    if (records.length === 0) return
    const onWire = records.map((record) => decodeRecord(encodeRecord(record)))
    const before = this.image
    this.#nextOffset += onWire.length
    this.image = replay(before, onWire, this.#nextOffset - 1, 1).image
    checkImage(this.image, before)
    for (const held of this.#partitions()) this.#checkData(held, before)
  }

  /** Whatever was done, nothing is left to be done. */
  #check(): void {
    const left = someRepairs(new ClusterRules(this.image, this.#settings))
    assert(left.length === 0, `nothing is to be repaired: ${JSON.stringify(left)}`)
    checkLeaders(new ClusterRules(this.image, this.#settings))
  }

  #checkData({ topic, partition, key }: Held, before: MetadataImage): void {
    const { leader, leaderEpoch, leaderRecoveryState } = partition
    if (leader === -1) return
    const atEpoch = `${key}@${leaderEpoch}`
    const known = this.#leaders.get(atEpoch)
    assert(known === undefined || known === leader, `one leader in ${atEpoch}`)
    this.#leaders.set(atEpoch, leader)
    if (known !== undefined) return
    const log = this.#log(key, leader)
    const acknowledged = this.#acknowledged.get(key) ?? []
    const was = before.topics.get(topic.name)?.partitions[partition.index]
    const { isDurable } = new ClusterRules(this.image, this.#settings).of(topic.name)
    // A doubt of this model is never founded, so a last resort has everything too.
    const wasSafe =
      was?.isr.includes(leader) ||
      was?.eligibleLeaderReplicas.includes(leader) ||
      (isDurable && was?.lastKnownElr.includes(leader))
    if (leaderRecoveryState === 1 && wasSafe !== true) {
      // Allowed to lose; what is left counts from now on.
      this.#acknowledged.set(key, log.slice(0, Math.min(log.length, acknowledged.length)))
      return
    }
    const hasAll = acknowledged.every((record, at) => log[at] === record)
    assert(hasAll, `${key}: ${leader} leads with ${log}, and ${acknowledged} was acknowledged`)
  }

  *#partitions(): Generator<Held> {
    for (const topic of this.image.topics.values()) {
      for (const partition of topic.partitions) {
        yield { topic, partition, key: `${topic.id}/${partition.index}` }
      }
    }
  }

  #anyPartition(): Held | undefined {
    const all = [...this.#partitions()]
    return all.length === 0 ? undefined : all[this.#random.below(all.length)]
  }

  #anyMachine(): Machine {
    return this.#machines[this.#random.below(BROKERS)]!
  }

  #log(key: string, broker: number): Log {
    return this.#logs.get(`${key}/${broker}`) ?? []
  }

  #setLog(key: string, broker: number, log: Log): void {
    this.#logs.set(`${key}/${broker}`, log)
  }

  /** A new process, after the end of the one before: the disk has what survived that. */
  #start(end: 'clean' | 'crash' | 'wiped'): void {
    const machine = this.#anyMachine()
    const before = this.image.brokers.get(machine.id)
    if (end === 'wiped') machine.directoryId = this.#newId()
    const rules = new ClusterRules(this.image, this.#settings)
    for (const { topic, key } of this.#partitions()) {
      const log = this.#log(key, machine.id)
      if (end === 'wiped') this.#setLog(key, machine.id, [])
      if (end !== 'crash') continue
      const kept = rules.of(topic.name).isDurable ? this.#durable(key, log) : 0
      this.#setLog(key, machine.id, log.slice(0, kept + this.#random.below(log.length - kept + 1)))
    }
    machine.isUp = true
    machine.incarnation++
    const request = registrationRequest({
      nodeId: machine.id,
      clusterId: CLUSTER_ID,
      incarnationId: this.#newId(),
      rack: null,
      endpoints: [],
      directoryIds: [machine.directoryId],
      previousEpoch: end === 'clean' ? (before?.epoch ?? -1) : -1,
    })
    const { records, answer } = decideRegistration(this.#view, request, false)
    assert(answer.response.errorCode === 0 && !answer.isUnfinished, 'it is registered')
    this.#write(records)
    if (end === 'crash' && this.#random.below(3) === 0) this.#doubt(machine.id)
  }

  /** The start has cut an unfinished write off every log. */
  #doubt(brokerId: number): void {
    const brokerEpoch = this.image.brokers.get(brokerId)!.epoch
    for (const { topic, partition } of [...this.#partitions()]) {
      if (partition.replicas.length === 1 || !partition.replicas.includes(brokerId)) continue
      const where = { brokerId, brokerEpoch, topicId: topic.id, partitionIndex: partition.index }
      const report = { ...where, leaderEpoch: -1, reason: 'damaged' as const }
      this.#write(decideFailedReplica(this.#view, report).records)
    }
  }

  /** What was acknowledged from a log is on the disk. */
  #durable(key: string, log: Log): number {
    const acknowledged = this.#acknowledged.get(key) ?? []
    let kept = 0
    while (kept < log.length && log[kept] === acknowledged[kept]) kept++
    return kept
  }

  #step(step: Step): void {
    const machine = this.#anyMachine()
    const broker = this.image.brokers.get(machine.id)
    if (broker === undefined) return
    if (step === 'fence') {
      if (!broker.isFenced) this.#write(stepRecords(this.#view, broker, 'fence'))
      return
    }
    if (!machine.isUp) return
    const wantShutDown = step !== 'unfence'
    const heartbeat = {
      brokerId: broker.id,
      brokerEpoch: broker.epoch,
      currentMetadataOffset: this.image.offset,
      wantFence: false,
      wantShutDown,
      offlineLogDirs: [],
      cordonedLogDirs: null,
    }
    const isHeld = isNeeded(new ClusterRules(this.image, this.#settings), broker.id)
    const departedOffset = isHeld ? undefined : 0
    const progress = { departedOffset, slowestOffset: this.image.offset }
    const next = nextStep(this.image, broker, heartbeat, progress)
    if (next !== step) return
    this.#write(stepRecords(this.#view, broker, next))
    if (next === 'leave') machine.isUp = false
  }

  #unregister(): void {
    const broker = this.image.brokers.get(this.#anyMachine().id)
    if (broker?.isFenced === true) this.#write(unregistrationRecords(this.#view, broker))
  }

  #create(): void {
    const name = `t${this.#random.below(TOPICS)}`
    const flush = this.#random.below(4) === 0 ? 'none' : 'group'
    const topic = {
      name,
      numPartitions: 1 + this.#random.below(2),
      replicationFactor: 1 + this.#random.below(3),
      assignments: [],
      configs: [{ name: 'flush', value: flush }],
    }
    const request = { topics: [topic], timeoutMs: 1, validateOnly: false }
    this.#write(decideCreateTopics(this.#view, this.#random, request).records)
  }

  #delete(): void {
    const name = `t${this.#random.below(TOPICS)}`
    const topics = [{ name, topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }]
    const request = { topics, topicNames: [], timeoutMs: 1 }
    this.#write(decideDeleteTopics(this.#view, request).records)
  }

  /** acks=all, as the leader sees its ISR; below the least size acks=1, without a promise. */
  #produce(): void {
    const held = this.#anyPartition()
    if (held === undefined) return
    const { topic, partition, key } = held
    const { leader, isr, replicas } = partition
    if (leader === -1 || !this.#machines[leader - 1]!.isUp) return
    if (this.image.brokers.get(leader)?.isFenced !== false) return
    const log = [...this.#log(key, leader), this.#nextRecord++]
    this.#setLog(key, leader, log)
    const { minInsyncReplicas } = new ClusterRules(this.image, this.#settings).of(topic.name)
    if (isr.length < Math.min(minInsyncReplicas, replicas.length)) return
    for (const id of isr) this.#setLog(key, id, log)
    this.#acknowledged.set(key, log)
  }

  /** A leader that does not know yet that it is fenced, and needs nobody for an acknowledgement. */
  #zombie(): void {
    const held = this.#anyPartition()
    if (held === undefined) return
    const { topic, partition, key } = held
    const { replicas, leaderEpoch } = partition
    const leader =
      this.#leaders.get(`${key}@${leaderEpoch}`) ?? this.#leaders.get(`${key}@${leaderEpoch - 1}`)
    if (leader === undefined || !replicas.includes(leader)) return
    const { minInsyncReplicas } = new ClusterRules(this.image, this.#settings).of(topic.name)
    const isAlone = partition.leader === -1 && partition.lastKnownElr[0] === leader
    const { eligibleLeaderReplicas, lastKnownElr } = partition
    // One that is in doubt since was in its ISR too.
    const hadOthers = [...eligibleLeaderReplicas, ...lastKnownElr].some((id) => id !== leader)
    const isFenced = this.image.brokers.get(leader)?.isFenced !== false
    // It led with an ISR of one, and that was enough.
    if (!isAlone || hadOthers || !isFenced || minInsyncReplicas > 1) return
    if (!partition.eligibleLeaderReplicas.includes(leader)) return
    const log = [...this.#log(key, leader), this.#nextRecord++]
    this.#setLog(key, leader, log)
    this.#acknowledged.set(key, log)
  }

  /** A follower fetches all that its leader has, and is proposed for the ISR. */
  #catchUp(): void {
    const held = this.#anyPartition()
    if (held === undefined) return
    const { partition, key } = held
    const { leader, replicas, isr } = partition
    const follower = replicas[this.#random.below(replicas.length)]!
    if (leader === -1 || follower === leader || this.image.brokers.get(leader)?.isFenced !== false)
      return
    if (!this.#machines[follower - 1]!.isUp) return
    this.#setLog(key, follower, this.#log(key, leader))
    if (!isr.includes(follower)) this.#propose(held, [...isr, follower])
  }

  #shrink(): void {
    const held = this.#anyPartition()
    if (held === undefined || held.partition.leader === -1) return
    const { leader, isr } = held.partition
    this.#propose(
      held,
      isr.filter((id) => id === leader || this.#random.below(2) === 0),
    )
  }

  #nonsense(): void {
    const held = this.#anyPartition()
    if (held === undefined) return
    const some = [1, 2, 3, 4, 5].filter(() => this.#random.below(2) === 0)
    const from = 1 + this.#random.below(BROKERS)
    this.#propose(
      held,
      some.filter((id) => held.partition.isr.includes(id)),
      from,
    )
  }

  #propose({ topic, partition }: Held, isr: number[], from = partition.leader): void {
    const brokerEpoch = this.image.brokers.get(from)?.epoch ?? -1
    const proposal = {
      partitionIndex: partition.index,
      leaderEpoch: partition.leaderEpoch,
      partitionEpoch: partition.partitionEpoch,
      newIsr: isr,
      newIsrWithEpochs: [],
      leaderRecoveryState: 0,
    }
    const topics = [{ topicId: topic.id, partitions: [proposal] }]
    const request = { brokerId: from, brokerEpoch, topics }
    this.#write(decideAlterPartition(this.#view, request).records)
  }

  #elect(): void {
    const electionType = this.#random.below(2)
    const request = { electionType, topicPartitions: null, timeoutMs: 1 }
    this.#write(decideElectLeaders(this.#view, request).records)
  }

  #reassign(): void {
    const held = this.#anyPartition()
    if (held === undefined) return
    const shuffled = [1, 2, 3, 4, 5].sort(() => this.#random.below(3) - 1)
    const replicas =
      this.#random.below(4) === 0 ? null : shuffled.slice(0, 1 + this.#random.below(3))
    const partitions = [{ partitionIndex: held.partition.index, replicas }]
    const topics = [{ name: held.topic.name, partitions }]
    const request = { timeoutMs: 1, allowReplicationFactorChange: true, topics }
    this.#write(decideReassignments(this.#view, request).records)
  }

  #fail(): void {
    const held = this.#anyPartition()
    if (held === undefined) return
    const { topic, partition } = held
    const brokerId = partition.replicas[this.#random.below(partition.replicas.length)]!
    const report = {
      brokerId,
      brokerEpoch: this.image.brokers.get(brokerId)?.epoch ?? -1,
      topicId: topic.id,
      partitionIndex: partition.index,
      leaderEpoch: partition.leaderEpoch,
      reason: this.#random.below(2) === 0 ? ('storage' as const) : ('damaged' as const),
    }
    this.#write(decideFailedReplica(this.#view, report).records)
  }

  #configure(): void {
    const held = this.#anyPartition()
    if (held === undefined) return
    const change =
      this.#random.below(3) === 0
        ? { name: 'unclean.leader.election.enable', value: String(this.#random.below(2) === 0) }
        : { name: 'min.insync.replicas', value: String(1 + this.#random.below(3)) }
    const configs = [{ ...change, configOperation: 0 }]
    const resources = [{ resourceType: 2, resourceName: held.topic.name, configs }]
    const request = { resources, validateOnly: false }
    this.#write(decideIncrementalConfigs(this.#view, request).records)
  }
}
