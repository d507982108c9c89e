/**
 * Reads the term and the vote that a node's disk would have after a power loss now. It knows the
 * layout of `quorum-state` by itself, so that it is no witness in its own cause.
 */
import { crc32c } from '../../base/crc32c.ts'
import { DATA_DIRECTORY, type SimNode } from './cluster.ts'

const PATH = `${DATA_DIRECTORY}/quorum-state`
const VOTER_PATH = `${DATA_DIRECTORY}/quorum-directory-id`
const SLOT_BYTES = 4096
const CONTENT_BYTES = 56
const SEQUENCE_AT = 12
const TERM_AT = 20
const VOTED_ID_AT = 28

export interface DurableVote {
  readonly term: number
  /** -1: nobody in this term. */
  readonly votedId: number
}

/**
 * The id that a node took when it found its vote or its log damaged, and so gave up its vote; empty
 * on one that votes under the id of its directory.
 */
export function durableVoter(node: SimNode): string {
  return durableFile(node, VOTER_PATH)?.toString('latin1').trim() ?? ''
}

/** undefined: there is no file yet, or none of its slots can be read. */
export function durableVote(node: SimNode): DurableVote | undefined {
  const content = durableFile(node, PATH)
  return content === undefined ? undefined : newestOf(content)
}

/** Whatever fault its disk has just now. */
function durableFile({ host: { disk } }: SimNode, path: string): Buffer | undefined {
  const fault = disk.fault
  disk.fault = () => undefined
  try {
    return disk.exists(path) ? disk.durableContent(path) : undefined
  } finally {
    disk.fault = fault
  }
}

function newestOf(content: Buffer): DurableVote | undefined {
  let sequence = -1n
  let newest: DurableVote | undefined
  for (const at of [0, SLOT_BYTES]) {
    const slot = content.subarray(at, at + SLOT_BYTES)
    if (slot.length < CONTENT_BYTES) continue
    if (slot.readUInt32BE(0) !== crc32c(slot, 4, CONTENT_BYTES)) continue
    if (slot.readBigUInt64BE(SEQUENCE_AT) <= sequence) continue
    sequence = slot.readBigUInt64BE(SEQUENCE_AT)
    const term = Number(slot.readBigUInt64BE(TERM_AT))
    newest = { term, votedId: slot.readInt32BE(VOTED_ID_AT) }
  }
  return newest
}
