/** Families of the group that keeps the metadata log, of elections, and of calls between nodes. */
import type { Family, Source } from './families-source.ts'

const RPC: readonly Family[] = [
  {
    name: 'odradek_rpc_client_seconds',
    type: 'histogram',
    help: 'Calls to other nodes, by method, until they are answered or fail.',
    collect({ node }, emit) {
      for (const { method, peer, seconds } of node.links.mesh.peers.probe.calls()) {
        emit({ method, peer: String(peer) }, seconds)
      }
    },
  },
  {
    name: 'odradek_rpc_errors_total',
    type: 'counter',
    help: 'Calls and streams to other nodes that ended with an error.',
    collect({ node }, emit) {
      for (const { method, peer, code, count } of node.links.mesh.peers.probe.errors()) {
        emit({ method, peer: String(peer), code }, count)
      }
    },
  },
]

export const RAFT_FAMILIES: readonly Family[] = [
  ...RPC,
  {
    name: 'odradek_leader_elections_total',
    type: 'counter',
    help: 'Leaders of partitions that this node elected as the controller; unclean ones may lose records.',
    collect({ node }, emit) {
      for (const [type, count] of Object.entries(node.elections)) emit({ type }, count)
    },
  },
  counted(
    'odradek_raft_leader_changes_total',
    'Changes of the leader of the metadata log that this node has seen.',
    ({ node }) => node.raftProbe.leaderChanges,
  ),
  counted(
    'odradek_raft_campaigns_total',
    'Times that this node asked for votes in earnest.',
    ({ node }) => node.raftProbe.elections,
  ),
  {
    name: 'odradek_raft_elections_total',
    type: 'counter',
    help: 'Elections of the metadata log in which this node stood, by their end.',
    collect({ node: { raftProbe } }, emit) {
      const { lost, timeout, preVoteDenied } = raftProbe.endings
      emit({ result: 'won' }, raftProbe.electionsWon)
      emit({ result: 'lost' }, lost)
      emit({ result: 'timeout' }, timeout)
      emit({ result: 'prevote_denied' }, preVoteDenied)
    },
  },
  {
    name: 'odradek_raft_proposal_seconds',
    type: 'histogram',
    help: 'From a proposal to the metadata log until it is applied, on the node that leads it.',
    collect: ({ node }, emit) => emit({ result: 'applied' }, node.raftProbe.commitSeconds),
  },
  counted(
    'odradek_raft_proposals_refused_total',
    'Proposals that were refused because this node did not lead, or had too many waiting.',
    ({ node }) => node.raftProbe.proposalsRefused,
  ),
  {
    name: 'odradek_raft_snapshots_total',
    type: 'counter',
    help: 'Snapshots of the metadata, by what was done with them.',
    collect({ node: { raftProbe } }, emit) {
      emit({ direction: 'taken' }, raftProbe.snapshotsTaken)
      emit({ direction: 'sent' }, raftProbe.snapshotsSent)
      emit({ direction: 'installed' }, raftProbe.snapshotsInstalled)
    },
  },
  {
    name: 'odradek_raft_snapshot_size_bytes',
    type: 'gauge',
    help: 'The newest snapshot of the metadata on this node; 0 while there is none.',
    collect: ({ node }, emit) => emit({}, node.raftProbe.snapshotSizeBytes),
  },
  {
    name: 'odradek_raft_fsync_seconds',
    type: 'histogram',
    help: 'Syncs of the metadata log on this node.',
    collect: ({ node }, emit) => emit({}, node.raftProbe.syncSeconds),
  },
  {
    name: 'odradek_raft_peer_rtt_seconds',
    type: 'histogram',
    help: 'From a heartbeat of the leader of the metadata log to its answer, by who answers.',
    collect({ node }, emit) {
      for (const [peer, seconds] of node.raftProbe.roundTrips) emit({ peer: String(peer) }, seconds)
    },
  },
  {
    name: 'odradek_raft_messages_total',
    type: 'counter',
    help: 'Messages of the group of the metadata log; dropped ones found a full mailbox.',
    collect({ node: { raftProbe } }, emit) {
      emit({ direction: 'sent' }, raftProbe.messagesSent)
      emit({ direction: 'received' }, raftProbe.messagesReceived)
      emit({ direction: 'dropped' }, raftProbe.messagesDropped)
    },
  },
  counted(
    'odradek_raft_appended_bytes_total',
    'Bytes that were added to the metadata log on this node.',
    ({ node }) => node.raftProbe.appendedBytes,
  ),
]

function counted(name: string, help: string, read: (source: Source) => number): Family {
  return { name, type: 'counter', help, collect: (source, emit) => emit({}, read(source)) }
}
