/** All logs of a node's log directories. */
import type { Clock } from '../base/clock.ts'
import type { Disk } from '../base/disk.ts'
import type { Logger } from '../base/logger.ts'
import type { Random } from '../base/random.ts'
import type { LogConfig } from './config.ts'
import type { PartitionLog } from './partition-log.ts'
import { LogProbe } from './probe.ts'

export interface StoreParts {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  maybe(name: string): boolean
}

export interface StoreOptions {
  /** Each is made when missing, and locked for this process. */
  readonly directories: readonly string[]
  readonly parts: StoreParts
  /** How often offset checkpoints are written when they changed. */
  readonly checkpointMs?: number
  /** How often retention, rolls by time, expiry of producers and compaction are looked at. */
  readonly maintenanceMs?: number
  readonly producerExpirationMs?: number
}

/** A log that a start found on disk. */
export interface StoredLog {
  readonly log: PartitionLog
  /** 22 characters, base64url; undefined when `partition.metadata` is missing or damaged. */
  readonly topicId: string | undefined
}

/** What the owner of the partitions knows: asked for at checkpoints and by retention. */
export type WatermarkOf = (log: PartitionLog) => number

export interface FailedLog {
  readonly topic: string
  readonly partition: number
  readonly directory: string
  readonly error: unknown
}

export class LogStore {
  readonly probe = new LogProbe()
  readonly directories: readonly string[]

  private constructor(options: StoreOptions) {
    this.directories = options.directories
  }

  /** Locks the directories (UserError when another process has one) and reads the checkpoints. */
  static open(options: StoreOptions): Promise<LogStore> {
    return Promise.resolve(new LogStore(options))
  }

  /** Opens every log found, few at a time. One that can't be opened is in `failedLogs`. */
  openLogs(_configOf: (topic: string) => LogConfig): Promise<StoredLog[]> {
    return Promise.resolve([])
  }

  /** Names of the logs found on disk, before any is opened. */
  listed(): { topic: string; partition: number; directory: string; topicId: string | undefined }[] {
    return []
  }

  get(_topic: string, _partition: number): PartitionLog | undefined {
    return undefined
  }

  logs(): Iterable<PartitionLog> {
    return []
  }

  /** The watermark of the last run's checkpoint; 0 when there is none. */
  checkpointedWatermark(_topic: string, _partition: number): number {
    return 0
  }

  /** A new, empty log in the directory with the fewest logs. Throws StorageError. */
  create(_options: {
    topic: string
    partition: number
    topicId: string
    config: LogConfig
    directory?: string
  }): Promise<PartitionLog> {
    return Promise.reject(new Error('not built yet'))
  }

  /** Renames the log's directory away at once; its files are removed in the background. */
  delete(_topic: string, _partition: number): Promise<void> {
    return Promise.resolve()
  }

  /** Starts checkpoints, retention and compaction in the background. */
  startMaintenance(_watermarkOf: WatermarkOf): void {}

  failedLogs(): readonly FailedLog[] {
    return []
  }

  /** Writes the checkpoints that changed. */
  checkpoint(): Promise<void> {
    return Promise.resolve()
  }

  /** Syncs and closes all logs, writes checkpoints and the clean-shutdown marks, lets go of the locks. */
  close(): Promise<void> {
    return Promise.resolve()
  }
}
