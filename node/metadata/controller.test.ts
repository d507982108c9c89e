import assert from 'node:assert/strict'
import type { CreateTopicsRequest } from '../../kafka/api/19-create-topics.ts'
import { PRODUCER_ID_BLOCK } from './allocations.ts'
import type { Controller } from './controller.ts'
import { ControllerFixture } from './controller-fixture.ts'
import { overridesOf, RESOURCE } from './image.ts'
import type { MemoryQuorum } from './memory-quorum.ts'
import { idOf } from './testing.ts'

const ZERO = 'AAAAAAAAAAAAAAAAAAAAAA'

type NewTopic = CreateTopicsRequest['topics'][number]

const asked = (name: string, more: Partial<NewTopic> = {}): NewTopic => ({
  name,
  numPartitions: 1,
  replicationFactor: 1,
  assignments: [],
  configs: [],
  ...more,
})

const manual = (...replicas: number[][]): Partial<NewTopic> => ({
  numPartitions: -1,
  replicationFactor: -1,
  assignments: replicas.map((brokerIds, partitionIndex) => ({ partitionIndex, brokerIds })),
})

interface Cluster {
  readonly fixture: ControllerFixture
  readonly voter: MemoryQuorum
  readonly controller: Controller
}

async function start(brokers = 1, flags: Record<string, string> = {}): Promise<Cluster> {
  const fixture = await ControllerFixture.start({ brokers, flags })
  return { fixture, voter: fixture.quorum, controller: fixture.controller }
}

const create = async (cluster: Cluster, topics: NewTopic[], validateOnly = false) => {
  const request = { topics, timeoutMs: 1000, validateOnly }
  const answer = cluster.controller.createTopics(undefined, request)
  return (await cluster.fixture.complete(answer)).topics
}

const outcome = async (cluster: Cluster, topic: NewTopic) => {
  const [answer] = await create(cluster, [topic])
  return [answer!.errorCode, answer!.errorMessage]
}

