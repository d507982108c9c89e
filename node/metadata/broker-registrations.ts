/**
 * Brokers make themselves known (KIP-631): under an incarnation that is new with each start of the
 * process, and an epoch, the offset of the registration. A broker begins fenced; its first heartbeat
 * that shows it has caught up lifts that.
 *
 * Before a registration counts, replicas that may have lost something with the process leave ISR and
 * ELR: those whose directory is gone, and, after an unclean end, those of topics that do not sync
 * what they acknowledge. A replica of a topic with `flush=group` keeps what it acknowledged.
 */
import type {
  BrokerRegistrationRequest,
  BrokerRegistrationResponse,
} from '../../kafka/api/62-broker-registration.ts'
import {
  DUPLICATE_BROKER_REGISTRATION,
  INCONSISTENT_CLUSTER_ID,
  INVALID_REGISTRATION,
  NONE,
  UNSUPPORTED_VERSION,
} from '../../kafka/wire/errors.ts'
import { ZERO_UUID } from '../../kafka/wire/schema.ts'
import { SUPPORTED_FEATURES } from '../features.ts'
import { replay } from './apply.ts'
import { ClusterRules, directoryOn, LOST_DIRECTORY } from './cluster-rules.ts'
import type { Decision, View } from './decision.ts'
import type { BrokerImage, MetadataImage, PartitionImage } from './image.ts'
import { CHANGES_PER_BATCH, someRepairs } from './leadership.ts'
import { changePartition, type PartitionTarget } from './partition-change.ts'
import type { MetadataRecord, RecordOf } from './records.ts'

/** What a starting broker says of itself. */
export interface Registration {
  readonly nodeId: number
  readonly clusterId: string
  /** New with each start of the process. */
  readonly incarnationId: string
  readonly rack: string | null
  readonly endpoints: readonly { name: string; host: string; port: number }[]
  readonly directoryIds: readonly string[]
  /** The epoch in which it ran before, if it ended cleanly; else -1. */
  readonly previousEpoch: number
}

const PLAINTEXT = 0

export function registrationRequest(registration: Registration): BrokerRegistrationRequest {
  return {
    brokerId: registration.nodeId,
    clusterId: registration.clusterId,
    incarnationId: registration.incarnationId,
    listeners: registration.endpoints.map((one) => ({ ...one, securityProtocol: PLAINTEXT })),
    features: SUPPORTED_FEATURES.map(({ name, minVersion, maxVersion }) => ({
      name,
      minSupportedVersion: minVersion,
      maxSupportedVersion: maxVersion,
    })),
    rack: registration.rack,
    isMigratingZkBroker: false,
    logDirs: [...registration.directoryIds].sort(),
    previousBrokerEpoch: registration.previousEpoch,
  }
}

/** Kafka's code for a registration that can't be. `isAlive`: of the broker as it is registered. */
export function registrationFault(
  image: MetadataImage,
  request: BrokerRegistrationRequest,
  isAlive: boolean,
): number {
  if (image.clusterId !== undefined && request.clusterId !== image.clusterId) {
    return INCONSISTENT_CLUSTER_ID
  }
  const directories = new Set(request.logDirs)
  if (directories.size === 0 || directories.size !== request.logDirs.length) {
    return INVALID_REGISTRATION
  }
  for (const broker of image.brokers.values()) {
    if (broker.id === request.brokerId) continue
    if (broker.logDirs.some((id) => directories.has(id))) return INVALID_REGISTRATION
  }
  const before = image.brokers.get(request.brokerId)
  if (before !== undefined && isAlive && before.incarnationId !== request.incarnationId) {
    // The same directories: its process has ended, for it held their locks.
    if (!before.logDirs.some((id) => directories.has(id))) return DUPLICATE_BROKER_REGISTRATION
  }
  for (const [name, level] of image.features) {
    const range = request.features.find((feature) => feature.name === name)
    const { minSupportedVersion: min = 0, maxSupportedVersion: max = 0 } = range ?? {}
    if (level < min || level > max) return UNSUPPORTED_VERSION
  }
  return NONE
}

export interface RegistrationStep {
  readonly response: BrokerRegistrationResponse
  /** Not registered yet: decide again. */
  readonly isUnfinished: boolean
}

