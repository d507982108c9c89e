/** For tests: a quorum on a simulated disk, and images made in one line. */

import { SILENT } from '../../base/logger.ts'
import { SimClock } from '../../base/sim/clock.ts'
import { SimDisk } from '../../base/sim/disk.ts'
import { SimRandom } from '../../base/sim/random.ts'
import { Scheduler } from '../../base/sim/scheduler.ts'
import { PartitionLog } from '../../log/partition-log.ts'
import { LogProbe } from '../../log/probe.ts'
import { replay } from './apply.ts'
import { EMPTY_IMAGE, type MetadataImage } from './image.ts'
import { QuorumState } from './quorum-state.ts'
import type { MetadataRecord, RecordOf } from './records.ts'
import { METADATA_LOG_CONFIG, SingleVoter } from './single-voter.ts'

/** 22 characters that name `number`. */
export function idOf(number: number): string {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32BE(number, 12)
  return bytes.toString('base64url')
}

export function topicRecord(name: string, topicId: string): MetadataRecord {
  return { type: 'TopicRecord', name, topicId }
}

export function partitionRecord(
  topicId: string,
  partitionId: number,
  more: Partial<RecordOf<'PartitionRecord'>> = {},
): MetadataRecord {
  return {
    type: 'PartitionRecord',
    topicId,
    partitionId,
    replicas: [1],
    isr: [1],
    removingReplicas: [],
    addingReplicas: [],
    leader: 1,
    leaderRecoveryState: 0,
    leaderEpoch: 0,
    partitionEpoch: 0,
    directories: [idOf(101)],
    eligibleLeaderReplicas: null,
    lastKnownElr: null,
    ...more,
  }
}

export function brokerRecord(
  brokerId: number,
  brokerEpoch: number,
  more: Partial<RecordOf<'RegisterBrokerRecord'>> = {},
): MetadataRecord {
  return {
    type: 'RegisterBrokerRecord',
    brokerId,
    isMigratingZkBroker: false,
    incarnationId: idOf(1000 + brokerId),
    brokerEpoch,
    endPoints: [
      { name: 'PLAINTEXT', host: 'localhost', port: 9092 + brokerId, securityProtocol: 0 },
    ],
    features: [],
    rack: null,
    fenced: false,
    inControlledShutdown: false,
    logDirs: [idOf(100 + brokerId)],
    cordonedLogDirs: null,
    ...more,
  }
}

/** The image after the records, as if they were one batch at the log's end. */
export function imageOf(
  records: readonly MetadataRecord[],
  base: MetadataImage = EMPTY_IMAGE,
): MetadataImage {
  return replay(base, records, base.offset + records.length, 1).image
}

class FixtureLife {
  isAlive = true
  run(act: () => void): void {
    if (this.isAlive) act()
  }
}

/** A machine with a metadata log; `start` as often as a test wants. */
export class QuorumFixture {
  readonly scheduler = new Scheduler()
  readonly random: SimRandom
  readonly disk: SimDisk
  readonly fatal: unknown[] = []
  #life = new FixtureLife()

  constructor(seed: number) {
    this.random = new SimRandom(seed)
    this.disk = new SimDisk({ random: this.random, scheduler: this.scheduler })
    this.disk.makeDirectory('/data')
  }

  complete<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.complete(promise)
  }

  /** A new life of the node on what the disk has. */
  start(): Promise<SingleVoter> {
    this.#life = new FixtureLife()
    return this.complete(this.#start(new SimClock(this.scheduler, this.#life)))
  }

  /** The process ends without a word. */
  kill(): void {
    this.#life.isAlive = false
    this.disk.killProcess()
  }

  /** The machine goes dark: what was not synced may be gone. */
  powerLoss(): void {
    this.#life.isAlive = false
    this.disk.powerLoss()
  }

  async #start(clock: SimClock): Promise<SingleVoter> {
    await this.disk.syncDirectory('/')
    const log = await PartitionLog.open({
      directory: '/data/__cluster_metadata-0',
      topic: '__cluster_metadata',
      partition: 0,
      config: METADATA_LOG_CONFIG,
      recoveryPoint: 0,
      logStartOffset: 0,
      isCleanShutdown: false,
      parts: {
        disk: this.disk,
        clock,
        logger: SILENT,
        probe: new LogProbe(),
        maybe: () => false,
      },
    })
    const voter = new SingleVoter({
      nodeId: 1,
      directoryId: idOf(101),
      clock,
      state: await QuorumState.open(this.disk, '/data'),
      log,
      onFatal: (error) => this.fatal.push(error),
    })
    await voter.start()
    return voter
  }
}
