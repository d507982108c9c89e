/** Families of the group that keeps the metadata log, and of the elections that the controller holds. */
import type { Family, Source } from './families-source.ts'

export const RAFT_FAMILIES: readonly Family[] = [
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
    collect: ({ node }, emit) => emit({ result: 'won' }, node.raftProbe.electionsWon),
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
    collect: ({ node }, emit) =>
      emit({ direction: 'installed' }, node.raftProbe.snapshotsInstalled),
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
