/**
 * Whose entries are taken. Voters that lost their disks, and were told to be a cluster of their own,
 * know no cluster's id until their first record is committed, so no hello refuses them: a node that
 * is part of a cluster follows no leader of another one, nor one that names none, unless the log
 * lists that leader with its directory.
 */
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'
import type { Member, Membership, Message, MessageType } from '../../raft/messages.ts'
import { isListed } from '../../raft/quorum.ts'

const OF_LEADERS: ReadonlySet<MessageType> = new Set([
  'append',
  'heartbeat',
  'snapshot',
  'timeout-now',
])
const SAID_AGAIN_MS = 60_000

export interface ForeignLeadersParts {
  readonly clock: Clock
  readonly logger: Logger
  /** undefined: this node is part of none yet. */
  readonly clusterId: () => string | undefined
  readonly membership: () => Membership
}

export class ForeignLeaders {
  readonly #parts: ForeignLeadersParts
  #said = { nodeId: -1, clusterId: '', atMs: Number.NEGATIVE_INFINITY }

  constructor(parts: ForeignLeadersParts) {
    this.#parts = parts
  }

  /** `clusterId`: what the sender takes itself for a part of; '' nothing yet. */
  isForeign(message: Message, clusterId: string): boolean {
    if (!OF_LEADERS.has(message.type)) return false
    const own = this.#parts.clusterId()
    if (own === undefined || clusterId === own) return false
    const member: Member = { nodeId: message.from, directoryId: message.directoryId }
    if (clusterId === '' && isListed(this.#parts.membership(), member)) return false
    this.#say(message.from, clusterId, own)
    return true
  }

  #say(nodeId: number, clusterId: string, own: string): void {
    const { clock, logger } = this.#parts
    const { nodeId: lastId, clusterId: lastCluster, atMs } = this.#said
    const nowMs = clock.monotonicMs()
    const isKnown = nodeId === lastId && clusterId === lastCluster
    if (isKnown && nowMs - atMs < SAID_AGAIN_MS) return
    this.#said = { nodeId, clusterId, atMs: nowMs }
    const other = clusterId === '' ? 'one that has no id yet' : `cluster ${clusterId}`
    logger.error('There are two clusters: what the leader of the other one says is not taken.', {
      leader: nodeId,
      reason:
        `node ${nodeId} leads ${other}, and this node is of cluster ${own}: stop the nodes of ` +
        'the one that is not wanted, and correct controller.quorum.voters or their directories',
    })
  }
}
