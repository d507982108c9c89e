/**
 * The one log of a model test, on its simulated disk, with what its owner would keep for it: the
 * settings, the checkpoints, the clock. Everything follows from the seed.
 */
import type { Clock } from '../base/clock.ts'
import { StorageError } from '../base/errors.ts'
import { SILENT } from '../base/logger.ts'
import { SimClock } from '../base/sim/clock.ts'
import { SimDisk } from '../base/sim/disk.ts'
import { SimRandom } from '../base/sim/random.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { DEFAULT_LOG_CONFIG, type LogConfig } from './config.ts'
import { LogShared } from './files.ts'
import { Model } from './model.ts'
import { AppendOutcome, PartitionLog } from './partition-log.ts'
import { LogProbe } from './probe.ts'

export const DIRECTORY = 'data/t-0'
export const EVERYTHING = Number.MAX_SAFE_INTEGER
const FIRST_MS = 1_700_000_000_000

/** The process or the machine ends at this operation on the disk, and does nothing more. */
export class Ended extends StorageError {
  constructor() {
    super('EIO', DIRECTORY, 'the end at')
  }
}

export function isRefusal(error: unknown): boolean {
  return error instanceof StorageError && !(error instanceof Ended)
}

export class ModelBench {
  readonly model = new Model()
  readonly random: SimRandom
  readonly disk: SimDisk
  readonly clock: Clock = new SimClock(new Scheduler())
  readonly probe = new LogProbe()
  readonly outcome = new AppendOutcome()
  readonly shared: LogShared
  readonly isFollower: boolean
  readonly config: LogConfig
  log!: PartitionLog
  epoch = 0
  nowMs = FIRST_MS
  /** What the store would keep in its checkpoints. */
  recoveryPoint = 0
  savedStart = 0
  firstDirty = 0
  toldWatermark = 0
  #trace: string[] = []

  constructor(seed: number) {
    this.random = new SimRandom(seed)
    const { random } = this
    this.disk = new SimDisk({ random: random.split('disk'), nowMs: () => this.nowMs })
    this.disk.makeDirectory('data')
    const isCompacted = random.chance(0.3)
    this.isFollower = random.chance(0.25)
    this.config = randomConfig(random, isCompacted)
    this.shared = new LogShared(this.disk, this.probe, {
      openFilesMax: random.pick([2, 10, 1000]),
      producerExpirationMs: EVERYTHING,
      checkpoints: {
        lower: async (_directory, offset) => {
          this.recoveryPoint = Math.min(this.recoveryPoint, offset)
          this.savedStart = Math.min(this.savedStart, offset)
        },
        saveStart: async (_directory, offset) => {
          this.savedStart = Math.max(this.savedStart, offset)
          return true
        },
        restart: async (_directory, offset) => {
          this.recoveryPoint = this.savedStart = offset
        },
      },
    })
  }

  get trace(): readonly string[] {
    return this.#trace
  }

  note(text: string): void {
    this.#trace.push(text)
    if (this.#trace.length > 400) this.#trace = this.#trace.slice(-200)
  }

  /** For the trace. */
  #files(): string {
    if (!this.disk.exists(DIRECTORY)) return 'nothing'
    const names = this.disk.list(DIRECTORY).map(({ name }) => name)
    return names
      .filter((name) => !/index$|sums$/.test(name))
      .map((name) => `${name.replace(/^0+(?=\d)/, '')}:${this.disk.sizeOf(`${DIRECTORY}/${name}`)}`)
      .join(' ')
  }

  async open(isClean: boolean): Promise<void> {
    this.note(`open at ${this.recoveryPoint}, start ${this.savedStart}: ${this.#files()}`)
    this.log = await PartitionLog.open({
      directory: DIRECTORY,
      topic: 't',
      partition: 0,
      config: this.config,
      recoveryPoint: this.recoveryPoint,
      logStartOffset: this.savedStart,
      isCleanShutdown: isClean,
      parts: {
        disk: this.disk,
        clock: this.clock,
        logger: SILENT,
        probe: this.probe,
        maybe: () => false,
        shared: this.shared,
      },
    })
  }
}

function randomConfig(random: SimRandom, isCompacted: boolean): LogConfig {
  return {
    ...DEFAULT_LOG_CONFIG,
    segmentBytes: random.pick([300, 1000, 3000, 100_000]),
    indexIntervalBytes: random.pick([0, 100, 400, 4096]),
    segmentIndexBytes: random.pick([48, 400, 10_000]),
    isCompacted,
    isDeleted: !isCompacted || random.chance(0.3),
    retentionBytes: random.chance(0.3) ? random.pick([2000, 10_000]) : -1,
    retentionMs: random.chance(0.3) ? 20_000 : -1,
    deleteRetentionMs: random.pick([0, 50_000]),
    minCleanableDirtyRatio: 0,
    maxMessageBytes: 1_000_000,
    fileDeleteDelayMs: 1000,
    timestampAfterMaxMs: Number.MAX_SAFE_INTEGER,
  }
}
