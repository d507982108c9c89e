/**
 * What brokers ask of the controller: one method for each request, in Kafka's messages of the latest
 * shape. `Controller` answers on the node that leads the metadata quorum; elsewhere a client of this
 * port passes requests on to it.
 *
 * Every method rejects with NotLeaderError where nobody leads here, and with StorageError when the
 * metadata log can't take more. Everything that Kafka has a code for is in the answer.
 */
import type { CreateTopicsRequest, CreateTopicsResponse } from '../../kafka/api/19-create-topics.ts'
import type { DeleteTopicsRequest, DeleteTopicsResponse } from '../../kafka/api/20-delete-topics.ts'
import type { AlterConfigsRequest, AlterConfigsResponse } from '../../kafka/api/33-alter-configs.ts'
import type {
  CreatePartitionsRequest,
  CreatePartitionsResponse,
} from '../../kafka/api/37-create-partitions.ts'
import type { ElectLeadersRequest, ElectLeadersResponse } from '../../kafka/api/43-elect-leaders.ts'
import type {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse,
} from '../../kafka/api/44-incremental-alter-configs.ts'
import type {
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse,
} from '../../kafka/api/45-alter-partition-reassignments.ts'
import type {
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse,
} from '../../kafka/api/46-list-partition-reassignments.ts'
import type {
  AlterPartitionRequest,
  AlterPartitionResponse,
} from '../../kafka/api/56-alter-partition.ts'
import type {
  UpdateFeaturesRequest,
  UpdateFeaturesResponse,
} from '../../kafka/api/57-update-features.ts'
import type {
  BrokerRegistrationRequest,
  BrokerRegistrationResponse,
} from '../../kafka/api/62-broker-registration.ts'
import type {
  BrokerHeartbeatRequest,
  BrokerHeartbeatResponse,
} from '../../kafka/api/63-broker-heartbeat.ts'
import type {
  UnregisterBrokerRequest,
  UnregisterBrokerResponse,
} from '../../kafka/api/64-unregister-broker.ts'
import type {
  AllocateProducerIdsRequest,
  AllocateProducerIdsResponse,
} from '../../kafka/api/67-allocate-producer-ids.ts'
import type { RequestContext } from '../../kafka/api/define.ts'

/** Who asks; undefined: this node itself, or a node that passed the request on. */
export type Caller = RequestContext | undefined

/** A replica that can't go on, told by the broker that holds it. */
export interface FailedReplica {
  readonly brokerId: number
  readonly brokerEpoch: number
  readonly topicId: string
  readonly partitionIndex: number
  /** As the broker knows it, -1 any; one from an older epoch is answered with FENCED_LEADER_EPOCH. */
  readonly leaderEpoch: number
  /**
   * `storage`: out of service until the broker registers again. `damaged`: bytes are wrong, and the
   * replica will be repaired from another leader, if there can be one.
   */
  readonly reason: 'storage' | 'damaged'
}

export interface ControllerPort {
  createTopics(caller: Caller, request: CreateTopicsRequest): Promise<CreateTopicsResponse>
  /** `request.topics` is filled in, whatever the version: by name, or by id with a null name. */
  deleteTopics(caller: Caller, request: DeleteTopicsRequest): Promise<DeleteTopicsResponse>
  createPartitions(
    caller: Caller,
    request: CreatePartitionsRequest,
  ): Promise<CreatePartitionsResponse>
  alterConfigs(caller: Caller, request: AlterConfigsRequest): Promise<AlterConfigsResponse>
  incrementalAlterConfigs(
    caller: Caller,
    request: IncrementalAlterConfigsRequest,
  ): Promise<IncrementalAlterConfigsResponse>
  electLeaders(caller: Caller, request: ElectLeadersRequest): Promise<ElectLeadersResponse>
  alterPartitionReassignments(
    caller: Caller,
    request: AlterPartitionReassignmentsRequest,
  ): Promise<AlterPartitionReassignmentsResponse>
  listPartitionReassignments(
    caller: Caller,
    request: ListPartitionReassignmentsRequest,
  ): Promise<ListPartitionReassignmentsResponse>
  updateFeatures(caller: Caller, request: UpdateFeaturesRequest): Promise<UpdateFeaturesResponse>
  unregisterBroker(
    caller: Caller,
    request: UnregisterBrokerRequest,
  ): Promise<UnregisterBrokerResponse>

