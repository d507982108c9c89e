/**
 * After the disks of a majority are lost: makes one node that has its metadata still the only voter,
 * while it is stopped. Whatever the lost voters had decided and this log does not have is gone, and
 * what this log has counts from then on, decided or not. So it is for a person to ask for.
 *
 * Kept: nothing in the log is cut or changed; the new list of voters is one more entry at its end, in a
 * term that is later than every one this node knows of. The other brokers are fenced there too: else
 * this one, when it registers, would leave every ISR to them, and nobody could lead.
 */
import { assert } from '../../base/assert.ts'
import { UserError } from '../../base/errors.ts'
import { decodeBatches, encodeBatch } from '../../log/records.ts'
import { type Entry, endOf } from '../../raft/messages.ts'
import { ImageBuilder } from './apply.ts'
import { entryCodec } from './control-records.ts'
import { EMPTY_IMAGE, type MetadataImage } from './image.ts'
import { entryOf, RaftLog, type RaftLogOptions } from './raft-log.ts'
import { decodeRecord, encodeRecord } from './records.ts'
import { replacedVoterId } from './voter-identity.ts'

export interface ForcedQuorumOptions extends RaftLogOptions {
  readonly nodeId: number
  /** Of the metadata directory. */
  readonly directoryId: string
}

export interface ForcedQuorum {
  /** Who voted before, this node with them. */
  readonly votersBefore: readonly number[]
  /** Where the metadata of this node ended. */
  readonly endOffset: number
}

/**
 * Durable when it resolves. Throws UserError when there is nothing to go on with, and CorruptionError
 * when the log or the vote is damaged.
 */
export async function forceQuorum(options: ForcedQuorumOptions): Promise<ForcedQuorum> {
  const { nodeId, disk, directory, clock } = options
  const directoryId = replacedVoterId(disk, directory) ?? options.directoryId
  const storage = await RaftLog.open(options)
  try {
    const { memberships, endOffset, terms, startTerm, vote } = storage.state
    const before = memberships.at(-1)?.membership
    if (endOffset === 0 || before === undefined) {
      throw new UserError(
        `${directory} has no metadata of a cluster: recover from another node, whose directory has it`,
      )
    }
    const self = { nodeId, directoryId }
    const term = Math.max(vote.term, startTerm, terms.at(-1)?.term ?? 0) + 1
    await storage.saveVote({ term, voted: self })
    const membership = { voters: [self], outgoing: [] }
    const codec = entryCodec(() => clock.nowMs())
    const entry = entryOf(codec.encodeMembership(endOffset, term, membership))
    const fences = fencesOf(imageOf(storage), nodeId, {
      baseOffset: endOf(entry),
      term,
      nowMs: clock.nowMs(),
    })
    storage.append([entry, ...fences])
    const durableEnd = await storage.sync()
    assert(durableEnd === endOf(fences.at(-1) ?? entry), 'all of it is on the disk')
    return { votersBefore: before.voters.map((voter) => voter.nodeId), endOffset }
  } finally {
    await storage.close()
  }
}

const READ_BYTES = 1024 * 1024

/** All that the log and its snapshot say. */
function imageOf(storage: RaftLog): MetadataImage {
  const { endOffset } = storage.state
  const builder = new ImageBuilder(EMPTY_IMAGE)
  for (const record of storage.loaded?.records ?? []) builder.replay(record)
  for (let at = storage.snapshot?.endOffset ?? 0; at < endOffset; ) {
    for (const entry of storage.read(at, endOffset, READ_BYTES)) {
      assert(entry.baseOffset === at, 'nothing is skipped')
      at = endOf(entry)
      if (entry.kind !== 'normal') continue
      for (const { value } of decodeBatches(entry.data)) {
        assert(value !== null, 'a metadata record has a value')
        builder.replay(decodeRecord(value))
      }
    }
  }
  return builder.finish(endOffset - 1, 0).image
}

function fencesOf(
  image: MetadataImage,
  nodeId: number,
  at: { readonly baseOffset: number; readonly term: number; readonly nowMs: number },
): Entry[] {
  const unfenced = [...image.brokers.values()].filter((one) => one.id !== nodeId && !one.isFenced)
  if (unfenced.length === 0) return []
  const rows = unfenced.map(({ id, epoch }) => {
    const value = encodeRecord({ type: 'FenceBrokerRecord', id, epoch })
    return { timestampMs: at.nowMs, key: null, value }
  })
  return [entryOf(encodeBatch(rows, { baseOffset: at.baseOffset, leaderEpoch: at.term }))]
}