describe('node/metadata/controller', () => {
  it('registers a broker under the offset of its record, with the first features', async () => {
    const { voter } = await start()
    const broker = voter.image.brokers.get(1)!
    assert.ok(broker.epoch > 0 && broker.epoch <= voter.image.offset)
    assert.equal(broker.isFenced, false)
    assert.equal(voter.image.features.get('metadata.version'), 30)
  })

  it('creates topics with the sizes that were asked for, or the defaults', async () => {
    const cluster = await start(3, { 'num.partitions': '4', 'default.replication.factor': '2' })
    const topics = await create(cluster, [
      asked('a', { numPartitions: 2, configs: [{ name: 'retention.ms', value: '5' }] }),
      asked('b', { numPartitions: -1, replicationFactor: -1 }),
      asked('c', manual([3, 1], [1, 2])),
    ])
    assert.deepEqual(
      topics.map(({ errorCode, numPartitions, replicationFactor }) => [
        errorCode,
        numPartitions,
        replicationFactor,
      ]),
      [
        [0, 2, 1],
        [0, 4, 2],
        [0, 2, 2],
      ],
    )
    const { image } = cluster.voter
    assert.equal(image.topics.get('a')!.id, topics[0]!.topicId)
    const [first] = image.topics.get('c')!.partitions
    assert.deepEqual([first!.replicas, first!.isr, first!.leader], [[3, 1], [3, 1], 3])
    assert.deepEqual(first!.directories, [idOf(103), idOf(101)])
    assert.equal(overridesOf(image, RESOURCE.topic, 'a').get('retention.ms'), '5')
    const row = topics[0]!.configs!.find(({ name }) => name === 'retention.ms')!
    assert.deepEqual([row.value, row.configSource], ['5', 1])
  })

  it('refuses names that are bad, taken, or too like another', async () => {
    const cluster = await start()
    await create(cluster, [asked('a.b')])
    assert.deepEqual(await outcome(cluster, asked('a.b')), [36, "There is a topic 'a.b' already."])
    assert.deepEqual(await outcome(cluster, asked('a_b')), [
      17,
      "'a_b' can not be told from a.b where '.' is written as '_'",
    ])
    for (const name of ['', '.', '..', 'a b', 'é', 'x'.repeat(250), 'a/b']) {
      const [code, message] = await outcome(cluster, asked(name))
      assert.equal(code, 17, name)
      assert.match(String(message), /^No topic can be called that: /)
    }
    assert.deepEqual(await outcome(cluster, asked('x'.repeat(249))), [0, null])
    assert.equal((await outcome(cluster, asked('__cluster_metadata')))[0], 42)
    const both = await create(cluster, [asked('c.d'), asked('c_d')])
    assert.deepEqual(
      both.map(({ errorCode }) => errorCode),
      [0, 17],
    )
    const twice = await create(cluster, [asked('t'), asked('u'), asked('t')])
    assert.deepEqual(
      twice.map(({ name, errorCode }) => [name, errorCode]),
      [
        ['t', 42],
        ['u', 0],
      ],
    )
  })

  it('refuses sizes and assignments as Kafka does', async () => {
    const cluster = await start(2)
    const cases: [NewTopic, number, RegExp][] = [
      [asked('x', { numPartitions: 0 }), 37, /at least one partition/],
      [asked('x', { numPartitions: -2 }), 37, /at least one partition/],
      [asked('x', { replicationFactor: 0 }), 38, /at least one replica/],
      [asked('x', { replicationFactor: 3 }), 38, /there are 2 brokers/],
      [asked('x', { numPartitions: 10_001 }), 44, /no more than 10000 partitions/],
      [asked('x', { ...manual([1]), numPartitions: 1 }), 42, /number of partitions is -1/],
      [asked('x', { ...manual([1]), replicationFactor: 1 }), 42, /replication factor is -1/],
      [asked('x', manual([1, 1])), 39, /have broker 1 twice/],
      [asked('x', manual([9])), 39, /have broker 9, which is not there/],
      [asked('x', manual([])), 39, /nobody for a partition/],
      [asked('x', manual([1], [1, 2])), 39, /have 2 brokers for one partition and 1/],
      [
        asked('x', {
          ...manual([1]),
          assignments: [{ partitionIndex: 1, brokerIds: [1] }],
        }),
        39,
        /counted from 0/,
      ],
      [
        asked('x', {
          ...manual([1]),
          assignments: [0, 0].map((partitionIndex) => ({ partitionIndex, brokerIds: [1] })),
        }),
        39,
        /partition 0 are given twice/,
      ],
      [asked('x', { configs: [{ name: 'nope', value: '1' }] }), 40, /^Topics have no setting/],
      [asked('x', { configs: [{ name: 'retention.ms', value: 'x' }] }), 40, /type LONG/],
      [
        asked('x', { configs: [{ name: 'retention.ms', value: null }] }),
        40,
        /need a value: retention.ms/,
      ],
    ]
    for (const [topic, code, message] of cases) {
      const [errorCode, errorMessage] = await outcome(cluster, topic)
      assert.equal(errorCode, code, String(errorMessage))
      assert.match(String(errorMessage), message)
    }
    assert.equal(cluster.voter.image.topics.size, 0)
  })

  it('leads a new partition only by brokers that are not fenced', async () => {
    const cluster = await start(3)
    const { fixture, voter } = cluster
    await fixture.kill(3)
    await create(cluster, [asked('a', manual([3, 1]))])
    const [partition] = voter.image.topics.get('a')!.partitions
    assert.deepEqual([partition!.replicas, partition!.isr, partition!.leader], [[3, 1], [1], 1])
    assert.equal((await outcome(cluster, asked('b', manual([3]))))[0], 39)
  })

  it('changes nothing when it only validates', async () => {
    const cluster = await start()
    const offset = cluster.voter.image.offset
    const [good] = await create(cluster, [asked('a', { numPartitions: 3 })], true)
    assert.deepEqual([good!.errorCode, good!.topicId, good!.numPartitions], [0, ZERO, 3])
    const [bad] = await create(cluster, [asked('')], true)
    assert.equal(bad!.errorCode, 17)
    assert.equal(cluster.voter.image.offset, offset)
  })

  it('sees what was decided before, though all was asked at once', async () => {
    const cluster = await start()
    const names = ['a', 'a', 'b.c', 'b_c']
    const answers = await cluster.fixture.complete(
      Promise.all(
        names.map((name) =>
          cluster.controller.createTopics(undefined, {
            topics: [asked(name)],
            timeoutMs: 1000,
            validateOnly: false,
          }),
        ),
      ),
    )
    assert.deepEqual(
      answers.map(({ topics }) => topics[0]!.errorCode),
      [0, 36, 0, 17],
    )
  })

  it('deletes topics by name and by id', async () => {
    const cluster = await start()
    const { fixture, controller, voter } = cluster
    const made = await create(cluster, [asked('a'), asked('b'), asked('c')])
    const remove = async (topics: { name: string | null; topicId: string }[]) => {
      const request = { topics, topicNames: [], timeoutMs: 1000 }
      const answer = await fixture.complete(controller.deleteTopics(undefined, request))
      return answer.responses.map(({ name, errorCode }) => [name, errorCode])
    }
    const byId = made[1]!.topicId!
    assert.deepEqual(
      await remove([
        { name: 'a', topicId: ZERO },
        { name: null, topicId: byId },
        { name: 'x', topicId: ZERO },
        { name: null, topicId: idOf(77) },
        { name: 'c', topicId: byId },
        { name: null, topicId: ZERO },
      ]),
      [
        ['a', 0],
        ['b', 0],
        ['x', 3],
        [null, 100],
        ['c', 42],
        [null, 42],
      ],
    )
    assert.deepEqual([...voter.image.topics.keys()], ['c'])
    assert.deepEqual(
      await remove([
        { name: 'c', topicId: ZERO },
        { name: 'c', topicId: ZERO },
      ]),
      [['c', 42]],
    )
    const idOfC = made[2]!.topicId!
    const both = [
      { name: null, topicId: idOfC },
      { name: 'c', topicId: ZERO },
    ]
    assert.deepEqual(await remove(both), [['c', 42]])
    const twice = [
      { name: null, topicId: idOfC },
      { name: null, topicId: idOfC },
    ]
    assert.deepEqual(await remove(twice), [[null, 42]])
    assert.deepEqual([...voter.image.topics.keys()], ['c'])
    const [again] = await create(cluster, [asked('a')])
    assert.notEqual(again!.topicId, made[0]!.topicId)
    const closed = await start(1, { 'delete.topic.enable': 'false' })
    const request = { topics: [{ name: 'a', topicId: ZERO }], topicNames: [], timeoutMs: 1 }
    const refused = closed.controller.deleteTopics(undefined, request)
    assert.equal((await closed.fixture.complete(refused)).responses[0]!.errorCode, 73)
  })

  it('adds partitions', async () => {
    const cluster = await start(2)
    const { fixture, controller, voter } = cluster
    await create(cluster, [asked('a', { replicationFactor: 2 })])
    const grow = async (count: number, assignments: number[][] | null, name = 'a') => {
      const topics = [
        { name, count, assignments: assignments?.map((brokerIds) => ({ brokerIds })) ?? null },
      ]
      const request = { topics, timeoutMs: 1000, validateOnly: false }
      const answer = await fixture.complete(controller.createPartitions(undefined, request))
      return answer.results[0]!.errorCode
    }
    assert.equal(await grow(3, null), 0)
    assert.equal(await grow(4, [[2, 1]]), 0)
    const { partitions } = voter.image.topics.get('a')!
    assert.deepEqual(
      partitions.map(({ index, replicas }) => [index, replicas.length]),
      [0, 1, 2, 3].map((index) => [index, 2]),
    )
    assert.deepEqual(partitions[3]!.replicas, [2, 1])
    assert.equal(await grow(4, null), 37)
    assert.equal(await grow(2, null), 37)
    assert.equal(await grow(6, [[1, 2]]), 39)
    assert.equal(await grow(5, [[1]]), 39)
    assert.equal(await grow(5, [[1, 9]]), 39)
    assert.equal(await grow(20_000, null), 44)
    assert.equal(await grow(5, null, 'nothing'), 3)
    const twice = { name: 'a', count: 9, assignments: null }
    const request = { topics: [twice, twice], timeoutMs: 1, validateOnly: false }
    const answer = await fixture.complete(controller.createPartitions(undefined, request))
    assert.deepEqual(
      answer.results.map(({ errorCode }) => errorCode),
      [42],
    )
  })

  it('changes settings of topics, brokers and groups', async () => {
    const cluster = await start()
    const { fixture, controller, voter } = cluster
    await create(cluster, [asked('a')])
    const alter = async (
      resourceType: number,
      resourceName: string,
      ...configs: [name: string, operation: number, value: string | null][]
    ) => {
      const resource = {
        resourceType,
        resourceName,
        configs: configs.map(([name, configOperation, value]) => ({
          name,
          configOperation,
          value,
        })),
      }
      const request = { resources: [resource], validateOnly: false }
      const answer = await fixture.complete(controller.incrementalAlterConfigs(undefined, request))
      return answer.responses[0]!.errorCode
    }
    assert.equal(await alter(RESOURCE.topic, 'a', ['cleanup.policy', 2, 'compact']), 0)
    assert.equal(await alter(RESOURCE.topic, 'a', ['retention.ms', 0, '5']), 0)
    const policy = () => overridesOf(voter.image, RESOURCE.topic, 'a').get('cleanup.policy')
    assert.equal(policy(), 'delete,compact')
    assert.equal(await alter(RESOURCE.topic, 'a', ['cleanup.policy', 3, 'delete']), 0)
    assert.equal(policy(), 'compact')
    assert.equal(await alter(RESOURCE.topic, 'nothing', ['retention.ms', 0, '5']), 3)
    assert.equal(await alter(RESOURCE.topic, '', ['retention.ms', 0, '5']), 42)
    assert.equal(await alter(RESOURCE.broker, '', ['log.retention.ms', 0, '5']), 0)
    assert.equal(await alter(RESOURCE.broker, '1', ['log.retention.ms', 0, '6']), 0)
    assert.equal(await alter(RESOURCE.broker, '2', ['log.retention.ms', 0, '6']), 102)
    assert.equal(await alter(RESOURCE.broker, 'x', ['log.retention.ms', 0, '6']), 42)
    assert.equal(await alter(RESOURCE.group, 'g', ['share.isolation.level', 0, 'x']), 40)
    assert.equal(
      await alter(RESOURCE.group, 'g', ['share.renew.acknowledge.enable', 0, 'false']),
      0,
    )
    assert.equal(await alter(99, 'g'), 42)
    assert.equal(overridesOf(voter.image, RESOURCE.broker, '1').get('log.retention.ms'), '6')
    const whole = {
      resources: [
        {
          resourceType: RESOURCE.topic,
          resourceName: 'a',
          configs: [{ name: 'segment.ms', value: '7' }],
        },
      ],
      validateOnly: false,
    }
    const answer = await fixture.complete(controller.alterConfigs(undefined, whole))
    assert.deepEqual(answer.responses[0], {
      errorCode: 0,
      errorMessage: null,
      resourceType: RESOURCE.topic,
      resourceName: 'a',
    })
    assert.deepEqual([...overridesOf(voter.image, RESOURCE.topic, 'a')], [['segment.ms', '7']])
    const double = { ...whole, resources: [whole.resources[0]!, whole.resources[0]!] }
    const refused = await fixture.complete(controller.alterConfigs(undefined, double))
    assert.deepEqual(
      refused.responses.map(({ errorCode }) => errorCode),
      [42, 42],
    )
  })

  it('keeps one least ISR for the whole cluster', async () => {
    const { fixture, controller, voter } = await start(2)
    const alter = async (resourceName: string, configOperation: number, value: string | null) => {
      const configs = [{ name: 'min.insync.replicas', configOperation, value }]
      const resource = { resourceType: RESOURCE.broker, resourceName, configs }
      const request = { resources: [resource], validateOnly: false }
      const answer = await fixture.complete(controller.incrementalAlterConfigs(undefined, request))
      return answer.responses[0]!.errorCode
    }
    const least = () => overridesOf(voter.image, RESOURCE.broker, '').get('min.insync.replicas')
    assert.equal(least(), '1', 'as the first controller has it')
    assert.equal(await alter('1', 0, '2'), 40)
    assert.equal(await alter('', 1, null), 40)
    assert.equal(await alter('', 0, '2'), 0)
    assert.equal(least(), '2')
    const whole = { resourceType: RESOURCE.broker, resourceName: '', configs: [] }
    const request = { resources: [whole], validateOnly: false }
    const answer = await fixture.complete(controller.alterConfigs(undefined, request))
    assert.equal(answer.responses[0]!.errorCode, 40)
  })

  it('gives out each producer id once', async () => {
    const { fixture, controller, voter } = await start()
    const request = { brokerId: 1, brokerEpoch: voter.image.brokers.get(1)!.epoch }
    const blocks = await fixture.complete(
      Promise.all([1, 2, 3].map(() => controller.allocateProducerIds(request))),
    )
    assert.deepEqual(
      blocks.map(({ producerIdStart, producerIdLen }) => [producerIdStart, producerIdLen]),
      [0, 1, 2].map((block) => [block * PRODUCER_ID_BLOCK, PRODUCER_ID_BLOCK]),
    )
    assert.equal(voter.image.nextProducerId, 3 * PRODUCER_ID_BLOCK)
    const stale = { ...request, brokerEpoch: request.brokerEpoch - 1 }
    assert.equal((await fixture.complete(controller.allocateProducerIds(stale))).errorCode, 77)
  })
})
