/** What administrators ask: settings, brokers, replicas, the quorum. */
import { describeConfigs } from '../../../kafka/api/32-describe-configs.ts'
import { alterConfigs } from '../../../kafka/api/33-alter-configs.ts'
import { describeLogDirs } from '../../../kafka/api/35-describe-log-dirs.ts'
import { electLeaders } from '../../../kafka/api/43-elect-leaders.ts'
import { incrementalAlterConfigs } from '../../../kafka/api/44-incremental-alter-configs.ts'
import { alterPartitionReassignments } from '../../../kafka/api/45-alter-partition-reassignments.ts'
import { listPartitionReassignments } from '../../../kafka/api/46-list-partition-reassignments.ts'
import { describeQuorum } from '../../../kafka/api/55-describe-quorum.ts'
import { updateFeatures } from '../../../kafka/api/57-update-features.ts'
import { describeCluster } from '../../../kafka/api/60-describe-cluster.ts'
import { unregisterBroker } from '../../../kafka/api/64-unregister-broker.ts'
import { listConfigResources } from '../../../kafka/api/74-list-config-resources.ts'
import { type Case, makeTopic } from './topics.ts'

const TOPIC = 2
const BROKER = 4
const SET = 0
const DELETE = 1
const APPEND = 2
const SUBTRACT = 3

type Change = readonly [name: string, operation: number, value: string | null]

const change = (resourceType: number, resourceName: string, ...changes: readonly Change[]) => ({
  resources: [
    {
      resourceType,
      resourceName,
      configs: changes.map(([name, configOperation, value]) => ({ name, configOperation, value })),
    },
  ],
  validateOnly: false,
})

const describe = (
  resourceType: number,
  resourceName: string,
  configurationKeys: string[] | null,
) => ({ resources: [{ resourceType, resourceName, configurationKeys }], includeSynonyms: true })

const CHANGES: readonly (readonly [type: number, name: string, change: Change])[] = [
  [TOPIC, 'set-here', ['retention.ms', SET, '5000']],
  [TOPIC, 'set-here', ['retention.ms', DELETE, null]],
  [TOPIC, 'set-here', ['retention.ms', DELETE, null]],
  [TOPIC, 'set-here', ['retention.ms', SET, null]],
  [TOPIC, 'set-here', ['retention.ms', SET, 'soon']],
  [TOPIC, 'set-here', ['retention.ms', APPEND, '1']],
  [TOPIC, 'set-here', ['retention.ms', 9, '1']],
  [TOPIC, 'set-here', ['cleanup.policy', APPEND, 'compact']],
  [TOPIC, 'set-here', ['cleanup.policy', APPEND, 'compact']],
  [TOPIC, 'set-here', ['cleanup.policy', SUBTRACT, 'delete']],
  [TOPIC, 'set-here', ['cleanup.policy', SUBTRACT, 'never']],
  [TOPIC, 'set-here', ['no.such', SET, '1']],
  [TOPIC, 'set-here', ['no.such', DELETE, null]],
  [TOPIC, 'missing', ['retention.ms', SET, '5000']],
  [TOPIC, '', ['retention.ms', SET, '5000']],
  [TOPIC, 'a b', ['retention.ms', SET, '5000']],
  [BROKER, '1', ['log.retention.ms', SET, '5000']],
  [BROKER, '1', ['log.retention.ms', DELETE, null]],
  [BROKER, '', ['log.retention.ms', SET, '6000']],
  [BROKER, '', ['log.retention.ms', DELETE, null]],
  [BROKER, '1', ['log.dirs', SET, '/elsewhere']],
  [BROKER, '1', ['node.id', SET, '4']],
  [BROKER, '1', ['message.max.bytes', SET, '-1']],
  [BROKER, '1', ['no.such', SET, '1']],
  [BROKER, '9', ['log.retention.ms', SET, '5000']],
  [BROKER, 'one', ['log.retention.ms', SET, '5000']],
  [1, 'x', ['retention.ms', SET, '5000']],
  [77, 'x', ['retention.ms', SET, '5000']],
  [32, 'a-group', ['consumer.session.timeout.ms', SET, '50000']],
  [32, 'a-group', ['no.such', SET, '50000']],
  [32, '', ['consumer.session.timeout.ms', SET, '50000']],
]

