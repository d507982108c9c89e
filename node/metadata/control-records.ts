/**
 * The control records of the metadata log and of its snapshots: who became leader, who votes, where
 * a snapshot begins and ends. Kafka's formats; a change of voters under way (joint consensus) is a
 * tagged field that Kafka does not know.
 */
import { assert } from '../../base/assert.ts'
import { CorruptionError } from '../../base/errors.ts'
import { compile } from '../../kafka/wire/compile.ts'
import {
  array,
  type Infer,
  int16,
  int32,
  int64,
  string,
  struct,
  uint16,
  uuid,
  ZERO_UUID,
} from '../../kafka/wire/schema.ts'
import {
  CONTROL_KRAFT_VERSION,
  CONTROL_KRAFT_VOTERS,
  CONTROL_LEADER_CHANGE,
  CONTROL_SNAPSHOT_FOOTER,
  CONTROL_SNAPSHOT_HEADER,
} from '../../log/format.ts'
import { decodeBatch, encodeBatch, type NewRecord } from '../../log/records.ts'
import type { Member, Membership } from '../../raft/messages.ts'
import type { EntryCodec } from '../../raft/options.ts'

/** Version 0: the voters are those of the settings. Version 1 adds directory ids (KIP-853). */
const voters = array({ voterId: int32(), voterDirectoryId: uuid({ since: 1 }) })

export const leaderChange = struct({
  version: int16(),
  leaderId: int32(),
  voters,
  grantingVoters: voters,
})

const votersWithEndpoints = {
  voterId: int32(),
  voterDirectoryId: uuid(),
  endpoints: array({ name: string(), host: string(), port: uint16() }),
  kRaftVersionFeature: struct({ minSupportedVersion: int16(), maxSupportedVersion: int16() }),
}

/** Far from Kafka's own tags. */
const OUTGOING_TAG = 10_000

export const votersRecord = struct({
  version: int16(),
  voters: array(votersWithEndpoints),
  outgoing: array({ voterId: int32(), voterDirectoryId: uuid() }, { tag: OUTGOING_TAG }),
})

const versionRecord = struct({ version: int16(), kRaftVersion: int16() })
const header = struct({ version: int16(), lastContainedLogTimestamp: int64() })
const footer = struct({ version: int16() })

const flexible = (version: number) => ({ version, isFlexible: true }) as const

/** Kafka's dump tool reads this one alone. */
const LEADER_CHANGE_VERSION = 0
const codecs = {
  leaderChange: compile(leaderChange, flexible(LEADER_CHANGE_VERSION)),
  voters: compile(votersRecord, flexible(0)),
  version: compile(versionRecord, flexible(0)),
  header: compile(header, flexible(0)),
  footer: compile(footer, flexible(0)),
}

/** Reconfiguration by KIP-853. */
const KRAFT_VERSION = 1

export interface Voter {
  readonly voterId: number
}

export interface ControlBatchOptions {
  readonly baseOffset?: number
  readonly leaderEpoch: number
  readonly nowMs: number
}

/** int16 version of the key, int16 type */
function keyOf(type: number): Buffer {
  const key = Buffer.alloc(4)
  key.writeInt16BE(type, 2)
  return key
}

function controlBatch(
  records: readonly { readonly type: number; readonly value: Buffer }[],
  options: ControlBatchOptions,
): Buffer {
  const { nowMs: timestampMs, leaderEpoch, baseOffset = 0 } = options
  const rows: NewRecord[] = records.map(({ type, value }) => {
    return { timestampMs, key: keyOf(type), value }
  })
  return encodeBatch(rows, { isControl: true, leaderEpoch, baseOffset })
}

/** The first batch of every epoch. */
export function leaderChangeBatch(
  leaderId: number,
  all: readonly Voter[],
  granting: readonly Voter[],
  options: ControlBatchOptions,
): Buffer {
  const value = codecs.leaderChange.encode({
    version: LEADER_CHANGE_VERSION,
    leaderId,
    voters: all,
    grantingVoters: granting,
  })
  return controlBatch([{ type: CONTROL_LEADER_CHANGE, value }], options)
}

