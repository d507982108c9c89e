import assert from 'node:assert/strict'
import { CorruptionError } from '../base/errors.ts'
import { SILENT } from '../base/logger.ts'
import { SimWorld } from '../base/sim/world.ts'
import { Turn } from '../base/turn.ts'
import { DEFAULT_LOG_CONFIG } from '../log/config.ts'
import { LogStore } from '../log/store.ts'
import { ReplicationProbe } from '../replication/probe.ts'
import { replay } from './metadata/apply.ts'
import type { FailedReplica } from './metadata/controller-port.ts'
import { EMPTY_IMAGE, type MetadataImage } from './metadata/image.ts'
import { type MetadataRecord, partitionChangeRecord } from './metadata/records.ts'
import { brokerRecord, idOf, partitionRecord, topicRecord } from './metadata/testing.ts'
import { Partitions } from './partitions.ts'

const NODE = 1
const T = idOf(1)
const directories = [idOf(101), idOf(102), idOf(103)]
const three = { replicas: [1, 2, 3], isr: [1, 2, 3], directories }

/** One node's partitions, and an image that changes by records. */
class Fixture {
  readonly world: SimWorld
  image: MetadataImage = EMPTY_IMAGE
  #partitions: Partitions | undefined
  store!: LogStore
  readonly roles: string[] = []
  readonly reports: FailedReplica[] = []
  readonly opened: number[] = []
  throttledReplicas: readonly string[] = []
  #before = -1

  constructor(seed: number) {
    this.world = new SimWorld(seed)
  }

  get partitions(): Partitions {
    assert.ok(this.#partitions !== undefined, 'a process runs')
    return this.#partitions
  }

  /** A new process, which knows the image and is not registered yet. */
  async start(): Promise<void> {
    const { clock, disk, random } = this.world.host('n1').world
    const logger = SILENT
    this.store = await this.#complete(
      LogStore.open({
        directories: ['data'],
        parts: { disk, clock, random, logger, maybe: () => false },
      }),
    )
    await this.#complete(this.store.openLogs(() => DEFAULT_LOG_CONFIG))
    this.#before = this.image.brokers.get(NODE)?.epoch ?? -1
    this.#partitions = new Partitions(
      {
        nodeId: NODE,
        store: this.store,
        clock,
        turn: new Turn(clock),
        logger,
        probe: new ReplicationProbe(),
        settingsOf: () => ({
          log: DEFAULT_LOG_CONFIG,
          minInsyncReplicas: 1,
          throttledReplicas: this.throttledReplicas,
        }),
        peers: {
          open: (leaderId) => {
            this.opened.push(leaderId)
            return undefined
          },
        },
        controller: {
          alterPartition: () => Promise.reject(new Error('nobody answers')),
          reportFailedReplica: async (report) => {
            this.reports.push(report)
            return 0
          },
        },
        lagMaxMs: () => 1000,
        brokerEpoch: (image) => {
          const epoch = image.brokers.get(NODE)?.epoch ?? -1
          return epoch > this.#before ? epoch : -1
        },
      },
      this.image,
    )
    this.partitions.addLeadershipListener({
      onLeading: ({ topic, index, leaderEpoch }) => {
        this.roles.push(`leads ${topic}-${index} in ${leaderEpoch}`)
      },
      onResigned: (topic, index) => this.roles.push(`resigns ${topic}-${index}`),
    })
    await this.#complete(this.partitions.start())
  }

  /** Of the process that runs, if any. */
  async apply(...records: MetadataRecord[]): Promise<void> {
    const { image, delta } = replay(this.image, records, this.image.offset + records.length, 1)
    this.image = image
    this.#partitions?.apply(image, delta)
    if (this.#partitions !== undefined) await this.#complete(this.partitions.settled())
  }

  register(epoch: number): Promise<void> {
    return this.apply(brokerRecord(NODE, epoch))
  }

  async stop(): Promise<void> {
    await this.#complete(this.partitions.close())
    await this.#complete(this.store.close())
    this.#partitions = undefined
    this.world.host('n1').kill()
  }

  #complete<T>(work: Promise<T>): Promise<T> {
    return this.world.complete(work)
  }

  /** Log directories. */
  get logs(): string[] {
    const { disk } = this.world.host('n1').world
    return disk
      .list('data')
      .filter(({ name, isDirectory }) => isDirectory && !/-(delete|stray)$/.test(name))
      .map(({ name }) => name)
  }
}

