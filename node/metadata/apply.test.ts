import assert from 'node:assert/strict'
import { AssertionFailed } from '../../base/assert.ts'
import { replay } from './apply.ts'
import { EMPTY_IMAGE, endpointOf, overridesOf, RESOURCE, topicById } from './image.ts'
import { type MetadataRecord, partitionChangeRecord } from './records.ts'
import { brokerRecord, idOf, imageOf, partitionRecord, topicRecord } from './testing.ts'

const config = (type: number, resource: string, name: string, value: string | null) =>
  ({
    type: 'ConfigRecord',
    resourceType: type,
    resourceName: resource,
    name,
    value,
  }) satisfies MetadataRecord

const topicOf = (name: string, id: string, partitions: number): MetadataRecord[] => [
  topicRecord(name, id),
  ...Array.from({ length: partitions }, (_, index) => partitionRecord(id, index)),
]

describe('node/metadata/apply', () => {
  it('makes topics, grows them and takes them away', () => {
    const first = imageOf(topicOf('a', idOf(1), 2))
    assert.equal(first.topics.get('a')!.partitions.length, 2)
    assert.equal(topicById(first, idOf(1))!.name, 'a')
    assert.equal(first.partitionCount, 2)
    const grown = replay(first, [partitionRecord(idOf(1), 2)], 10, 1)
    assert.equal(grown.image.topics.get('a')!.partitions.length, 3)
    assert.equal(first.topics.get('a')!.partitions.length, 2, 'the old image stays')
    assert.deepEqual([...grown.delta.changedPartitions], [[idOf(1), new Set([2])]])
    assert.deepEqual(grown.delta.createdTopics, [])
    const removed = replay(
      grown.image,
      [{ type: 'RemoveTopicRecord', topicId: idOf(1) }, ...topicOf('a', idOf(2), 1)],
      20,
      2,
    )
    assert.equal(removed.image.partitionCount, 1)
    assert.equal(removed.image.epoch, 2)
    assert.deepEqual(
      removed.delta.removedTopics.map(({ id, partitions }) => [id, partitions.length]),
      [[idOf(1), 3]],
    )
    assert.deepEqual(
      removed.delta.createdTopics.map(({ id }) => id),
      [idOf(2)],
    )
    assert.equal(topicById(removed.image, idOf(1)), undefined)
  })

  it('forgets a topic that came and went in one batch', () => {
    const records: MetadataRecord[] = [
      ...topicOf('a', idOf(1), 1),
      { type: 'RemoveTopicRecord', topicId: idOf(1) },
    ]
    const { image, delta } = replay(EMPTY_IMAGE, records, 3, 1)
    assert.equal(image.topics.size, 0)
    assert.equal(image.normalizedNames.size, 0)
    assert.deepEqual([delta.createdTopics, delta.removedTopics], [[], []])
  })

  it('counts leader epochs by changes of leader, partition epochs by all changes', () => {
    const before = imageOf([
      topicRecord('a', idOf(1)),
      partitionRecord(idOf(1), 0, { replicas: [1, 2], isr: [1, 2] }),
    ])
    const change = (fields: Parameters<typeof partitionChangeRecord>[2]) => {
      const record = partitionChangeRecord(idOf(1), 0, fields)
      return replay(before, [record], 9, 1).image.topics.get('a')!.partitions[0]!
    }
    const shrunk = change({ isr: [1] })
    assert.deepEqual([shrunk.leaderEpoch, shrunk.partitionEpoch], [0, 1])
    const moved = change({ leader: 2 })
    assert.deepEqual([moved.leader, moved.leaderEpoch, moved.partitionEpoch], [2, 1, 1])
    const again = change({ leader: 1 })
    assert.deepEqual([again.leader, again.leaderEpoch], [1, 1])
    assert.equal(change({ leader: -1 }).leader, -1)
    assert.throws(() => change({ isr: [2] }), AssertionFailed)
    assert.throws(() => change({ leader: 3 }), AssertionFailed)
  })

  it('keeps settings by resource, and drops them with their topic', () => {
    const image = imageOf([
      ...topicOf('a', idOf(1), 1),
      config(RESOURCE.topic, 'a', 'retention.ms', '5'),
      config(RESOURCE.topic, 'a', 'segment.ms', '6'),
      config(RESOURCE.broker, '', 'log.retention.ms', '7'),
    ])
    assert.equal(overridesOf(image, RESOURCE.topic, 'a').size, 2)
    const changed = replay(image, [config(RESOURCE.topic, 'a', 'segment.ms', null)], 9, 1)
    assert.deepEqual([...overridesOf(changed.image, RESOURCE.topic, 'a')], [['retention.ms', '5']])
    assert.deepEqual(changed.delta.changedConfigs, [{ type: RESOURCE.topic, name: 'a' }])
    const gone = replay(image, [{ type: 'RemoveTopicRecord', topicId: idOf(1) }], 9, 1)
    assert.equal(overridesOf(gone.image, RESOURCE.topic, 'a').size, 0)
    assert.equal(overridesOf(gone.image, RESOURCE.broker, '').get('log.retention.ms'), '7')
  })

  it('follows brokers from registration to the end', () => {
    const image = imageOf([brokerRecord(1, 5, { fenced: true })])
    assert.equal(endpointOf(image, 1, 'PLAINTEXT'), undefined, 'fenced')
    const unfenced = replay(image, [{ type: 'UnfenceBrokerRecord', id: 1, epoch: 5 }], 6, 1)
    assert.equal(endpointOf(unfenced.image, 1, 'PLAINTEXT')!.port, 9093)
    assert.equal(endpointOf(unfenced.image, 1, 'OTHER'), undefined)
    assert.deepEqual([...unfenced.delta.changedBrokers], [1])
    const leaving = replay(
      unfenced.image,
      [
        {
          type: 'BrokerRegistrationChangeRecord',
          brokerId: 1,
          brokerEpoch: 5,
          fenced: 0,
          inControlledShutdown: 1,
          logDirs: [idOf(8)],
          cordonedLogDirs: [idOf(8)],
        },
      ],
      7,
      1,
    ).image
    const broker = leaving.brokers.get(1)!
    assert.ok(broker.isInControlledShutdown && !broker.isFenced)
    assert.deepEqual([broker.logDirs, broker.cordonedLogDirs], [[idOf(8)], [idOf(8)]])
    const next = replay(leaving, [brokerRecord(1, 9)], 9, 1).image
    assert.equal(next.brokers.get(1)!.isInControlledShutdown, false)
    const fence: MetadataRecord = { type: 'FenceBrokerRecord', id: 1, epoch: 5 }
    assert.throws(() => replay(next, [fence], 10, 1), AssertionFailed, 'of an earlier life')
    const gone: MetadataRecord = { type: 'UnregisterBrokerRecord', brokerId: 1, brokerEpoch: 9 }
    assert.equal(replay(next, [gone], 10, 1).image.brokers.size, 0)
  })

  it('keeps features and producer ids', () => {
    const features = imageOf([
      { type: 'FeatureLevelRecord', name: 'metadata.version', featureLevel: 30 },
      { type: 'ProducerIdsRecord', brokerId: 1, brokerEpoch: 1, nextProducerId: 1000 },
      { type: 'NoOpRecord', clusterId: null },
    ])
    assert.deepEqual([...features.features], [['metadata.version', 30]])
    assert.equal(features.nextProducerId, 1000)
    const back: MetadataRecord = {
      type: 'ProducerIdsRecord',
      brokerId: 1,
      brokerEpoch: 1,
      nextProducerId: 999,
    }
    assert.throws(() => replay(features, [back], 9, 1), AssertionFailed)
  })

  it('refuses records that do not fit', () => {
    const image = imageOf(topicOf('a', idOf(1), 1))
    const bad: MetadataRecord[] = [
      topicRecord('a', idOf(2)),
      topicRecord('b', idOf(1)),
      partitionRecord(idOf(1), 2),
      partitionRecord(idOf(9), 0),
      partitionChangeRecord(idOf(1), 5, {}),
      { type: 'RemoveTopicRecord', topicId: idOf(9) },
    ]
    for (const record of bad) assert.throws(() => replay(image, [record], 9, 1), AssertionFailed)
    assert.throws(() => replay(image, [], 0, 1), AssertionFailed, 'offsets do not go back')
  })
})
