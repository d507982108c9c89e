/**
 * The control plane of the broker port, split by subject. One method per API: requests and answers
 * are wire messages of the latest shape, whatever version the client speaks (handlers translate),
 * so that an implementation can also pass them on to another node. Arrays of a request may be lazy
 * (wire/lazy-array.ts) and its bytes are views of the frame: copy what is kept.
 *
 * What the controller decides may reject with Unavailable (unavailable.ts): nobody answers for it.
 */
import type { OffsetCommitRequest, OffsetCommitResponse } from './api/08-offset-commit.ts'
import type { OffsetFetchRequest, OffsetFetchResponse } from './api/09-offset-fetch.ts'
import type { FindCoordinatorRequest, FindCoordinatorResponse } from './api/10-find-coordinator.ts'
import type { JoinGroupRequest, JoinGroupResponse } from './api/11-join-group.ts'
import type { HeartbeatRequest, HeartbeatResponse } from './api/12-heartbeat.ts'
import type { LeaveGroupRequest, LeaveGroupResponse } from './api/13-leave-group.ts'
import type { SyncGroupRequest, SyncGroupResponse } from './api/14-sync-group.ts'
import type { DescribeGroupsRequest, DescribeGroupsResponse } from './api/15-describe-groups.ts'
import type { ListGroupsRequest, ListGroupsResponse } from './api/16-list-groups.ts'
import type { CreateTopicsRequest, CreateTopicsResponse } from './api/19-create-topics.ts'
import type { DeleteTopicsRequest, DeleteTopicsResponse } from './api/20-delete-topics.ts'
import type { DeleteRecordsRequest, DeleteRecordsResponse } from './api/21-delete-records.ts'
import type { InitProducerIdRequest, InitProducerIdResponse } from './api/22-init-producer-id.ts'
import type { DescribeConfigsRequest, DescribeConfigsResponse } from './api/32-describe-configs.ts'
import type { AlterConfigsRequest, AlterConfigsResponse } from './api/33-alter-configs.ts'
import type { DescribeLogDirsRequest, DescribeLogDirsResponse } from './api/35-describe-log-dirs.ts'
import type {
  CreatePartitionsRequest,
  CreatePartitionsResponse,
} from './api/37-create-partitions.ts'
import type { DeleteGroupsRequest, DeleteGroupsResponse } from './api/42-delete-groups.ts'
import type { ElectLeadersRequest, ElectLeadersResponse } from './api/43-elect-leaders.ts'
import type {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from './api/44-incremental-alter-configs.ts'
import type {
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse,
} from './api/45-alter-partition-reassignments.ts'
import type {
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse,
} from './api/46-list-partition-reassignments.ts'
import type { OffsetDeleteRequest, OffsetDeleteResponse } from './api/47-offset-delete.ts'
import type { DescribeQuorumRequest, DescribeQuorumResponse } from './api/55-describe-quorum.ts'
import type { UpdateFeaturesRequest, UpdateFeaturesResponse } from './api/57-update-features.ts'
import type {
  DescribeProducersRequest,
  DescribeProducersResponse,
} from './api/61-describe-producers.ts'
import type {
  UnregisterBrokerRequest,
  UnregisterBrokerResponse,
} from './api/64-unregister-broker.ts'
import type {
  ListConfigResourcesRequest,
  ListConfigResourcesResponse,
} from './api/74-list-config-resources.ts'
import type { AddRaftVoterRequest, AddRaftVoterResponse } from './api/80-add-raft-voter.ts'
import type { RemoveRaftVoterRequest, RemoveRaftVoterResponse } from './api/81-remove-raft-voter.ts'
import type { RequestContext } from './api/define.ts'
import type { NodeEndpoint } from './broker.ts'

/** Feature levels, as ApiVersions shows them. */
export interface Features {
  readonly supported: readonly FeatureRange[]
  readonly finalized: readonly { readonly name: string; readonly level: number }[]
  /** Offset in the metadata log of the last change; -1 unknown. */
  readonly finalizedEpoch: number
}

export interface FeatureRange {
  readonly name: string
  readonly minVersion: number
  readonly maxVersion: number
}

/** A registered broker. */
export interface BrokerDescription extends NodeEndpoint {
  readonly isFenced: boolean
}

/** The cluster as this node's metadata has it now. */
export interface ClusterPort {
  readonly clusterId: string
  /** A broker that passes admin requests on to the controller; -1 when there is none. */
  readonly controllerId: number
  /** Registered brokers that have an endpoint on `listener`, fenced ones too, by node id. */
  brokers(listener: string): readonly BrokerDescription[]
  features(): Features
  /** The directories of this node. A null `topics` means all. */
  describeLogDirs(
    context: RequestContext,
    request: DescribeLogDirsRequest,
  ): Promise<DescribeLogDirsResponse>
}

/**
 * What administrators ask of the controller, wherever it is: an implementation passes the request
 * on.
 */
export interface AdminPort {
  /** Null `topicPartitions`: all that need an election. `electionType` is 0 or 1. */
  electLeaders(context: RequestContext, request: ElectLeadersRequest): Promise<ElectLeadersResponse>
  alterPartitionReassignments(
    context: RequestContext,
    request: AlterPartitionReassignmentsRequest,
  ): Promise<AlterPartitionReassignmentsResponse>
  /** Null `topics`: all that are being moved. Those that are not are left out. */
  listPartitionReassignments(
    context: RequestContext,
    request: ListPartitionReassignmentsRequest,
  ): Promise<ListPartitionReassignmentsResponse>
  /** `upgradeType` is 1, 2 or 3. All updates or none: one error for the whole. */
  updateFeatures(
    context: RequestContext,
    request: UpdateFeaturesRequest,
  ): Promise<UpdateFeaturesResponse>
  unregisterBroker(
    context: RequestContext,
    request: UnregisterBrokerRequest,
  ): Promise<UnregisterBrokerResponse>
  /** The request names `__cluster_metadata`-0 and nothing else. */
  describeQuorum(
    context: RequestContext,
    request: DescribeQuorumRequest,
  ): Promise<DescribeQuorumResponse>
  addRaftVoter(context: RequestContext, request: AddRaftVoterRequest): Promise<AddRaftVoterResponse>
  removeRaftVoter(
    context: RequestContext,
    request: RemoveRaftVoterRequest,
  ): Promise<RemoveRaftVoterResponse>
}

export interface PartitionDescription {
  readonly index: number
  /** -1 none. */
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
  readonly offlineReplicas: readonly number[]
  readonly eligibleLeaderReplicas: readonly number[]
  readonly lastKnownEligibleLeaderReplicas: readonly number[]
}

export interface TopicDescription {
  readonly name: string
  readonly id: string
  readonly isInternal: boolean
  /** By index, without gaps. */
  readonly partitions: readonly PartitionDescription[]
}

export interface TopicsPort {
  /** Of all topics, sorted. */
  names(): readonly string[]
  describe(name: string): TopicDescription | undefined
  describeById(id: string): TopicDescription | undefined
  /**
   * Creates what does not exist with the broker's defaults, because a Metadata request names it.
   * For each name: 0 once this node's metadata has it, 17 (name), 38 (replication factor), 3
   * (switched off), ...
   */
  autoCreate(
    context: RequestContext,
    names: readonly string[],
  ): Promise<ReadonlyMap<string, number>>
  createTopics(context: RequestContext, request: CreateTopicsRequest): Promise<CreateTopicsResponse>
  /** `request.topics` is filled in, from `topicNames` too. Answers keep its order. */
  deleteTopics(context: RequestContext, request: DeleteTopicsRequest): Promise<DeleteTopicsResponse>
  createPartitions(
    context: RequestContext,
    request: CreatePartitionsRequest,
  ): Promise<CreatePartitionsResponse>
  /** Offset -1 means the high watermark. */
  deleteRecords(
    context: RequestContext,
    request: DeleteRecordsRequest,
  ): Promise<DeleteRecordsResponse>
}

export interface ConfigsPort {
  /** Synonyms and documentation may be left out unless the request asks for them. */
  describeConfigs(
    context: RequestContext,
    request: DescribeConfigsRequest,
  ): Promise<DescribeConfigsResponse>
  alterConfigs(context: RequestContext, request: AlterConfigsRequest): Promise<AlterConfigsResponse>
  incrementalAlterConfigs(
    context: RequestContext,
    request: IncrementalAlterConfigsRequest,
  ): Promise<IncrementalAlterConfigsResponse>
  /** Empty `resourceTypes` means all kinds. */
  listConfigResources(
    context: RequestContext,
    request: ListConfigResourcesRequest,
  ): Promise<ListConfigResourcesResponse>
}

export interface GroupsPort {
  /** Keys are in `coordinatorKeys`, of type GROUP (0). One entry of `coordinators` for each. */
  findCoordinator(
    context: RequestContext,
    request: FindCoordinatorRequest,
  ): Promise<FindCoordinatorResponse>
  joinGroup(context: RequestContext, request: JoinGroupRequest): Promise<JoinGroupResponse>
  syncGroup(context: RequestContext, request: SyncGroupRequest): Promise<SyncGroupResponse>
  heartbeat(context: RequestContext, request: HeartbeatRequest): Promise<HeartbeatResponse>
  /** Members are in `members`, also the single one of old versions. */
  leaveGroup(context: RequestContext, request: LeaveGroupRequest): Promise<LeaveGroupResponse>
  /**
   * Topics and partitions exist, and have names (topic ids were translated). Offsets are >= -1 and
   * below 2^53 - 1.
   */
  offsetCommit(context: RequestContext, request: OffsetCommitRequest): Promise<OffsetCommitResponse>
  /** Groups are in `groups`, with topic names; null `topics`: all. Answers keep their order. */
  offsetFetch(context: RequestContext, request: OffsetFetchRequest): Promise<OffsetFetchResponse>
  offsetDelete(context: RequestContext, request: OffsetDeleteRequest): Promise<OffsetDeleteResponse>
  /** A group that does not exist: error 69 and state 'Dead', whatever the version. */
  describeGroups(
    context: RequestContext,
    request: DescribeGroupsRequest,
  ): Promise<DescribeGroupsResponse>
  /** Filters by state and type, without regard to case, where the request has filters. */
  listGroups(context: RequestContext, request: ListGroupsRequest): Promise<ListGroupsResponse>
  deleteGroups(context: RequestContext, request: DeleteGroupsRequest): Promise<DeleteGroupsResponse>
}

export interface ProducersPort {
  /** `transactionalId` is null. */
  initProducerId(
    context: RequestContext,
    request: InitProducerIdRequest,
  ): Promise<InitProducerIdResponse>
  describeProducers(
    context: RequestContext,
    request: DescribeProducersRequest,
  ): Promise<DescribeProducersResponse>
}
