/**
 * Elections, reassignments, features and the quorum, as clients ask for them: decided by the
 * controller, wherever it is. Requests about the quorum are answered by the node that leads it.
 */
import type { ElectLeadersRequest } from '../../kafka/api/43-elect-leaders.ts'
import type { AlterPartitionReassignmentsRequest } from '../../kafka/api/45-alter-partition-reassignments.ts'
import type { ListPartitionReassignmentsRequest } from '../../kafka/api/46-list-partition-reassignments.ts'
import {
  type DescribeQuorumRequest,
  type DescribeQuorumResponse,
  describeQuorum,
} from '../../kafka/api/55-describe-quorum.ts'
import type { UpdateFeaturesRequest } from '../../kafka/api/57-update-features.ts'
import type { UnregisterBrokerRequest } from '../../kafka/api/64-unregister-broker.ts'
import {
  type AddRaftVoterRequest,
  type AddRaftVoterResponse,
  addRaftVoter,
} from '../../kafka/api/80-add-raft-voter.ts'
import {
  type RemoveRaftVoterRequest,
  type RemoveRaftVoterResponse,
  removeRaftVoter,
} from '../../kafka/api/81-remove-raft-voter.ts'
import type { RequestContext } from '../../kafka/api/define.ts'
import type { AdminPort } from '../../kafka/control.ts'
import {
  DUPLICATE_VOTER,
  INCONSISTENT_CLUSTER_ID,
  INVALID_REQUEST,
  NONE,
  REQUEST_TIMED_OUT,
  VOTER_NOT_FOUND,
} from '../../kafka/wire/errors.ts'
import {
  type MetadataQuorum,
  ProposalRefusedError,
  QuorumTimeoutError,
  type ReplicaDescription,
  type VoterKey,
} from '../metadata/quorum.ts'
import type { ControllerClient } from '../peers/controller-client.ts'
import type { OtherRequests } from '../peers/forward-service.ts'
import { orUnavailable } from './unavailable.ts'

/** Where nodes reach each other. */
export type ClusterAddresses = () => readonly {
  readonly nodeId: number
  readonly name: string
  readonly host: string
  readonly port: number
}[]

const METADATA_TOPIC = '__cluster_metadata'

export class NodeAdminPort implements AdminPort {
  readonly #client: ControllerClient
  readonly #local: QuorumRequests

  constructor(client: ControllerClient, local: QuorumRequests) {
    this.#client = client
    this.#local = local
  }

