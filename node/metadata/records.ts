/**
 * The records of `__cluster_metadata-0`, in Kafka's formats and at the versions that metadata
 * version 4.3-IV0 writes. A value is framed: uvarint frame version (1), uvarint type, uvarint
 * version, message. A type or version that is not listed here is an error, never skipped: a node
 * that ignores a record has another state than its peers.
 */
import { CorruptionError } from '../../base/errors.ts'
import { type Codec, compile } from '../../kafka/wire/compile.ts'
import { Reader } from '../../kafka/wire/reader.ts'
import {
  array,
  bool,
  float64,
  type Infer,
  int8,
  int16,
  int32,
  int64,
  nullableString,
  type Struct,
  string,
  struct,
  uint16,
  uuid,
} from '../../kafka/wire/schema.ts'
import { Writer } from '../../kafka/wire/writer.ts'

const FRAME_VERSION = 1

/** "Leave the leader as it is" in a PartitionChangeRecord. */
export const NO_LEADER_CHANGE = -2
export const NO_LEADER = -1

/** Far from Kafka's own tags. */
const CLUSTER_ID_TAG = 10_000

const endPoints = array({
  name: string(),
  host: string(),
  port: uint16(),
  securityProtocol: int16(),
})

const features = array({
  name: string(),
  minSupportedVersion: int16(),
  maxSupportedVersion: int16(),
})

const registerBroker = struct({
  brokerId: int32(),
  isMigratingZkBroker: bool({ since: 2 }),
  incarnationId: uuid(),
  brokerEpoch: int64(),
  endPoints,
  features,
  rack: nullableString(),
  fenced: bool({ default: true }),
  inControlledShutdown: bool({ since: 1 }),
  logDirs: array(uuid(), { since: 3, tag: 0 }),
  cordonedLogDirs: array(uuid(), { since: 4, tag: 1, nullable: true, default: null }),
})

const partition = struct({
  partitionId: int32({ default: -1 }),
  topicId: uuid(),
  replicas: array(int32()),
  isr: array(int32()),
  removingReplicas: array(int32()),
  addingReplicas: array(int32()),
  leader: int32({ default: -1 }),
  leaderRecoveryState: int8({ tag: 0 }),
  leaderEpoch: int32({ default: -1 }),
  partitionEpoch: int32({ default: -1 }),
  directories: array(uuid(), { since: 1 }),
  eligibleLeaderReplicas: array(int32(), { since: 2, tag: 1, nullable: true, default: null }),
  lastKnownElr: array(int32(), { since: 2, tag: 2, nullable: true, default: null }),
})

const partitionChange = struct({
  partitionId: int32({ default: -1 }),
  topicId: uuid(),
  isr: array(int32(), { tag: 0, nullable: true, default: null }),
  leader: int32({ tag: 1, default: NO_LEADER_CHANGE }),
  replicas: array(int32(), { tag: 2, nullable: true, default: null }),
  removingReplicas: array(int32(), { tag: 3, nullable: true, default: null }),
  addingReplicas: array(int32(), { tag: 4, nullable: true, default: null }),
  leaderRecoveryState: int8({ tag: 5, default: -1 }),
  directories: array(uuid(), { since: 1, tag: 8, nullable: true, default: null }),
  eligibleLeaderReplicas: array(int32(), { since: 2, tag: 6, nullable: true, default: null }),
  lastKnownElr: array(int32(), { since: 2, tag: 7, nullable: true, default: null }),
})

const brokerAndEpoch = struct({ id: int32(), epoch: int64() })

const clientQuota = struct({
  entity: array({ entityType: string(), entityName: nullableString() }),
  key: string(),
  value: float64(),
  remove: bool(),
})

const registrationChange = struct({
  brokerId: int32(),
  brokerEpoch: int64(),
  /** 1 fences, -1 unfences, 0 leaves as it is. */
  fenced: int8({ tag: 0 }),
  /** 1 begins, 0 leaves as it is. */
  inControlledShutdown: int8({ since: 1, tag: 1 }),
  logDirs: array(uuid(), { since: 2, tag: 2 }),
  cordonedLogDirs: array(uuid(), { since: 3, tag: 3, nullable: true, default: null }),
})

/**
 * Ours: the first leader makes the cluster's id known with it. Kafka has no record for that (it
 * formats directories before the first start) and passes over tagged fields that it does not know.
 */
const noOp = struct({
  clusterId: nullableString({ tag: CLUSTER_ID_TAG, default: null }),
})

export interface RecordDefinition<S extends Struct = Struct> {
  readonly id: number
  /** The highest version; all from 0 on are read, the highest is written. */
  readonly version: number
  readonly schema: S
}

