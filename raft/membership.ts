/**
 * How the list of voters changes. A change is two entries: both lists (joint), then the new one.
 * Each is in force from the moment it is in the log, committed or not (Raft 6), and none begins
 * before the one before it is committed.
 */
import { assert } from '../base/assert.ts'
import type { Member, Membership } from './messages.ts'
import { isJoint, isSameMember } from './quorum.ts'

/** A wrong list of voters; undefined when it is fit. */
export function faultOfVoters(voters: readonly Member[]): string | undefined {
  if (voters.length === 0) return 'a group needs a voter'
  const ids = new Set(voters.map(({ nodeId }) => nodeId))
  if (ids.size < voters.length) return 'a node votes once'
  if (voters.some(({ directoryId }) => directoryId === '')) return 'a new voter has a directory id'
  return undefined
}

/** The first half of a change; undefined when there is nothing to change. */
export function enterJoint(
  membership: Membership,
  voters: readonly Member[],
): Membership | undefined {
  assert(!isJoint(membership), 'one change at a time')
  const before = membership.voters
  const isSame = (one: Member, other: Member) =>
    one.nodeId === other.nodeId && one.directoryId === other.directoryId
  const isKept = (voter: Member) => before.some((other) => isSame(voter, other))
  if (voters.length === before.length && voters.every(isKept)) return undefined
  return { voters, outgoing: before }
}

/** The second half. */
export function leaveJoint(membership: Membership): Membership {
  assert(isJoint(membership), 'a change is under way')
  return { voters: membership.voters, outgoing: [] }
}

/**
 * Voters of the settings get the directory ids that they were heard with. The nodes stay the same:
 * one entry is enough. undefined: nothing new is known.
 */
export function withKnownDirectories(
  membership: Membership,
  directoryOf: (nodeId: number) => string,
): Membership | undefined {
  if (isJoint(membership)) return undefined
  const voters = membership.voters.map((voter) => {
    if (voter.directoryId !== '') return voter
    return { nodeId: voter.nodeId, directoryId: directoryOf(voter.nodeId) }
  })
  const isNew = voters.some(({ directoryId }, i) => {
    return directoryId !== membership.voters[i]!.directoryId
  })
  return isNew ? { voters, outgoing: [] } : undefined
}

/** Voters whose node came back with another log that is fit to vote: with that in their place. */
export function withReplacements(
  membership: Membership,
  isFit: (nodeId: number) => Member | undefined,
): readonly Member[] | undefined {
  if (isJoint(membership)) return undefined
  let isNew = false
  const voters = membership.voters.map((voter) => {
    const found = isFit(voter.nodeId)
    if (found === undefined || isSameMember(voter, found)) return voter
    isNew = true
    return found
  })
  return isNew ? voters : undefined
}