  electLeaders(context: RequestContext, request: ElectLeadersRequest) {
    return orUnavailable(this.#client.electLeaders(context, request))
  }

  alterPartitionReassignments(
    context: RequestContext,
    request: AlterPartitionReassignmentsRequest,
  ) {
    return orUnavailable(this.#client.alterPartitionReassignments(context, request))
  }

  listPartitionReassignments(context: RequestContext, request: ListPartitionReassignmentsRequest) {
    return orUnavailable(this.#client.listPartitionReassignments(context, request))
  }

  updateFeatures(context: RequestContext, request: UpdateFeaturesRequest) {
    return orUnavailable(this.#client.updateFeatures(context, request))
  }

  unregisterBroker(context: RequestContext, request: UnregisterBrokerRequest) {
    return orUnavailable(this.#client.unregisterBroker(context, request))
  }

  describeQuorum(_context: RequestContext, request: DescribeQuorumRequest) {
    return orUnavailable(
      this.#client.ask(describeQuorum, request, () => this.#local.describeQuorum()),
    )
  }

  addRaftVoter(_context: RequestContext, request: AddRaftVoterRequest) {
    return orUnavailable(
      this.#client.ask(addRaftVoter, request, () => this.#local.addRaftVoter(request)),
    )
  }

  removeRaftVoter(_context: RequestContext, request: RemoveRaftVoterRequest) {
    return orUnavailable(
      this.#client.ask(removeRaftVoter, request, () => this.#local.removeRaftVoter(request)),
    )
  }
}

/** What the node that leads the quorum answers itself. */
export class QuorumRequests {
  readonly #quorum: MetadataQuorum
  readonly #nodes: ClusterAddresses

  constructor(quorum: MetadataQuorum, nodes: ClusterAddresses) {
    this.#quorum = quorum
    this.#nodes = nodes
  }

  /** By key, for requests that another node passes on. */
  byKey(): OtherRequests {
    return new Map<number, (request: unknown) => Promise<object>>([
      [describeQuorum.key, () => this.describeQuorum()],
      [addRaftVoter.key, (request) => this.addRaftVoter(request as AddRaftVoterRequest)],
      [removeRaftVoter.key, (request) => this.removeRaftVoter(request as RemoveRaftVoterRequest)],
    ])
  }

  async describeQuorum(): Promise<DescribeQuorumResponse> {
    const { leaderId, leaderEpoch, highWatermark, voters, observers } = this.#quorum.describe()
    return {
      errorCode: NONE,
      errorMessage: null,
      topics: [
        {
          topicName: METADATA_TOPIC,
          partitions: [
            {
              partitionIndex: 0,
              errorCode: NONE,
              errorMessage: null,
              leaderId,
              leaderEpoch,
              highWatermark,
              currentVoters: voters.map(stateOf),
              observers: observers.map(stateOf),
            },
          ],
        },
      ],
      nodes: this.#nodes().map(({ nodeId, name, host, port }) => ({
        nodeId,
        listeners: [{ name, host, port }],
      })),
    }
  }

  /** KIP-853. The new voter follows the log already, as an observer with this directory id. */
  async addRaftVoter(request: AddRaftVoterRequest): Promise<AddRaftVoterResponse> {
    const { voterId, voterDirectoryId, clusterId } = request
    const foreign = this.#foreign(clusterId)
    if (foreign !== undefined) return foreign
    const { voters, observers } = this.#quorum.describe()
    if (voters.some((one) => one.nodeId === voterId)) {
      return refused(DUPLICATE_VOTER, `node ${voterId} is a voter already`)
    }
    const isKnown = observers.some(
      (one) => one.nodeId === voterId && one.directoryId === voterDirectoryId,
    )
    if (!isKnown) {
      const sentence = `node ${voterId} with directory ${voterDirectoryId} does not follow the log`
      return refused(INVALID_REQUEST, sentence)
    }
    return this.#change([...voters, { nodeId: voterId, directoryId: voterDirectoryId }])
  }

  async removeRaftVoter(request: RemoveRaftVoterRequest): Promise<RemoveRaftVoterResponse> {
    const { voterId, voterDirectoryId, clusterId } = request
    const foreign = this.#foreign(clusterId)
    if (foreign !== undefined) return foreign
    const { voters } = this.#quorum.describe()
    const isIt = (one: VoterKey) => one.nodeId === voterId && one.directoryId === voterDirectoryId
    if (!voters.some(isIt)) {
      const sentence = `node ${voterId} with directory ${voterDirectoryId} is no voter`
      return refused(VOTER_NOT_FOUND, sentence)
    }
    if (voters.length === 1) return refused(INVALID_REQUEST, 'the last voter stays')
    return this.#change(voters.filter((one) => !isIt(one)))
  }

  #foreign(clusterId: string | null): { errorCode: number; errorMessage: string } | undefined {
    const own = this.#quorum.image.clusterId
    if (clusterId === null || clusterId === own) return undefined
    return refused(INCONSISTENT_CLUSTER_ID, `this is cluster ${own}, not ${clusterId}`)
  }

  async #change(voters: readonly VoterKey[]) {
    try {
      await this.#quorum.changeVoters(
        voters.map(({ nodeId, directoryId }) => ({ nodeId, directoryId })),
      )
      return { errorCode: NONE, errorMessage: null }
    } catch (error) {
      if (error instanceof ProposalRefusedError) return refused(INVALID_REQUEST, error.message)
      if (error instanceof QuorumTimeoutError) return refused(REQUEST_TIMED_OUT, error.message)
      throw error
    }
  }
}

function refused(errorCode: number, errorMessage: string) {
  return { errorCode, errorMessage }
}

function stateOf({
  nodeId,
  directoryId,
  logEndOffset,
  lastFetchMs,
  lastCaughtUpMs,
}: ReplicaDescription) {
  return {
    replicaId: nodeId,
    replicaDirectoryId: directoryId,
    logEndOffset,
    lastFetchTimestamp: lastFetchMs,
    lastCaughtUpTimestamp: lastCaughtUpMs,
  }
}
