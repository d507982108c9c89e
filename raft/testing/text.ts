/** Messages and members as one line of text. */
import type { Entry, Member, Membership, Message } from '../messages.ts'

export const describeEntry = (entry: Entry): string => {
  const range = entry.count === 1 ? `${entry.baseOffset}` : `${entry.baseOffset}+${entry.count}`
  const text = entry.kind === 'normal' ? entry.data.toString() : entry.kind
  return `${range}/${entry.term} ${text}`
}

const describeVoters = (voters: readonly Member[]): string =>
  voters.map(({ nodeId, directoryId }) => `${nodeId}${directoryId === '' ? '?' : ''}`).join(' ')

export function describeMembership({ voters, outgoing }: Membership): string {
  return outgoing.length === 0
    ? `(${describeVoters(voters)})`
    : `(${describeVoters(voters)}) from (${describeVoters(outgoing)})`
}

export function describeMessage(message: Message): string {
  return `${describeBody(message)} [term ${message.term}]`
}

function describeBody(message: Message): string {
  switch (message.type) {
    case 'vote': {
      const { isPreVote, isTransfer, endOffset, lastTerm, deadLeaderId } = message
      const dead = deadLeaderId >= 0 ? `, ${deadLeaderId} is dead` : ''
      const transfer = isTransfer ? ', asked to' : ''
      return `${isPreVote ? 'pre-vote' : 'vote'}? log ${endOffset}/${lastTerm}${transfer}${dead}`
    }
    case 'vote-response': {
      const { isPreVote, isGranted, refusal } = message
      return `${isPreVote ? 'pre-vote' : 'vote'} ${isGranted ? 'granted' : `refused: ${refusal}`}`
    }
    case 'append': {
      const { prevEnd, prevTerm, commit, entries } = message
      const content = entries.length === 0 ? '' : ` [${entries.map(describeEntry).join(', ')}]`
      return `append after ${prevEnd}/${prevTerm} commit ${commit}${content}`
    }
    case 'append-response':
      return message.isRejected
        ? `append refused after ${message.prevEnd}, try ${message.hintEnd}/${message.hintTerm}`
        : `has ${message.match}`
    case 'heartbeat':
      return `heartbeat ${message.round} commit ${message.commit}`
    case 'heartbeat-response':
      return `heartbeat ${message.round} back, end ${message.endOffset}`
    case 'snapshot': {
      const { snapshot, position, data } = message
      const part = `${position}+${data.length} of ${snapshot.sizeBytes}`
      return `snapshot ${snapshot.endOffset}/${snapshot.term} ${part}`
    }
    case 'snapshot-response':
      return `snapshot ${message.snapshot.endOffset} has ${message.position} bytes`
    case 'timeout-now':
      return 'take over now'
    case 'follow':
      return message.nodeId === message.from
        ? `follows, end ${message.endOffset}`
        : `${message.nodeId} follows, end ${message.endOffset}`
    case 'read':
      return `read ${message.context}?`
    case 'read-response':
      return `read ${message.context} at ${message.offset}`
  }
}
