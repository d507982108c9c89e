/** The metadata quorum as a Raft group (signatures; the body follows). */
import type { Clock } from '../../base/clock.ts'
import type { Disk } from '../../base/disk.ts'
import type { Logger } from '../../base/logger.ts'
import type { Random } from '../../base/random.ts'
import type { RaftTiming } from '../../raft/core.ts'
import type { Message } from '../../raft/messages.ts'
import type { RaftTransport } from '../../raft/transport.ts'
import type { MetadataImage } from './image.ts'
import type { MetadataRecord } from './records.ts'

export interface RaftQuorumOptions {
  readonly nodeId: number
  /** Of `directory`. */
  readonly directoryId: string
  /** Ids of controller.quorum.voters. They count until the log says who votes. */
  readonly voterIds: readonly number[]
  /** The metadata directory: has quorum-state, the log and its checkpoints. */
  readonly directory: string
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly transport: RaftTransport
  readonly timing?: Partial<RaftTiming>
  /** META's image -> records, for snapshots. */
  readonly snapshotRecords: (image: MetadataImage) => Iterable<MetadataRecord>
  /** Look whether this node's process is alive: a voter has proof that it is not. */
  readonly onSuspect: (nodeId: number) => void
  readonly onFatal: (error: unknown) => void
}

/** What the transport needs of it. */
export interface RaftReceiver {
  receive(from: number, message: Message): void
  peerIsDead(nodeId: number): void
}
