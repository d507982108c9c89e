/**
 * What a majority is. While a change of voters is under way, both the old and the new voters have
 * to agree (joint consensus, Raft 6): any two quorums share a voter, also over the change.
 */
import { assert } from '../base/assert.ts'
import type { Member, Membership } from './messages.ts'

export const majority = (count: number): number => Math.floor(count / 2) + 1

/** A voter whose directory is not known yet is any log of that node. */
export function isSameMember(voter: Member, member: Member): boolean {
  if (voter.nodeId !== member.nodeId) return false
  return voter.directoryId === '' || voter.directoryId === member.directoryId
}

export function isVoter(membership: Membership, member: Member): boolean {
  const same = (voter: Member) => isSameMember(voter, member)
  return membership.voters.some(same) || membership.outgoing.some(same)
}

/** With this very directory. */
export function isListed(membership: Membership, { nodeId, directoryId }: Member): boolean {
  const same = (voter: Member) => voter.nodeId === nodeId && voter.directoryId === directoryId
  return membership.voters.some(same) || membership.outgoing.some(same)
}

/** Each voter of either list once, by node. */
export function voterIds(membership: Membership): number[] {
  const ids = new Set<number>()
  for (const { nodeId } of membership.voters) ids.add(nodeId)
  for (const { nodeId } of membership.outgoing) ids.add(nodeId)
  return [...ids]
}

export const isJoint = (membership: Membership): boolean => membership.outgoing.length > 0

/** The largest value that a quorum has reached: a position, or a time. */
export function reachedByQuorum(
  membership: Membership,
  positionOf: (voter: Member) => number,
): number {
  const reached = reachedByMajority(membership.voters, positionOf)
  if (!isJoint(membership)) return reached
  return Math.min(reached, reachedByMajority(membership.outgoing, positionOf))
}

function reachedByMajority(
  voters: readonly Member[],
  positionOf: (voter: Member) => number,
): number {
  assert(voters.length > 0, 'a group has voters')
  const sorted = voters.map(positionOf).sort((one, other) => other - one)
  return sorted[majority(sorted.length) - 1]!
}

export type VoteOutcome = 'won' | 'lost' | 'open'

/** `voteOf` is undefined for who has not answered. */
export function countVotes(
  membership: Membership,
  voteOf: (voter: Member) => boolean | undefined,
): VoteOutcome {
  const outcome = countMajority(membership.voters, voteOf)
  if (!isJoint(membership) || outcome === 'lost') return outcome
  const before = countMajority(membership.outgoing, voteOf)
  if (before === 'lost') return 'lost'
  return outcome === 'won' && before === 'won' ? 'won' : 'open'
}

function countMajority(
  voters: readonly Member[],
  voteOf: (voter: Member) => boolean | undefined,
): VoteOutcome {
  assert(voters.length > 0, 'a group has voters')
  let granted = 0
  let refused = 0
  for (const voter of voters) {
    const vote = voteOf(voter)
    if (vote === true) granted++
    else if (vote === false) refused++
  }
  const needed = majority(voters.length)
  if (granted >= needed) return 'won'
  return voters.length - refused < needed ? 'lost' : 'open'
}
