/** The control records of the metadata log: who became leader, and what opens and closes a snapshot. */
import { compile } from '../../kafka/wire/compile.ts'
import { array, int16, int32, int64, struct } from '../../kafka/wire/schema.ts'
import { encodeBatch } from '../../log/records.ts'

/** Version 0: the voters are those of the settings. Version 1 adds directory ids (KIP-853). */
const voters = array({ voterId: int32() })

const leaderChange = compile(
  struct({ version: int16(), leaderId: int32(), voters, grantingVoters: voters }),
  { version: 0, isFlexible: true },
)
const snapshotHeader = compile(struct({ version: int16(), lastContainedLogTimestamp: int64() }), {
  version: 0,
  isFlexible: true,
})
const snapshotFooter = compile(struct({ version: int16() }), { version: 0, isFlexible: true })

const LEADER_CHANGE = 2
const SNAPSHOT_HEADER = 3
const SNAPSHOT_FOOTER = 4

export interface Voter {
  readonly voterId: number
}

/** int16 version of the key, int16 type. */
function controlKey(type: number): Buffer {
  const key = Buffer.alloc(4)
  key.writeInt16BE(type, 2)
  return key
}

const controlBatch = (type: number, value: Buffer, leaderEpoch: number, nowMs: number): Buffer =>
  encodeBatch([{ timestampMs: nowMs, key: controlKey(type), value }], {
    isControl: true,
    leaderEpoch,
  })

/** The first batch of every epoch. */
export function leaderChangeBatch(
  leaderId: number,
  all: readonly Voter[],
  granting: readonly Voter[],
  leaderEpoch: number,
  nowMs: number,
): Buffer {
  const value = leaderChange.encode({
    version: 0,
    leaderId,
    voters: all,
    grantingVoters: granting,
  })
  return controlBatch(LEADER_CHANGE, value, leaderEpoch, nowMs)
}

/** `lastTimestampMs`: of the last record that the snapshot covers. */
export function snapshotHeaderBatch(lastTimestampMs: number, epoch: number, nowMs: number): Buffer {
  const value = snapshotHeader.encode({ version: 0, lastContainedLogTimestamp: lastTimestampMs })
  return controlBatch(SNAPSHOT_HEADER, value, epoch, nowMs)
}

export function snapshotFooterBatch(epoch: number, nowMs: number): Buffer {
  return controlBatch(SNAPSHOT_FOOTER, snapshotFooter.encode({ version: 0 }), epoch, nowMs)
}
