/** Families of replication between nodes, and of the quorum of the metadata log. */
import { type Family, type ScrapedPartition, type Source, single } from './families-source.ts'

interface Follower {
  readonly partition: ScrapedPartition
  readonly nodeId: number
  /** How many records it lacks; undefined while it has not said where it is. */
  readonly lag: number | undefined
  readonly isCaughtUp: boolean
  readonly caughtUpMs: number
}

const REPLICAS: readonly Family[] = [
  {
    name: 'odradek_replica_lag_records',
    type: 'gauge',
    help: 'Records of the leader that a follower does not have yet.',
    collect(source, emit) {
      if (source.level !== 'partition') return
      for (const { partition, nodeId, lag } of followers(source)) {
        if (lag === undefined) continue
        const { topic, index } = partition
        emit({ topic, partition: String(index), follower: String(nodeId) }, lag)
      }
    },
  },
  {
    name: 'odradek_replica_lag_seconds',
    type: 'gauge',
    help: 'Time since a follower had all that this leader has, the longest of its partitions.',
    collect(source, emit) {
      const nowMs = source.clock.monotonicMs()
      const longest = new Map<number, number>()
      for (const { nodeId, isCaughtUp, caughtUpMs } of followers(source)) {
        const lagMs = isCaughtUp ? 0 : Math.max(0, nowMs - caughtUpMs)
        longest.set(nodeId, Math.max(longest.get(nodeId) ?? 0, lagMs))
      }
      for (const [nodeId, lagMs] of longest) emit({ follower: String(nodeId) }, lagMs / 1000)
    },
  },
  {
    name: 'odradek_replication_bytes_total',
    type: 'counter',
    help: 'Bytes between replicas: sent to followers, received from leaders.',
    collect({ node: { replicationProbe: probe } }, emit) {
      emit({ direction: 'sent' }, probe.sentBytes)
      emit({ direction: 'received' }, probe.receivedBytes)
    },
  },
  {
    name: 'odradek_isr_changes_total',
    type: 'counter',
    help: 'Times that a leader here took replicas out of the ISR, or in again.',
    collect({ node: { replicationProbe: probe } }, emit) {
      emit({ change: 'shrink' }, probe.isrShrinks)
      emit({ change: 'expand' }, probe.isrExpansions)
    },
  },
  single(
    'odradek_replica_truncations_total',
    'counter',
    'Times that a follower here cut off what its leader does not have.',
    ({ node }) => node.replicationProbe.truncations,
  ),
  single(
    'odradek_replica_fetch_errors_total',
    'counter',
    'Errors that followers here met while they followed.',
    ({ node }) => node.replicationProbe.fetchErrors,
  ),
]

const QUORUM: readonly Family[] = [
  {
    name: 'odradek_raft_state',
    type: 'gauge',
    help: 'The part that this node has in the metadata quorum is 1.',
    collect(source, emit) {
      const state = raftState(source)
      for (const one of ['follower', 'candidate', 'leader', 'observer']) {
        emit({ state: one }, one === state ? 1 : 0)
      }
    },
  },
  {
    name: 'odradek_raft_peer_lag_entries',
    type: 'gauge',
    help: 'Offsets of the metadata log that a voter does not have yet; the leader alone shows it.',
    collect(source, emit) {
      if (!source.isController) return
      const { quorum, settings } = source.node
      for (const { nodeId, logEndOffset } of quorum.voters) {
        if (nodeId === settings.nodeId || logEndOffset < 0) continue
        emit({ peer: String(nodeId) }, Math.max(0, quorum.nextOffset - logEndOffset))
      }
    },
  },
]

export const REPLICATION_FAMILIES: readonly Family[] = [...REPLICAS, ...QUORUM]

/** Who follows the partitions that this node leads. */
function* followers({ node }: Source): Generator<Follower> {
  for (const partition of node.partitions.all()) {
    if (!partition.isLeader) continue
    for (const remote of partition.leader?.remotes ?? []) {
      yield {
        partition,
        nodeId: remote.nodeId,
        lag:
          remote.position < 0 ? undefined : Math.max(0, partition.logEndOffset - remote.position),
        isCaughtUp: remote.isAtEnd,
        caughtUpMs: remote.caughtUpMs,
      }
    }
  }
}

function raftState({ node: { quorum, settings }, isController }: Source): string {
  if (isController) return 'leader'
  if (!quorum.voters.some(({ nodeId }) => nodeId === settings.nodeId)) return 'observer'
  return quorum.leaderId < 0 ? 'candidate' : 'follower'
}
