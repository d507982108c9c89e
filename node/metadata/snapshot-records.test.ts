import assert from 'node:assert/strict'
import { ControllerModel } from './controller-model.ts'
import { EMPTY_IMAGE, type MetadataImage } from './image.ts'
import { decodeRecord, encodeRecord } from './records.ts'
import { imageOfSnapshot, snapshotRecords } from './snapshot-records.ts'
import { brokerRecord, idOf, imageOf, partitionRecord, topicRecord } from './testing.ts'

/** All of an image, in an order of its own. */
function plain(image: MetadataImage) {
  const sorted = <T>(entries: Iterable<[string, T]>) =>
    [...entries].sort(([one], [other]) => (one < other ? -1 : 1))
  return {
    ...image,
    topics: sorted(image.topics.entries()),
    topicNames: sorted(image.topicNames.entries()),
    normalizedNames: sorted(image.normalizedNames.entries()),
    brokers: [...image.brokers.values()].sort((one, other) => one.id - other.id),
    configs: sorted(image.configs.entries()).map(([key, values]) => [key, sorted(values)]),
    features: sorted(image.features),
  }
}

const roundTrip = (image: MetadataImage) => {
  const records = [...snapshotRecords(image)].map((record) => decodeRecord(encodeRecord(record)))
  return imageOfSnapshot(records, image.offset, image.epoch)
}

describe('node/metadata/snapshot-records', () => {
  it('gives the same image again, whatever it went through', () => {
    for (let seed = 1; seed <= 12; seed++) {
      const model = new ControllerModel(seed)
      for (let part = 0; part < 5; part++) {
        model.run(30)
        const again = roundTrip(model.image)
        assert.deepEqual(plain(again), plain(model.image), `seed ${seed}`)
        assert.deepEqual([...snapshotRecords(again)], [...snapshotRecords(model.image)])
      }
    }
  })

  it('keeps what only few images have', () => {
    const image = imageOf([
      { type: 'NoOpRecord', clusterId: 'the-cluster' },
      { type: 'ProducerIdsRecord', brokerId: 1, brokerEpoch: 3, nextProducerId: 5_000 },
      brokerRecord(1, 2, {
        fenced: true,
        inControlledShutdown: true,
        rack: 'r',
        cordonedLogDirs: [idOf(101)],
        features: [{ name: 'metadata.version', minSupportedVersion: 7, maxSupportedVersion: 30 }],
      }),
      topicRecord('a', idOf(1)),
      partitionRecord(idOf(1), 0, {
        replicas: [1, 2, 3],
        isr: [1],
        removingReplicas: [2],
        addingReplicas: [3],
        leaderEpoch: 7,
        partitionEpoch: 9,
        leaderRecoveryState: 1,
        directories: [idOf(101), idOf(102), idOf(103)],
        eligibleLeaderReplicas: [2],
        lastKnownElr: [],
      }),
      {
        type: 'ConfigRecord',
        resourceType: 4,
        resourceName: '',
        name: 'log.retention.ms',
        value: '5',
      },
    ])
    assert.deepEqual(plain(roundTrip(image)), plain(image))
    assert.deepEqual([...snapshotRecords(EMPTY_IMAGE)], [])
  })
})