export const ADMIN_CASES: readonly Case[] = [
  {
    name: 'settings are changed',
    run: async (session) => {
      await makeTopic(session, 'set-here')
      for (const [type, name, one] of CHANGES) {
        const request = change(type, name, one)
        await session.each(incrementalAlterConfigs, { ...request, validateOnly: true })
        await session.ask(incrementalAlterConfigs, request)
      }
      const twice = change(TOPIC, 'set-here', ['flush.ms', SET, '5'], ['flush.ms', SET, '6'])
      await session.ask(incrementalAlterConfigs, twice)
      const [resource] = change(TOPIC, 'set-here', ['flush.ms', SET, '5']).resources
      const both = { resources: [resource!, resource!], validateOnly: true }
      await session.ask(incrementalAlterConfigs, both)
      const whole = (resourceType: number, resourceName: string, name: string, value: string) => ({
        resources: [{ resourceType, resourceName, configs: [{ name, value }] }],
        validateOnly: false,
      })
      await session.each(alterConfigs, whole(TOPIC, 'set-here', 'segment.ms', '60000'))
      await session.ask(alterConfigs, whole(TOPIC, 'set-here', 'segment.ms', 'no'))
      await session.ask(alterConfigs, whole(TOPIC, 'missing', 'segment.ms', '60000'))
      await session.ask(describeConfigs, describe(TOPIC, 'set-here', ['segment.ms', 'flush.ms']))
    },
  },
  {
    name: 'settings are described',
    run: async (session) => {
      await makeTopic(session, 'plain')
      await session.each(describeConfigs, describe(TOPIC, 'plain', ['retention.ms', 'no.such']))
      await session.each(describeConfigs, describe(TOPIC, 'plain', []))
      await session.each(describeConfigs, describe(TOPIC, 'missing', null))
      await session.ask(describeConfigs, describe(TOPIC, '', null))
      await session.ask(describeConfigs, describe(TOPIC, 'a b', null))
      await session.ask(describeConfigs, describe(BROKER, '9', null))
      await session.ask(describeConfigs, describe(BROKER, 'one', null))
      await session.ask(describeConfigs, describe(BROKER, '', null))
      await session.ask(describeConfigs, describe(BROKER, '1', ['message.max.bytes']))
      await session.ask(describeConfigs, describe(77, 'x', null))
      await session.ask(describeConfigs, describe(32, 'a-group', null))
      await session.ask(describeConfigs, describe(TOPIC, 'plain', null))
      await session.each(listConfigResources, { resourceTypes: [TOPIC] })
      await session.ask(listConfigResources, { resourceTypes: [BROKER] })
      await session.ask(listConfigResources, { resourceTypes: [77] })
    },
  },
  {
    name: 'the cluster',
    run: async (session) => {
      await session.each(describeCluster, { includeClusterAuthorizedOperations: false })
      await session.each(describeCluster, { includeClusterAuthorizedOperations: true })
      const ask = { includeClusterAuthorizedOperations: false }
      await session.ask(describeCluster, { ...ask, endpointType: 2 })
      await session.ask(describeCluster, { ...ask, endpointType: 7 })
      await session.ask(describeCluster, { ...ask, includeFencedBrokers: true })
      await session.ask(unregisterBroker, { brokerId: 77 })
      const partitions = [{ partitionIndex: 0 }]
      await session.ask(describeQuorum, { topics: [{ topicName: 'other', partitions }] })
      const metadata = [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 5 }] }]
      await session.ask(describeQuorum, { topics: metadata })
      const update = (feature: string, maxVersionLevel: number, upgradeType = 1) => ({
        featureUpdates: [{ feature, maxVersionLevel, upgradeType }],
        validateOnly: true,
      })
      await session.ask(updateFeatures, update('no.such', 1))
      await session.ask(updateFeatures, update('metadata.version', 1))
      await session.ask(updateFeatures, update('metadata.version', 9999))
      await session.ask(updateFeatures, update('metadata.version', 29, 9))
    },
  },
  {
    name: 'replicas',
    run: async (session) => {
      await makeTopic(session, 'moved', { numPartitions: 2 })
      const move = (name: string, partitionIndex: number, replicas: number[] | null) => ({
        topics: [{ name, partitions: [{ partitionIndex, replicas }] }],
      })
      const target: readonly (readonly [string, number, number[] | null])[] = [
        ['moved', 0, [1]],
        ['moved', 0, null],
        ['moved', 0, []],
        ['moved', 0, [1, 1]],
        ['moved', 0, [9]],
        ['moved', 0, [-1]],
        ['moved', 7, [1]],
        ['missing', 0, [1]],
      ]
      for (const [name, partition, replicas] of target) {
        await session.each(alterPartitionReassignments, move(name, partition, replicas))
      }
      await session.ask(listPartitionReassignments, { topics: null })
      const named = (name: string) => ({ topics: [{ name, partitionIndexes: [0, 7] }] })
      await session.ask(listPartitionReassignments, named('moved'))
      await session.ask(listPartitionReassignments, named('missing'))
      const elect = (topic: string, partitions: number[], electionType = 0) => ({
        electionType,
        topicPartitions: [{ topic, partitions }],
      })
      await session.each(electLeaders, elect('moved', [0, 7]))
      await session.each(electLeaders, elect('missing', [0]))
      await session.ask(electLeaders, elect('moved', [0], 1))
      await session.ask(electLeaders, elect('moved', [0], 7))
      await session.ask(describeLogDirs, { topics: [{ topic: 'moved', partitions: [0, 7] }] })
      await session.ask(describeLogDirs, { topics: [{ topic: 'missing', partitions: [0] }] })
      await session.each(describeLogDirs, { topics: [] })
    },
  },
]