describe('node/partitions', () => {
  it('leads and follows as the image says, once it is registered', async () => {
    const fixture = new Fixture(1)
    await fixture.apply(
      topicRecord('t', T),
      partitionRecord(T, 0, three),
      partitionRecord(T, 1, { ...three, leader: 2 }),
      partitionRecord(T, 2, { replicas: [2], isr: [2], leader: 2, directories: [idOf(102)] }),
    )
    await fixture.start()
    assert.deepEqual(fixture.logs, ['t-0', 't-1'])
    assert.deepEqual(fixture.roles, [])
    assert.equal(fixture.partitions.find('t', 0)!.isLeader, false)
    await fixture.register(5)
    // What an earlier process led is not led in the same epoch again.
    assert.deepEqual(fixture.roles, [])
    await fixture.apply(partitionChangeRecord(T, 0, { leader: 1 }))
    assert.deepEqual(fixture.roles, ['leads t-0 in 1'])
    assert.ok(fixture.opened.includes(2))
    await fixture.apply(partitionChangeRecord(T, 0, { leader: 3 }))
    assert.deepEqual(fixture.roles, ['leads t-0 in 1', 'resigns t-0'])
    await fixture.world.runFor(100)
    assert.ok(fixture.opened.includes(3))
    await fixture.stop()
  })

  it('leads the one replica of a partition in the epoch that it had', async () => {
    const fixture = new Fixture(2)
    await fixture.apply(topicRecord('t', T), partitionRecord(T, 0))
    await fixture.start()
    assert.deepEqual(fixture.roles, [])
    await fixture.register(5)
    assert.deepEqual(fixture.roles, ['leads t-0 in 0'])
    await fixture.stop()
  })

  it('leads at once what is made after it was registered', async () => {
    const fixture = new Fixture(3)
    await fixture.start()
    await fixture.register(5)
    await fixture.apply(topicRecord('t', T), partitionRecord(T, 0, three))
    assert.deepEqual(fixture.roles, ['leads t-0 in 0'])
    await fixture.stop()
  })

  it('throttles the replicas that the topic names for this broker, or all (KIP-73)', async () => {
    const fixture = new Fixture(4)
    await fixture.start()
    await fixture.register(5)
    const cases: readonly [readonly string[], boolean][] = [
      [[], false],
      [['*'], true],
      [['0:2', `0:${NODE}`], true],
      [['0:2', `1:${NODE}`], false],
    ]
    for (const [at, [throttledReplicas, isThrottled]] of cases.entries()) {
      fixture.throttledReplicas = throttledReplicas
      const topicId = idOf(10 + at)
      await fixture.apply(topicRecord(`t${at}`, topicId), partitionRecord(topicId, 0, three))
      const { service } = fixture.partitions
      const partition = fixture.partitions.find(`t${at}`, 0)!
      assert.equal(service.parts.isThrottled?.(partition), isThrottled, `${throttledReplicas}`)
    }
    await fixture.stop()
  })

  it('removes a replica that others have now, and makes it again when it comes back', async () => {
    const fixture = new Fixture(4)
    await fixture.start()
    await fixture.register(5)
    await fixture.apply(topicRecord('t', T), partitionRecord(T, 0, { ...three, leader: 2 }))
    assert.deepEqual(fixture.logs, ['t-0'])
    const away = { replicas: [2, 3], isr: [2, 3], directories: directories.slice(1) }
    await fixture.apply(partitionChangeRecord(T, 0, away))
    assert.deepEqual(fixture.logs, [])
    assert.equal(fixture.partitions.find('t', 0), undefined)
    await fixture.apply(partitionChangeRecord(T, 0, { replicas: [1, 2, 3], directories }))
    assert.deepEqual(fixture.logs, ['t-0'])
    // There and back before a log can be made or removed.
    const { partitions } = fixture
    const first = replay(fixture.image, [partitionChangeRecord(T, 0, away)], 90, 1)
    const back = { replicas: [1, 2, 3], directories }
    const second = replay(first.image, [partitionChangeRecord(T, 0, back)], 91, 1)
    partitions.apply(first.image, first.delta)
    partitions.apply(second.image, second.delta)
    fixture.image = second.image
    await fixture.world.complete(partitions.settled())
    assert.deepEqual(fixture.logs, ['t-0'])
    assert.equal(partitions.find('t', 0)!.isClosed, false)
    await fixture.stop()
  })

  for (const end of ['moved', 'deleted'] as const) {
    it(`goes on when the disk refuses while a replica is ${end}, and may have it again`, async () => {
      const fixture = new Fixture(9)
      await fixture.start()
      await fixture.register(5)
      await fixture.apply(topicRecord('t', T), partitionRecord(T, 0, { ...three, leader: 2 }))
      const { disk } = fixture.world.host('n1')
      disk.fault = (operation, path) => {
        return operation === 'syncDirectory' && path === 'data' ? 'EIO' : undefined
      }
      const away = { replicas: [2, 3], isr: [2, 3], directories: directories.slice(1) }
      await fixture.apply(
        end === 'moved'
          ? partitionChangeRecord(T, 0, away)
          : { type: 'RemoveTopicRecord', topicId: T },
      )
      assert.equal(fixture.partitions.find('t', 0), undefined)
      disk.fault = () => undefined
      const back = { replicas: [1, 2, 3], directories }
      if (end === 'moved') await fixture.apply(partitionChangeRecord(T, 0, back))
      else {
        const id = idOf(9)
        await fixture.apply(topicRecord('t', id), partitionRecord(id, 0, { ...three, leader: 2 }))
      }
      assert.equal(fixture.partitions.find('t', 0)!.isClosed, false)
      assert.deepEqual(fixture.logs, ['t-0'])
      await fixture.stop()
    })
  }

  it('removes strays only when it is registered, and never what the next image has', async () => {
    const fixture = new Fixture(5)
    await fixture.start()
    await fixture.register(5)
    await fixture.apply(
      topicRecord('t', T),
      partitionRecord(T, 0, three),
      topicRecord('u', idOf(2)),
      partitionRecord(idOf(2), 0, three),
    )
    await fixture.stop()
    // The metadata of this node lost its unsynced end: it does not have the topics yet.
    fixture.image = EMPTY_IMAGE
    await fixture.apply(brokerRecord(NODE, 5))
    await fixture.start()
    assert.deepEqual(fixture.logs, ['t-0', 'u-0'])
    await fixture.apply(topicRecord('t', T), partitionRecord(T, 0, { ...three, leader: 2 }))
    await fixture.register(9)
    await fixture.world.complete(fixture.partitions.settled())
    assert.deepEqual(fixture.logs, ['t-0'])
    await fixture.stop()
  })

  it('does not take the log of an earlier topic of the same name', async () => {
    const fixture = new Fixture(6)
    await fixture.start()
    await fixture.register(5)
    await fixture.apply(topicRecord('t', T), partitionRecord(T, 0, three))
    await fixture.stop()
    fixture.image = EMPTY_IMAGE
    await fixture.apply(
      brokerRecord(NODE, 5),
      topicRecord('t', idOf(9)),
      partitionRecord(idOf(9), 0, { ...three, leader: 2 }),
    )
    await fixture.start()
    assert.equal(fixture.partitions.find('t', 0), undefined)
    await fixture.register(9)
    await fixture.world.complete(fixture.partitions.settled())
    assert.equal(fixture.partitions.find('t', 0)!.topicId, idOf(9))
    assert.deepEqual(
      fixture.store.listed().map(({ topicId }) => topicId),
      [idOf(9)],
    )
    await fixture.stop()
  })

  for (const end of ['opened', 'deleted'] as const) {
    it(`hosts a partition whose log could not be opened at the start, until it is ${end}`, async () => {
      const fixture = new Fixture(8)
      await fixture.start()
      await fixture.register(5)
      await fixture.apply(topicRecord('t', T), partitionRecord(T, 0), partitionRecord(T, 1, three))
      await fixture.stop()
      const { disk } = fixture.world.host('n1')
      disk.fault = (operation, path) => {
        return operation === 'list' && path.startsWith('data/t-') ? 'EMFILE' : undefined
      }
      await fixture.start()
      await fixture.register(9)
      await fixture.world.complete(fixture.partitions.settled())
      assert.equal(fixture.partitions.find('t', 0), undefined)
      // Another replica is to lead, where there is one.
      await fixture.world.runFor(50)
      const reports = fixture.reports.map(
        ({ partitionIndex, reason }) => `${partitionIndex} ${reason}`,
      )
      assert.deepEqual(new Set(reports), new Set(['1 storage']))
      disk.fault = () => undefined
      if (end === 'deleted') {
        await fixture.apply({ type: 'RemoveTopicRecord', topicId: T })
        assert.deepEqual(fixture.logs, [])
        assert.deepEqual(fixture.store.failedLogs(), [])
      } else {
        fixture.roles.length = 0
        fixture.store.startMaintenance(() => 0)
        await fixture.world.runFor(6000)
        assert.equal(fixture.partitions.find('t', 1)?.isClosed, false)
        assert.deepEqual(fixture.roles, ['leads t-0 in 0'])
      }
      await fixture.stop()
    })
  }

  it('tells the controller of a replica that fails', async () => {
    const fixture = new Fixture(7)
    await fixture.start()
    await fixture.register(5)
    await fixture.apply(topicRecord('t', T), partitionRecord(T, 0, three))
    const partition = fixture.partitions.find('t', 0)!
    partition.onCorruption(new CorruptionError('x', 'damaged'))
    await fixture.world.runFor(50)
    assert.deepEqual(
      fixture.reports.map(({ topicId, partitionIndex, reason, brokerEpoch }) => [
        topicId,
        partitionIndex,
        reason,
        brokerEpoch,
      ]),
      [[T, 0, 'damaged', 5]],
    )
    await fixture.stop()
  })
})
