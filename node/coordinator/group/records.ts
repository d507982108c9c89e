/**
 * The records of `__consumer_offsets` as Kafka lays them out: a key that begins with the record's
 * type, a value that begins with its version. Read in all versions, written in those of Kafka 4.3.
 *
 * Types that are not known here (groups of the newer protocols, written by a later release) are
 * left alone: `decode` says undefined, and they stay in the log.
 */
import type { Codec } from '../../../kafka/wire/compile.ts'
import { compile } from '../../../kafka/wire/compile.ts'
import {
  array,
  bytes,
  type Infer,
  int32,
  int64,
  nullableString,
  type Struct,
  string,
  struct,
  uuid,
  type Written,
  ZERO_UUID,
} from '../../../kafka/wire/schema.ts'
import type { RecordBytes, RecordCodec } from '../shard.ts'

export const LEGACY_OFFSET_COMMIT_TYPE = 0
export const OFFSET_COMMIT_TYPE = 1
export const GROUP_METADATA_TYPE = 2

export const offsetCommitKey = struct({ group: string(), topic: string(), partition: int32() })

export const offsetCommitValue = struct({
  offset: int64({ saturates: true }),
  leaderEpoch: int32({ since: 3, default: -1, ignorable: true }),
  metadata: string(),
  commitTimestamp: int64({ saturates: true }),
  expireTimestamp: int64({ since: 1, until: 1, default: -1, ignorable: true, saturates: true }),
  topicId: uuid({ since: 4, tag: 0, default: ZERO_UUID, ignorable: true }),
})

export const groupMetadataKey = struct({ group: string() })

export const groupMetadataValue = struct({
  protocolType: string(),
  generation: int32(),
  protocol: nullableString(),
  leader: nullableString(),
  currentStateTimestamp: int64({ since: 2, default: -1, ignorable: true, saturates: true }),
  members: array({
    memberId: string(),
    groupInstanceId: nullableString({ since: 3, default: null, ignorable: true }),
    clientId: string(),
    clientHost: string(),
    rebalanceTimeout: int32({ since: 1, default: -1, ignorable: true }),
    sessionTimeout: int32(),
    subscription: bytes(),
    assignment: bytes(),
  }),
})

export type OffsetCommitValue = Infer<typeof offsetCommitValue>
export type GroupMetadataValue = Infer<typeof groupMetadataValue>

export interface OffsetCommitRecord {
  readonly type: 'offset-commit'
  readonly group: string
  readonly topic: string
  readonly partition: number
  /** Null: the offset is gone. */
  readonly value: OffsetCommitValue | null
}

export interface GroupMetadataRecord {
  readonly type: 'group-metadata'
  readonly group: string
  /** Null: the group is gone. */
  readonly value: GroupMetadataValue | null
}

export type GroupRecord = OffsetCommitRecord | GroupMetadataRecord

const OFFSET_COMMIT_VERSION = 4
/** The only version that has an expiry of its own (clients of OffsetCommit 2 to 4). */
const OFFSET_COMMIT_WITH_EXPIRY_VERSION = 1
const GROUP_METADATA_VERSION = 3
const FLEXIBLE_SINCE = 4
const HIGHEST_VALUE_VERSION = 4

const keyOptions = { version: 0, isFlexible: false } as const
const offsetCommitKeys = compile(offsetCommitKey, keyOptions)
const groupMetadataKeys = compile(groupMetadataKey, keyOptions)
const offsetCommitValues = allVersions(offsetCommitValue)
const groupMetadataValues = allVersions(groupMetadataValue)

function allVersions<S extends Struct>(schema: S): readonly Codec<Infer<S>, Written<S>>[] {
  return Array.from({ length: HIGHEST_VALUE_VERSION + 1 }, (_, version) =>
    compile(schema, { version, isFlexible: version >= FLEXIBLE_SINCE }),
  )
}

function prefixed(prefix: number, body: Buffer): Buffer {
  const whole = Buffer.allocUnsafe(2 + body.length)
  whole.writeInt16BE(prefix, 0)
  body.copy(whole, 2)
  return whole
}

function encodeOffsetCommit(record: OffsetCommitRecord): RecordBytes {
  const key = prefixed(OFFSET_COMMIT_TYPE, offsetCommitKeys.encode(record))
  const { value } = record
  if (value === null) return { key, value: null }
  const version =
    value.expireTimestamp === -1 ? OFFSET_COMMIT_VERSION : OFFSET_COMMIT_WITH_EXPIRY_VERSION
  return { key, value: prefixed(version, offsetCommitValues[version]!.encode(value)) }
}

function encodeGroupMetadata(record: GroupMetadataRecord): RecordBytes {
  const key = prefixed(GROUP_METADATA_TYPE, groupMetadataKeys.encode(record))
  const { value } = record
  if (value === null) return { key, value: null }
  const body = groupMetadataValues[GROUP_METADATA_VERSION]!.encode(value)
  return { key, value: prefixed(GROUP_METADATA_VERSION, body) }
}

/** Undefined for a version that is not known here. */
function decodeValue<T>(codecs: readonly Codec<T, never>[], value: Buffer): T | undefined {
  if (value.length < 2) return undefined
  return codecs[value.readInt16BE(0)]?.decode(value, 2)
}

function decodeOffsetCommit(key: Buffer, value: Buffer | null): OffsetCommitRecord | undefined {
  const { group, topic, partition } = offsetCommitKeys.decode(key, 2)
  const decoded = value === null ? null : decodeValue(offsetCommitValues, value)
  if (decoded === undefined) return undefined
  return { type: 'offset-commit', group, topic, partition, value: decoded }
}

function decodeGroupMetadata(key: Buffer, value: Buffer | null): GroupMetadataRecord | undefined {
  const { group } = groupMetadataKeys.decode(key, 2)
  const decoded = value === null ? null : decodeValue(groupMetadataValues, value)
  if (decoded === undefined) return undefined
  return { type: 'group-metadata', group, value: decoded }
}

/** Throws WireError for bytes that are not what their type and version say. */
export const groupRecords: RecordCodec<GroupRecord> = {
  encode(record) {
    return record.type === 'offset-commit'
      ? encodeOffsetCommit(record)
      : encodeGroupMetadata(record)
  },
  decode(key, value) {
    if (key.length < 2) return undefined
    switch (key.readInt16BE(0)) {
      case LEGACY_OFFSET_COMMIT_TYPE:
      case OFFSET_COMMIT_TYPE:
        return decodeOffsetCommit(key, value)
      case GROUP_METADATA_TYPE:
        return decodeGroupMetadata(key, value)
      default:
        return undefined
    }
  },
}