  /** ISR changes, proposed by the leaders of the partitions (KIP-497). */
  alterPartition(request: AlterPartitionRequest): Promise<AlterPartitionResponse>
  /** Safe to repeat: the same incarnation gets the same epoch. */
  registerBroker(request: BrokerRegistrationRequest): Promise<BrokerRegistrationResponse>
  /**
   * `loopProgress` grows with each turn of the broker's main loop; a heartbeat in which it did not
   * grow proves nothing.
   */
  heartbeat(request: BrokerHeartbeatRequest, loopProgress: number): Promise<BrokerHeartbeatResponse>
  allocateProducerIds(request: AllocateProducerIdsRequest): Promise<AllocateProducerIdsResponse>
  /** Kafka's error code; 0 also when there was nothing to do. */
  reportFailedReplica(report: FailedReplica): Promise<number>
}

/** The requests that have a key of Kafka's, and may be passed on as its messages. */
export interface ControllerRequests {
  readonly 19: [CreateTopicsRequest, CreateTopicsResponse]
  readonly 20: [DeleteTopicsRequest, DeleteTopicsResponse]
  readonly 33: [AlterConfigsRequest, AlterConfigsResponse]
  readonly 37: [CreatePartitionsRequest, CreatePartitionsResponse]
  readonly 43: [ElectLeadersRequest, ElectLeadersResponse]
  readonly 44: [IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse]
  readonly 45: [AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse]
  readonly 46: [ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse]
  readonly 56: [AlterPartitionRequest, AlterPartitionResponse]
  readonly 57: [UpdateFeaturesRequest, UpdateFeaturesResponse]
  readonly 62: [BrokerRegistrationRequest, BrokerRegistrationResponse]
  readonly 63: [BrokerHeartbeatRequest, BrokerHeartbeatResponse]
  readonly 64: [UnregisterBrokerRequest, UnregisterBrokerResponse]
  readonly 67: [AllocateProducerIdsRequest, AllocateProducerIdsResponse]
}

export type ControllerKey = keyof ControllerRequests

const KEYS: ReadonlySet<number> = new Set<ControllerKey>([
  19, 20, 33, 37, 43, 44, 45, 46, 56, 57, 62, 63, 64, 67,
])

/** Is it a request that the controller answers? */
export const isControllerKey = (key: number): key is ControllerKey => KEYS.has(key)

/**
 * Calls the method of `port` for a request that came as a message with this key. A heartbeat that
 * comes this way brings no progress of its own: it is given `loopProgress`.
 */
export function dispatch(
  port: ControllerPort,
  key: ControllerKey,
  request: unknown,
  loopProgress = -1,
): Promise<ControllerRequests[ControllerKey][1]> {
  const as = <K extends ControllerKey>(_key: K) => request as ControllerRequests[K][0]
  switch (key) {
    case 19:
      return port.createTopics(undefined, as(19))
    case 20:
      return port.deleteTopics(undefined, as(20))
    case 33:
      return port.alterConfigs(undefined, as(33))
    case 37:
      return port.createPartitions(undefined, as(37))
    case 43:
      return port.electLeaders(undefined, as(43))
    case 44:
      return port.incrementalAlterConfigs(undefined, as(44))
    case 45:
      return port.alterPartitionReassignments(undefined, as(45))
    case 46:
      return port.listPartitionReassignments(undefined, as(46))
    case 56:
      return port.alterPartition(as(56))
    case 57:
      return port.updateFeatures(undefined, as(57))
    case 62:
      return port.registerBroker(as(62))
    case 63:
      return port.heartbeat(as(63), loopProgress)
    case 64:
      return port.unregisterBroker(undefined, as(64))
    case 67:
      return port.allocateProducerIds(as(67))
  }
}
