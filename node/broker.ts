/** The broker port, as this node fills it: each subject has its own file. */
import type { Disk } from '../base/disk.ts'
import type { Broker, DataPort } from '../kafka/broker.ts'
import type { AdminPort, GroupsPort } from '../kafka/control.ts'
import { NONE } from '../kafka/wire/errors.ts'
import type { LogStore } from '../log/store.ts'
import type { Settings } from './config.ts'
import type { ControllerPort } from './metadata/controller-port.ts'
import { type MetadataQuorum, NotLeaderError } from './metadata/quorum.ts'
import type { Partitions } from './partitions.ts'
import { NodeCluster } from './ports/cluster.ts'
import { NodeConfigs } from './ports/configs.ts'
import { NodeProducers } from './ports/producers.ts'
import type { NodeTopics } from './ports/topics.ts'

export class NodeBroker implements Broker {
  readonly data: DataPort
  readonly cluster: NodeCluster
  readonly topics: NodeTopics
  readonly configs: NodeConfigs
  readonly groups: GroupsPort
  readonly producers: NodeProducers
  readonly admin: AdminPort

  constructor(parts: {
    nodeId: number
    clusterId: string
    settings: () => Settings
    quorum: MetadataQuorum
    partitions: Partitions
    controller: ControllerPort
    admin: AdminPort
    brokerEpoch: () => number
    topics: NodeTopics
    groups: GroupsPort
    store: LogStore
    disk: Disk
  }) {
    const { nodeId, controller, partitions } = parts
    this.data = partitions
    this.cluster = new NodeCluster(parts)
    this.topics = parts.topics
    this.configs = new NodeConfigs(parts)
    this.groups = parts.groups
    this.admin = parts.admin
    this.producers = new NodeProducers(partitions, async () => {
      const brokerEpoch = parts.brokerEpoch()
      const answer = await controller.allocateProducerIds({ brokerId: nodeId, brokerEpoch })
      if (answer.errorCode !== NONE) throw new NotLeaderError('this broker has to register again')
      return { first: answer.producerIdStart, count: answer.producerIdLen }
    })
  }
}
