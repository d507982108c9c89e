/** A group coordinator in a few lines, whose state all nodes of a FakeCluster share. */

import type { NodeEndpoint } from '../../broker.ts'
import type { GroupsPort } from '../../control.ts'

export class SharedGroup {
  coordinatorId = 1
  /** The coordinator has just moved and reads its log. */
  isLoading = false
  generation = 0
  readonly members = new Map<string, Buffer>()
  /** Those that have seen this generation. */
  readonly joined = new Set<string>()
  readonly committed = new Map<string, number>()
  readonly committedEpochs = new Map<string, number>()
  /** API names with the node that was asked. */
  readonly calls: string[] = []
  /** Static members that called, by API name. */
  readonly instances = new Set<string>()
  assignments = new Map<string, Buffer>()
  #nextMember = 1

  newMemberId(): string {
    return `member-${this.#nextMember++}`
  }
}

/** The coordinator's part on one node. */
export function groupsOf(
  nodeId: number,
  group: SharedGroup,
  endpoint: (nodeId: number) => NodeEndpoint | undefined,
): Partial<GroupsPort> {
  /** An error, or 0 when this node coordinates the group and the member belongs to it. */
  const refusal = (call: string, memberId?: string, generation?: number): number => {
    group.calls.push(`${call} ${nodeId}`)
    if (group.coordinatorId !== nodeId) return 16
    if (group.isLoading) return 14
    if (memberId === undefined) return 0
    if (!group.members.has(memberId)) return 25
    return generation === group.generation ? 0 : 22
  }
  const note = (call: string, instance: string | null) => {
    if (instance !== null) group.instances.add(`${call} ${instance}`)
  }
  return {
    async findCoordinator(_context, { coordinatorKeys }) {
      const found = endpoint(group.coordinatorId)
      const { host = '', port = -1 } = found ?? {}
      const errorCode = found === undefined ? 15 : 0
      const id = found?.nodeId ?? -1
      return {
        errorCode: 0,
        coordinators: coordinatorKeys.map((key) => {
          return { key, nodeId: id, host, port, errorCode, errorMessage: null }
        }),
      }
    },
    async joinGroup(_context, { memberId, groupInstanceId, protocols }) {
      note('join', groupInstanceId)
      const none = { protocolName: '', leader: '', memberId, members: [] }
      const error = refusal('join')
      if (error !== 0) return { ...none, errorCode: error }
      if (memberId === '') return { ...none, errorCode: 79, memberId: group.newMemberId() }
      if (!group.members.has(memberId)) {
        group.members.set(memberId, Buffer.from(protocols[0]!.metadata))
        group.generation++
      }
      const [leader = ''] = group.members.keys()
      const members = [...group.members].map(([id, metadata]) => {
        return { memberId: id, groupInstanceId: null, metadata }
      })
      return {
        errorCode: 0,
        generationId: group.generation,
        protocolType: 'consumer',
        protocolName: 'range',
        leader,
        memberId,
        members: leader === memberId ? members : [],
      }
    },
    async syncGroup(_context, { memberId, groupInstanceId, generationId, assignments }) {
      note('sync', groupInstanceId)
      const errorCode = refusal('sync', memberId, generationId)
      for (const { memberId: id, assignment } of assignments) {
        group.assignments.set(id, Buffer.from(assignment))
      }
      const assignment = group.assignments.get(memberId) ?? Buffer.alloc(0)
      return { errorCode, assignment, protocolType: 'consumer', protocolName: 'range' }
    },
    async heartbeat(_context, { memberId, groupInstanceId, generationId }) {
      note('heartbeat', groupInstanceId)
      return { errorCode: refusal('heartbeat', memberId, generationId) }
    },
    async leaveGroup(_context, { members }) {
      const errorCode = refusal('leave')
      for (const { memberId } of members) group.members.delete(memberId)
      return { errorCode, members: [] }
    },
    async offsetCommit(_context, request) {
      const { memberId, groupInstanceId, generationIdOrMemberEpoch, topics } = request
      note('commit', groupInstanceId)
      const errorCode = refusal('commit', memberId, generationIdOrMemberEpoch)
      return {
        topics: topics.map(({ name, partitions }) => ({
          name,
          partitions: partitions.map((partition) => {
            const { partitionIndex, committedOffset, committedLeaderEpoch } = partition
            if (errorCode === 0) {
              group.committed.set(`${name}/${partitionIndex}`, committedOffset)
              group.committedEpochs.set(`${name}/${partitionIndex}`, committedLeaderEpoch)
            }
            return { partitionIndex, errorCode }
          }),
        })),
      }
    },
    async offsetFetch(_context, { groups }) {
      const errorCode = refusal('fetch')
      return {
        groups: groups.map(({ groupId, topics }) => ({
          groupId,
          errorCode,
          topics: (errorCode === 0 ? (topics ?? []) : []).map(({ name, partitionIndexes }) => ({
            name,
            partitions: partitionIndexes.map((partitionIndex) => ({
              partitionIndex,
              committedOffset: group.committed.get(`${name}/${partitionIndex}`) ?? -1,
              committedLeaderEpoch: group.committedEpochs.get(`${name}/${partitionIndex}`) ?? -1,
              metadata: '',
              errorCode: 0,
            })),
          })),
        })),
      }
    },
  }
}
