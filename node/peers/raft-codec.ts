/** Raft's messages as protobuf and back. Bytes of entries are passed on as they are. */

import { ProtocolError } from '../../proto/codecs.ts'
import type {
  RaftEntry,
  RaftEntryKind,
  RaftMember,
  RaftMessage,
  RaftSnapshotId,
} from '../../proto/generated/messages.ts'
import type {
  Entry,
  EntryKind,
  Member,
  Message,
  SnapshotId,
  VoteRefusal,
} from '../../raft/messages.ts'

const KIND_OUT: Readonly<Record<EntryKind, RaftEntryKind>> = {
  normal: 'NORMAL',
  leader: 'LEADER',
  membership: 'MEMBERSHIP',
}
const KIND_IN: Readonly<Record<RaftEntryKind, EntryKind>> = {
  NORMAL: 'normal',
  LEADER: 'leader',
  MEMBERSHIP: 'membership',
}
const REFUSALS: ReadonlySet<string> = new Set<VoteRefusal>([
  '',
  'lease',
  'log',
  'voted',
  'mute',
  'term',
  'stranger',
])

export function toProto(message: Message): RaftMessage {
  const { from, directoryId, to, term } = message
  return { from, directoryId, to, term, ...contentOf(message) }
}

/** The field for the message's type. Our fields have the same names as those of the .proto file. */
function contentOf(message: Message): Partial<RaftMessage> {
  switch (message.type) {
    case 'vote':
      return { vote: message }
    case 'vote-response':
      return { voteResponse: message }
    case 'append':
      return { append: { ...message, entries: message.entries.map(entryToProto) } }
    case 'append-response':
      return { appendResponse: message }
    case 'heartbeat':
      return { heartbeat: message }
    case 'heartbeat-response':
      return { heartbeatResponse: message }
    case 'snapshot': {
      const { voters, outgoing } = message.membership
      return { snapshot: { ...message, voters, outgoing } }
    }
    case 'snapshot-response':
      return { snapshotResponse: message }
    case 'timeout-now':
      return { timeoutNow: {} }
    case 'follow':
      return { follow: message }
    case 'read':
      return { read: message }
    case 'read-response':
      return { readResponse: message }
  }
}

function entryToProto({ baseOffset, count, term, kind, data }: Entry): RaftEntry {
  return { baseOffset, count, term, kind: KIND_OUT[kind], data }
}

/** Throws ProtocolError for what is no message of Raft's. */
export function fromProto(message: RaftMessage): Message {
  const head = {
    from: integer(message.from),
    directoryId: message.directoryId,
    to: integer(message.to),
    term: integer(message.term),
  }
  const { vote, voteResponse, append, heartbeat, snapshot } = message
  if (append) {
    const { prevEnd, prevTerm, commit } = integers(append, 'prevEnd', 'prevTerm', 'commit')
    const entries = append.entries.map(entryFromProto)
    return { type: 'append', ...head, prevEnd, prevTerm, commit, entries }
  }
  if (heartbeat) {
    return { type: 'heartbeat', ...head, ...integers(heartbeat, 'commit', 'round', 'progress') }
  }
  if (vote) {
    const { isPreVote, isTransfer } = vote
    const numbers = integers(vote, 'endOffset', 'lastTerm', 'deadLeaderId')
    return { type: 'vote', ...head, isPreVote, isTransfer, ...numbers }
  }
  if (voteResponse) {
    const { isPreVote, isGranted } = voteResponse
    const refusal = refusalIn(voteResponse.refusal)
    return { type: 'vote-response', ...head, isPreVote, isGranted, refusal }
  }
  if (snapshot) {
    const { voters, outgoing, data } = snapshot
    return {
      type: 'snapshot',
      ...head,
      snapshot: snapshotIdFrom(snapshot.snapshot),
      membership: { voters: voters.map(memberFrom), outgoing: outgoing.map(memberFrom) },
      position: integer(snapshot.position),
      data,
    }
  }
  return restFromProto(message, head)
}

interface Head {
  readonly from: number
  readonly directoryId: string
  readonly to: number
  readonly term: number
}

function restFromProto(message: RaftMessage, head: Head): Message {
  const { appendResponse, heartbeatResponse, snapshotResponse, follow, read } = message
  if (appendResponse) {
    const { isRejected } = appendResponse
    const numbers = integers(appendResponse, 'prevEnd', 'match', 'hintEnd', 'hintTerm')
    return { type: 'append-response', ...head, isRejected, ...numbers }
  }
  if (heartbeatResponse) {
    const numbers = integers(heartbeatResponse, 'round', 'endOffset', 'progress')
    const { hasRoom } = heartbeatResponse
    return { type: 'heartbeat-response', ...head, ...numbers, hasRoom }
  }
  if (snapshotResponse) {
    const snapshot = snapshotIdFrom(snapshotResponse.snapshot)
    const position = integer(snapshotResponse.position)
    return { type: 'snapshot-response', ...head, snapshot, position }
  }
  if (message.timeoutNow) return { type: 'timeout-now', ...head }
  if (follow) return { type: 'follow', ...head, ...integers(follow, 'endOffset', 'nodeId') }
  if (read) return { type: 'read', ...head, ...integers(read, 'context') }
  const { readResponse } = message
  if (readResponse) {
    return { type: 'read-response', ...head, ...integers(readResponse, 'context', 'offset') }
  }
  throw new ProtocolError('a message of Raft without content')
}

function entryFromProto(entry: RaftEntry): Entry {
  const { baseOffset, count, term } = integers(entry, 'baseOffset', 'count', 'term')
  if (count < 1 || baseOffset < 0) throw new ProtocolError('an entry without offsets')
  return { baseOffset, count, term, kind: KIND_IN[entry.kind], data: entry.data }
}

function memberFrom({ nodeId, directoryId }: RaftMember): Member {
  return { nodeId: integer(nodeId), directoryId }
}

function snapshotIdFrom(id: RaftSnapshotId | null): SnapshotId {
  if (id === null) throw new ProtocolError('a part of a snapshot without its id')
  return integers(id, 'endOffset', 'term', 'sizeBytes', 'checksum')
}

function refusalIn(text: string): VoteRefusal {
  if (!REFUSALS.has(text)) throw new ProtocolError('a vote refused for an unknown reason')
  return text as VoteRefusal
}

/** Offsets and terms are numbers: what does not fit is refused here. */
function integers<Name extends string>(
  source: Readonly<Record<Name, number>>,
  ...names: readonly Name[]
): Record<Name, number> {
  const picked: Partial<Record<Name, number>> = {}
  for (const name of names) picked[name] = integer(source[name])
  return picked as Record<Name, number>
}

function integer(value: number): number {
  if (!Number.isSafeInteger(value)) throw new ProtocolError(`${value} is no safe integer`)
  return value
}
