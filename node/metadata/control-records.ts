/** The control record that begins each epoch of the metadata log: who became leader. */
import { compile } from '../../kafka/wire/compile.ts'
import { array, int16, int32, struct } from '../../kafka/wire/schema.ts'
import { encodeBatch } from '../../log/records.ts'

/** Version 0: the voters are those of the settings. Version 1 adds directory ids (KIP-853). */
const voters = array({ voterId: int32() })

export const leaderChange = struct({
  version: int16(),
  leaderId: int32(),
  voters,
  grantingVoters: voters,
})

const codec = compile(leaderChange, { version: 0, isFlexible: true })

const LEADER_CHANGE = 2

export interface Voter {
  readonly voterId: number
}

/** The first batch of every epoch. */
export function leaderChangeBatch(
  leaderId: number,
  all: readonly Voter[],
  granting: readonly Voter[],
  leaderEpoch: number,
  nowMs: number,
): Buffer {
  const value = codec.encode({ version: 0, leaderId, voters: all, grantingVoters: granting })
  // int16 version of the key, int16 type
  const key = Buffer.alloc(4)
  key.writeInt16BE(LEADER_CHANGE, 2)
  return encodeBatch([{ timestampMs: nowMs, key, value }], { isControl: true, leaderEpoch })
}