/** One step; changes nothing when the incarnation is known. */
export function decideRegistration(
  view: View,
  request: BrokerRegistrationRequest,
  isAlive: boolean,
): Decision<RegistrationStep> {
  const { image, nextOffset } = view
  const done = (errorCode: number, brokerEpoch: number) => ({
    isUnfinished: false,
    response: { errorCode, brokerEpoch },
  })
  const fault = registrationFault(image, request, isAlive)
  if (fault !== NONE) return { records: [], answer: done(fault, -1) }
  const before = image.brokers.get(request.brokerId)
  if (before?.incarnationId === request.incarnationId) {
    return { records: [], answer: done(NONE, before.epoch) }
  }
  const records = leavingRecords(view, before, request)
  if (records.length >= CHANGES_PER_BATCH) {
    return { records, answer: { isUnfinished: true, response: { errorCode: NONE } } }
  }
  const brokerEpoch = nextOffset + records.length
  records.push(registrationRecord(request, brokerEpoch))
  const after = replay(image, records, brokerEpoch, Math.max(image.epoch, 0)).image
  const rules = new ClusterRules(after, view.settings)
  for (const record of someRepairs(rules, CHANGES_PER_BATCH - records.length)) records.push(record)
  return { records, answer: done(NONE, brokerEpoch) }
}

function registrationRecord(
  request: BrokerRegistrationRequest,
  brokerEpoch: number,
): RecordOf<'RegisterBrokerRecord'> {
  return {
    type: 'RegisterBrokerRecord',
    brokerId: request.brokerId,
    isMigratingZkBroker: false,
    incarnationId: request.incarnationId,
    brokerEpoch,
    endPoints: [...request.listeners],
    features: [...request.features],
    rack: request.rack,
    fenced: true,
    inControlledShutdown: false,
    logDirs: [...request.logDirs].sort(),
    cordonedLogDirs: null,
  }
}

/** What becomes of the replicas that the process before this one held. */
function leavingRecords(
  view: View,
  before: BrokerImage | undefined,
  request: BrokerRegistrationRequest,
): MetadataRecord[] {
  const records: MetadataRecord[] = []
  let { image } = view
  if (before?.isFenced === false) {
    // Or a change of its partitions might make it leader again.
    records.push({ type: 'FenceBrokerRecord', id: before.id, epoch: before.epoch })
    image = replay(image, records, view.nextOffset, Math.max(image.epoch, 0)).image
  }
  const fences = records.length
  const rules = new ClusterRules(image, view.settings)
  const leaving = new Leaving(before, request)
  for (const topic of image.topics.values()) {
    const ofTopic = rules.of(topic.name)
    for (const partition of topic.partitions) {
      const target = leaving.target(partition, ofTopic.isDurable)
      if (target === undefined) continue
      const record = changePartition(topic.id, partition, target, ofTopic)
      if (record !== undefined) records.push(record)
      if (records.length >= CHANGES_PER_BATCH) return records
    }
  }
  return records.length === fences ? [] : records
}

class Leaving {
  readonly #id: number
  readonly #isClean: boolean
  readonly #directories: readonly string[]
  readonly #isDirectoryGone: boolean
  readonly #only: string

  constructor(before: BrokerImage | undefined, request: BrokerRegistrationRequest) {
    this.#id = request.brokerId
    this.#isClean = before !== undefined && request.previousBrokerEpoch === before.epoch
    this.#directories = request.logDirs
    // Of a broker that was unregistered nobody knows any more which directories it had.
    this.#isDirectoryGone =
      before === undefined || before.logDirs.some((id) => !request.logDirs.includes(id))
    this.#only = directoryOn(request)
  }

  /** undefined: it stays as it is. */
  target(partition: PartitionImage, isDurable: boolean): PartitionTarget | undefined {
    const at = partition.replicas.indexOf(this.#id)
    if (at === -1) return undefined
    const directory = partition.directories[at] ?? ZERO_UUID
    const self = new Set([this.#id])
    const isKnown = directory !== ZERO_UUID && directory !== LOST_DIRECTORY
    const isGone = isKnown ? !this.#directories.includes(directory) : this.#isDirectoryGone
    const isFailed = directory === LOST_DIRECTORY
    const directories = new Map([[this.#id, this.#only]])
    if (isGone) return { lost: self, directories }
    if (isFailed) return isDurable ? { directories } : { uncertain: self, directories }
    return this.#isClean || isDurable ? undefined : { uncertain: self }
  }
}

/** Removes the broker; its partitions are for the repairs. */
export function unregistrationRecords(view: View, broker: BrokerImage): MetadataRecord[] {
  const { image } = view
  const records: MetadataRecord[] = [
    { type: 'UnregisterBrokerRecord', brokerId: broker.id, brokerEpoch: broker.epoch },
  ]
  const after = replay(image, records, view.nextOffset, Math.max(image.epoch, 0)).image
  for (const record of someRepairs(new ClusterRules(after, view.settings))) records.push(record)
  return records
}
