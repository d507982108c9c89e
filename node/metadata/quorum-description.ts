/** What DescribeQuorum tells, of what a member of the group knows. */
import type { Clock } from '../../base/clock.ts'
import type { ReplicaState } from '../../raft/driver.ts'
import type { Member } from '../../raft/messages.ts'
import type { QuorumDescription, ReplicaDescription } from './quorum.ts'

export interface KnownGroup {
  readonly self: Member
  readonly endOffset: number
  readonly voters: readonly Member[]
  /** The others, as the leader sees them; empty elsewhere. */
  readonly replicas: readonly ReplicaState[]
}

export function describeGroup(
  clock: Clock,
  { self, endOffset, voters, replicas }: KnownGroup,
): Pick<QuorumDescription, 'voters' | 'observers'> {
  const nowMs = clock.nowMs()
  const own = { ...self, logEndOffset: endOffset, lastFetchMs: nowMs, lastCaughtUpMs: nowMs }
  return {
    voters: voters.map((voter) => {
      if (voter.nodeId === self.nodeId) return own
      const replica = replicas.find(({ member }) => member.nodeId === voter.nodeId)
      if (replica?.isVoter === true) return describeReplica(clock, replica)
      return { ...voter, logEndOffset: -1, lastFetchMs: -1, lastCaughtUpMs: -1 }
    }),
    observers: replicas
      .filter(({ isVoter, member }) => !isVoter && member.directoryId !== '')
      .map((replica) => describeReplica(clock, replica)),
  }
}

function describeReplica(clock: Clock, replica: ReplicaState): ReplicaDescription {
  const { member, logEndOffset, lastHeardMs, lastCaughtUpMs } = replica
  const toWall = (monotonicMs: number) => {
    const agoMs = clock.monotonicMs() - monotonicMs
    return monotonicMs < 0 ? -1 : Math.floor(clock.nowMs() - agoMs)
  }
  return {
    ...member,
    logEndOffset,
    lastFetchMs: toWall(lastHeardMs),
    lastCaughtUpMs: toWall(lastCaughtUpMs),
  }
}