const wireId = ({ directoryId }: Member) => (directoryId === '' ? ZERO_UUID : directoryId)

const toMember = (voter: { voterId: number; voterDirectoryId: string }): Member => ({
  nodeId: voter.voterId,
  directoryId: voter.voterDirectoryId === ZERO_UUID ? '' : voter.voterDirectoryId,
})

function encodeVoters(membership: Membership): Buffer {
  return codecs.voters.encode({
    version: 0,
    voters: membership.voters.map((voter) => ({
      voterId: voter.nodeId,
      voterDirectoryId: wireId(voter),
      endpoints: [],
      kRaftVersionFeature: { minSupportedVersion: 0, maxSupportedVersion: KRAFT_VERSION },
    })),
    outgoing: membership.outgoing.map((voter) => ({
      voterId: voter.nodeId,
      voterDirectoryId: wireId(voter),
    })),
  })
}

function decodeVoters(value: Buffer): Membership {
  const record: Infer<typeof votersRecord> = codecs.voters.decode(value)
  return { voters: record.voters.map(toMember), outgoing: record.outgoing.map(toMember) }
}

/** -1 for a batch that is none of control records. */
export function controlTypeOf(key: Buffer | null): number {
  return key === null || key.length < 4 ? -1 : key.readInt16BE(2)
}

/** The membership in a batch that has one. Throws CorruptionError. */
function membershipIn(batch: Buffer): Membership {
  for (const { key, value } of decodeBatch(batch, 0, batch.length)) {
    if (controlTypeOf(key) === CONTROL_KRAFT_VOTERS && value !== null) return decodeVoters(value)
  }
  throw new CorruptionError('the metadata log', 'a batch of voters has none')
}

/** The entries that a Raft leader makes. One offset each. */
export function entryCodec(nowMs: () => number): EntryCodec {
  return {
    encodeLeader(baseOffset, leaderEpoch, leaderId, membership) {
      const all = membership.voters.map(({ nodeId }) => ({ voterId: nodeId }))
      return leaderChangeBatch(leaderId, all, [], { baseOffset, leaderEpoch, nowMs: nowMs() })
    },
    encodeMembership(baseOffset, leaderEpoch, membership) {
      const record = { type: CONTROL_KRAFT_VOTERS, value: encodeVoters(membership) }
      return controlBatch([record], { baseOffset, leaderEpoch, nowMs: nowMs() })
    },
    decodeMembership: membershipIn,
  }
}

/** How a snapshot begins: a header, and who voted at its end. */
export function snapshotHeaderBatch(membership: Membership, options: ControlBatchOptions): Buffer {
  const { nowMs } = options
  return controlBatch(
    [
      {
        type: CONTROL_SNAPSHOT_HEADER,
        value: codecs.header.encode({ version: 0, lastContainedLogTimestamp: nowMs }),
      },
      {
        type: CONTROL_KRAFT_VERSION,
        value: codecs.version.encode({ version: 0, kRaftVersion: KRAFT_VERSION }),
      },
      { type: CONTROL_KRAFT_VOTERS, value: encodeVoters(membership) },
    ],
    options,
  )
}

/** How it ends: what lacks it is not whole. */
export function snapshotFooterBatch(options: ControlBatchOptions): Buffer {
  assert((options.baseOffset ?? 0) > 0, 'a footer follows a header')
  const value = codecs.footer.encode({ version: 0 })
  return controlBatch([{ type: CONTROL_SNAPSHOT_FOOTER, value }], options)
}

export interface ControlRecord {
  readonly type: number
  /** Of a record of voters. */
  readonly membership: Membership | undefined
}

export function readControlRecord(key: Buffer | null, value: Buffer | null): ControlRecord {
  const type = controlTypeOf(key)
  const isOfVoters = type === CONTROL_KRAFT_VOTERS && value !== null
  return { type, membership: isOfVoters ? decodeVoters(value) : undefined }
}