const define = <S extends Struct>(id: number, version: number, schema: S) =>
  ({ id, version, schema }) satisfies RecordDefinition<S>

/** Kafka's names, type ids and latest versions. */
export const DEFINITIONS = {
  RegisterBrokerRecord: define(0, 4, registerBroker),
  UnregisterBrokerRecord: define(1, 0, struct({ brokerId: int32(), brokerEpoch: int64() })),
  TopicRecord: define(2, 0, struct({ name: string(), topicId: uuid() })),
  PartitionRecord: define(3, 2, partition),
  ConfigRecord: define(
    4,
    0,
    struct({
      resourceType: int8(),
      resourceName: string(),
      name: string(),
      value: nullableString(),
    }),
  ),
  PartitionChangeRecord: define(5, 2, partitionChange),
  FenceBrokerRecord: define(7, 0, brokerAndEpoch),
  UnfenceBrokerRecord: define(8, 0, brokerAndEpoch),
  RemoveTopicRecord: define(9, 0, struct({ topicId: uuid() })),
  FeatureLevelRecord: define(12, 0, struct({ name: string(), featureLevel: int16() })),
  ClientQuotaRecord: define(14, 0, clientQuota),
  ProducerIdsRecord: define(
    15,
    0,
    struct({ brokerId: int32(), brokerEpoch: int64({ default: -1 }), nextProducerId: int64() }),
  ),
  BrokerRegistrationChangeRecord: define(17, 3, registrationChange),
  NoOpRecord: define(20, 0, noOp),
} as const

export type RecordName = keyof typeof DEFINITIONS
export type RecordOf<N extends RecordName> = { readonly type: N } & Readonly<
  Infer<(typeof DEFINITIONS)[N]['schema']>
>
/** Every field of the latest version is present. */
export type MetadataRecord = { [N in RecordName]: RecordOf<N> }[RecordName]

export type BrokerEndpoint = RecordOf<'RegisterBrokerRecord'>['endPoints'][number]
export type BrokerFeature = RecordOf<'RegisterBrokerRecord'>['features'][number]

const names = Object.keys(DEFINITIONS) as RecordName[]
const nameById = new Map<number, RecordName>(names.map((name) => [DEFINITIONS[name].id, name]))
const codecs = new Map<string, Codec<object>>()

/** The codec of one version of a record, without its frame. */
export function recordCodec(name: RecordName, version: number): Codec<object> {
  const key = `${name}/${version}`
  let codec = codecs.get(key)
  if (codec === undefined) {
    const { schema } = DEFINITIONS[name] as RecordDefinition
    codec = compile(schema, { version, isFlexible: true }) as Codec<object>
    codecs.set(key, codec)
  }
  return codec
}

/** The framed value, at the highest version. */
export function encodeRecord(record: MetadataRecord): Buffer {
  const { id, version } = DEFINITIONS[record.type]
  const writer = new Writer()
  writer.uvarint(FRAME_VERSION)
  writer.uvarint(id)
  writer.uvarint(version)
  recordCodec(record.type, version).write(writer, record)
  return writer.finish()
}

/** Throws CorruptionError for what this release can't read. */
export function decodeRecord(value: Buffer): MetadataRecord {
  const reader = new Reader(value, 0, value.length)
  const frameVersion = reader.uvarint()
  const id = reader.uvarint()
  const version = reader.uvarint()
  const name = nameById.get(id)
  if (frameVersion !== FRAME_VERSION || name === undefined) {
    const what = `frame version ${frameVersion}, type ${id}`
    throw new CorruptionError('__cluster_metadata-0', `unknown record: ${what}`)
  }
  if (version > DEFINITIONS[name].version) {
    throw new CorruptionError('__cluster_metadata-0', `unknown version ${version} of ${name}`)
  }
  const fields = recordCodec(name, version).decode(value, reader.position)
  return { type: name, ...fields } as MetadataRecord
}

const UNCHANGED = {
  isr: null,
  leader: NO_LEADER_CHANGE,
  replicas: null,
  removingReplicas: null,
  addingReplicas: null,
  leaderRecoveryState: -1,
  directories: null,
  eligibleLeaderReplicas: null,
  lastKnownElr: null,
} as const

/** A change of one partition; what is not given stays. */
export function partitionChangeRecord(
  topicId: string,
  partitionId: number,
  change: Partial<Omit<RecordOf<'PartitionChangeRecord'>, 'type' | 'topicId' | 'partitionId'>>,
): RecordOf<'PartitionChangeRecord'> {
  return { type: 'PartitionChangeRecord', topicId, partitionId, ...UNCHANGED, ...change }
}
