/**
 * All logs of a node's log directories: found, opened, made, removed, and their checkpoints.
 *
 * Invariant: a recovery point is written only after what it relies on (the records below it, their
 * leader epochs) is durable.
 */
import { assert } from '../base/assert.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Disk } from '../base/disk.ts'
import { StorageError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Random } from '../base/random.ts'
import { PARTITION_METADATA, parseTopicId, readIfThere, renderTopicId } from './checkpoints.ts'
import type { CleanerCheckpoint } from './cleanable.ts'
import { Cleaning, type CleaningOptions } from './cleaning.ts'
import type { LogConfig } from './config.ts'
import { type CheckpointKeeper, LogShared } from './files.ts'
import { FlushSchedule } from './flush-schedule.ts'
import { LogDirectory } from './log-directory.ts'
import { type FailedLog, type ListedLog, Openings } from './openings.ts'
import { PartitionLog } from './partition-log.ts'
import { LogProbe } from './probe.ts'
import { REMOVED, Removals } from './removals.ts'
import { Scrubber, type ScrubbingOptions } from './scrubber.ts'
import { Slices } from './slices.ts'

export interface StoreParts {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  maybe(name: string): boolean
  /** As World. */
  spendYoung?(bytes: number): void
}

export interface StoreOptions {
  /** Each is made when missing, and locked for this process. */
  readonly directories: readonly string[]
  readonly parts: StoreParts
  /** How often offset checkpoints are written when they changed. */
  readonly checkpointMs?: number
  /** How often retention, rolls by time and expiry of producers are looked at. */
  readonly maintenanceMs?: number
  readonly producerExpirationMs?: number
  /** Undefined: as Kafka's defaults. 'off': compacted topics keep all records. */
  readonly cleaning?: CleaningOptions | 'off'
}

export type { FailedLog, ListedLog } from './openings.ts'

/** What the owner of the partitions knows: asked for at checkpoints and by retention. */
export type WatermarkOf = (log: PartitionLog) => number

const CHECKPOINT_MS = 5000
const MAINTENANCE_MS = 300_000
const CLOSE_PARALLEL = 32
const UPKEEP_PARALLEL = 16
const NAME = /^([a-zA-Z0-9._-]{1,249})-(\d{1,10})$/
const METADATA_TOPIC = '__cluster_metadata'
/** A file whose name was durable and whose bytes were not: without any, or with zeros. */
const NEVER_WRITTEN = /^\0*$/

export class LogStore implements CheckpointKeeper, CleanerCheckpoint {
  readonly probe = new LogProbe()
  readonly directories: readonly string[]
  readonly #parts: StoreParts
  readonly #options: StoreOptions
  readonly #shared: LogShared
  readonly #directories: readonly LogDirectory[]
  readonly #logs = new Map<string, PartitionLog>()
  readonly #openings: Openings
  /** Said once, however often they are looked at. */
  readonly #damagedIds = new Set<string>()
  /** Found and not said yet. */
  #emptyIds = 0
  readonly #out: Removals
  readonly #flushes: FlushSchedule
  readonly #cleaning: Cleaning | undefined
  #watermarkOf: WatermarkOf = () => 0
  #onOpened: (log: PartitionLog) => void = () => {}
  #scrubber: Scrubber | undefined
  #timer: Timer | undefined
  #upkeep: Promise<void> = Promise.resolve()
  #lastMaintenanceMs = 0
  /** Of writes to a full disk, when maintenance was last considered. */
  #refusals = 0
  /** Those that were found. */
  #areOpened = false
  #isClosed = false

  private constructor(options: StoreOptions, directories: readonly LogDirectory[]) {
    this.directories = options.directories
    this.#options = options
    this.#parts = options.parts
    this.#directories = directories
    const { producerExpirationMs, cleaning } = options
    const { clock, logger } = options.parts
    this.#flushes = new FlushSchedule(clock)
    const { disk, random } = options.parts
    const leave = (name: string, log: PartitionLog | undefined) => this.#leave(name, log)
    this.#out = new Removals({ disk, random, logger, directories, leave })
    this.#openings = new Openings({
      clock,
      logger,
      open: (listed, config, isRetry) => this.#openListed(listed, config, isRetry),
      adopt: (log) => this.#adopt(log),
    })
    this.#shared = new LogShared(options.parts.disk, this.probe, {
      checkpoints: this,
      flushes: this.#flushes,
      ...(producerExpirationMs === undefined ? {} : { producerExpirationMs }),
    })
    if (cleaning !== 'off') {
      const { probe } = this
      const logs = () => this.logs()
      const watermarkOf = (log: PartitionLog) => this.#watermarkOf(log)
      this.#cleaning = new Cleaning(
        { clock, logger, probe, checkpoint: this, logs, watermarkOf },
        cleaning,
      )
    }
  }

  /** Locks the directories (UserError when another process has one) and reads the checkpoints. */
  static async open(options: StoreOptions): Promise<LogStore> {
    const directories: LogDirectory[] = []
    try {
      for (const path of options.directories) {
        directories.push(await LogDirectory.claim(path, options.parts))
      }
    } catch (error) {
      for (const directory of directories) await directory.release()
      throw error
    }
    const store = new LogStore(options, directories)
    store.#sayDamage()
    return store
  }

  #sayDamage(): void {
    for (const { path } of this.#directories.flatMap((one) => one.damagedTables())) {
      this.probe.damagedCheckpoints++
      this.#parts.logger.error('A checkpoint of a log directory is damaged: it is left out.', {
        path,
      })
    }
  }

  /** Opens every log found, few at a time. One that can't be opened is in `failedLogs`. */
  async openLogs(configOf: (topic: string) => LogConfig): Promise<void> {
    const listed = this.listed()
    this.#forgetUnlisted(listed)
    await this.#openings.openAll(listed, configOf)
    this.#areOpened = true
  }

  #forgetUnlisted(listed: readonly ListedLog[]): void {
    const known = new Set(
      listed.map(({ parent, topic, partition }) => {
        return `${parent}/${topic}-${partition}`
      }),
    )
    for (const directory of this.#directories) {
      for (const name of directory.names()) {
        if (!known.has(`${directory.path}/${name}`)) directory.forget(name)
      }
    }
  }

  #openListed(listed: ListedLog, config: LogConfig, isRetry: boolean): Promise<PartitionLog> {
    const directory = this.#directories.find(({ path }) => path === listed.parent)
    assert(directory !== undefined, 'a listed log lies in a directory of ours')
    const name = `${listed.topic}-${listed.partition}`
    return PartitionLog.open({
      directory: `${listed.parent}/${name}`,
      topic: listed.topic,
      partition: listed.partition,
      config,
      recoveryPoint: directory.recoveryPointOf(name),
      logStartOffset: directory.logStarts.get(name) ?? 0,
      isCleanShutdown: directory.isClean && !isRetry,
      isDoubtful: isRetry,
      parts: { ...this.#parts, probe: this.probe, shared: this.#shared },
    })
  }

  #adopt(log: PartitionLog): void {
    const name = nameOf(log)
    this.#logs.set(name, log)
    this.#placeOf(log.directory).parent.logCount++
    this.#onOpened(log)
  }

  /** Hears of each log that could not be opened at the start, and is there now. */
  onOpened(listener: (log: PartitionLog) => void): void {
    this.#onOpened = listener
  }

  /** Its log could not be opened yet; that is tried again by itself. */
  isAwaited(topic: string, partition: number): boolean {
    return this.#openings.isAwaited(`${topic}-${partition}`)
  }

  /**
   * Logs found on disk, before any is opened. Directories of deleted logs are removed on the way.
   */
  listed(): ListedLog[] {
    const { disk } = this.#parts
    const found: ListedLog[] = []
    for (const { path } of this.#directories) {
      for (const { name, isDirectory } of disk.list(path)) {
        if (!isDirectory) continue
        if (REMOVED.test(name)) this.#out.removeLater(`${path}/${name}`)
        const match = NAME.exec(name)
        if (match === null || REMOVED.test(name) || match[1] === METADATA_TOPIC) continue
        const topicId = this.#topicIdIn(`${path}/${name}`)
        found.push({ topic: match[1]!, partition: Number(match[2]), parent: path, topicId })
      }
    }
    this.#sayEmptyIds()
    return found
  }

  #topicIdIn(directory: string): string | undefined {
    const { disk, logger } = this.#parts
    const path = `${directory}/${PARTITION_METADATA}`
    const text = readIfThere(disk, path)?.toString('utf8')
    const topicId = text === undefined ? undefined : parseTopicId(text)
    if (text === undefined || topicId !== undefined || this.#damagedIds.has(path)) return topicId
    this.#damagedIds.add(path)
    if (NEVER_WRITTEN.test(text)) {
      this.#emptyIds++
      return undefined
    }
    this.probe.damagedCheckpoints++
    logger.error('The topic of a log is not known: its id is damaged.', { path })
    return undefined
  }

  /** No damage: the id of a log that had no durable record yet is lost with the power. */
  #sayEmptyIds(): void {
    if (this.#emptyIds === 0) return
    const message = 'Logs without their topic ids were found, as a power loss leaves new ones.'
    this.#parts.logger.info(message, { partitions: this.#emptyIds })
    this.#emptyIds = 0
  }

  get(topic: string, partition: number): PartitionLog | undefined {
    return this.#logs.get(`${topic}-${partition}`)
  }

  logs(): Iterable<PartitionLog> {
    return this.#logs.values()
  }

  /** The watermark of the last run's checkpoint; 0 when there is none. */
  checkpointedWatermark(topic: string, partition: number): number {
    const name = `${topic}-${partition}`
    for (const { watermarks } of this.#directories) {
      const offset = watermarks.get(name)
      if (offset !== undefined) return offset
    }
    return 0
  }

  /**
   * A new, empty log in the directory with the fewest logs. Rejects with StorageError. It is
   * durable with its first records: until then a power loss may take it, and its owner makes it
   * again.
   */
  async create(options: {
    topic: string
    partition: number
    topicId: string
    config: LogConfig
  }): Promise<PartitionLog> {
    const { topic, partition, topicId, config } = options
    const name = `${topic}-${partition}`
    assert(!this.#logs.has(name), 'a log is made once')
    await this.#out.settled(name)
    const parent = this.#emptiest()
    parent.logCount++
    try {
      await parent.admit(name)
      const directory = `${parent.path}/${name}`
      await this.#makeDirectory(directory, topicId)
      assert(!this.#logs.has(name), 'a log is made by one owner')
      const log = PartitionLog.create({
        directory,
        topic,
        partition,
        config,
        parts: { ...this.#parts, probe: this.probe, shared: this.#shared },
        makeDurable: () => this.#makeDurable(parent, directory),
      })
      this.#logs.set(name, log)
      return log
    } catch (error) {
      parent.logCount--
      throw error
    }
  }

  /** With the topic's id in it. What could not be opened at the start is not touched. */
  async #makeDirectory(directory: string, topicId: string): Promise<void> {
    const { disk } = this.#parts
    if (disk.exists(directory)) throw new StorageError('EEXIST', directory, 'make a log in')
    disk.makeDirectory(directory)
    const text = Buffer.from(renderTopicId(topicId))
    try {
      const metadata = disk.open(`${directory}/${PARTITION_METADATA}`, 'new')
      try {
        metadata.write(text, 0, text.length, 0)
      } finally {
        metadata.close()
      }
    } catch (error) {
      await disk.removeDirectory(directory)
      throw error
    }
  }

  async #makeDurable(parent: LogDirectory, directory: string): Promise<void> {
    const metadata = this.#parts.disk.open(`${directory}/${PARTITION_METADATA}`, 'write')
    try {
      await Promise.all([metadata.sync(), parent.syncNames()])
    } finally {
      metadata.close()
    }
  }

  #emptiest(): LogDirectory {
    return this.#directories.reduce((best, one) => (one.logCount < best.logCount ? one : best))
  }

  /**
   * Renames the log's directory away, as soon as nothing is under way in it; its files are removed
   * in the background. A log of the same name can be made at once. Rejects with StorageError.
   */
  delete(topic: string, partition: number): Promise<void> {
    return this.#takeOut(topic, partition, false)
  }

  /**
   * Takes a log out that nobody asks for, and keeps its files under a name that ends in `-stray`:
   * should it be the metadata that is wrong, its records are not lost. Rejects with StorageError.
   */
  setAside(topic: string, partition: number): Promise<void> {
    return this.#takeOut(topic, partition, true)
  }

  #takeOut(topic: string, partition: number, keeps: boolean): Promise<void> {
    const name = `${topic}-${partition}`
    const log = this.#logs.get(name)
    this.#logs.delete(name)
    log?.abandon()
    return this.#out.takeOut(name, log, keeps)
  }

  async #leave(name: string, log: PartitionLog | undefined): Promise<void> {
    await this.#openings.giveUp(name)
    if (log === undefined) return
    await this.#cleaning?.leave(log)
    await log.settled()
  }

  /** Starts checkpoints, retention, compaction and, where asked for, scrubbing in the background. */
  startMaintenance(watermarkOf: WatermarkOf, scrubbing?: ScrubbingOptions): void {
    this.#watermarkOf = watermarkOf
    this.#lastMaintenanceMs = this.#parts.clock.monotonicMs()
    this.#schedule()
    this.#cleaning?.start()
    if (scrubbing === undefined) return
    const { clock, logger } = this.#parts
    const { probe } = this
    this.#scrubber = new Scrubber({ clock, logger, probe, logs: () => this.logs() }, scrubbing)
  }

  #schedule(): void {
    if (this.#isClosed) return
    this.#timer = this.#parts.clock.after(this.#options.checkpointMs ?? CHECKPOINT_MS, () => {
      this.#upkeep = this.#tick().finally(() => this.#schedule())
    })
  }

  async #tick(): Promise<void> {
    const { clock, logger } = this.#parts
    try {
      // These may take long.
      void this.#openings.retry()
      this.#scrubber?.look()
      const isDue = clock.monotonicMs() - this.#lastMaintenanceMs >= this.#maintenanceMs
      // What was deleted meanwhile may be all the room that there is to be had.
      const isFull = this.probe.fullDiskRefusals > this.#refusals
      this.#refusals = this.probe.fullDiskRefusals
      if (isDue || isFull) {
        this.#lastMaintenanceMs = clock.monotonicMs()
        const nowMs = clock.nowMs()
        await this.#eachLog((log) => log.maintain(nowMs, this.#watermarkOf(log)))
      }
      if (!this.#isClosed) await this.checkpoint()
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      logger.error('Checkpoints of logs can not be written; it is tried again.', {
        error: error.message,
      })
    }
  }

  /** A few at once. What one log meets stops no other, and the loop keeps turning. */
  async #eachLog(run: (log: PartitionLog) => Promise<void>): Promise<void> {
    const { clock, logger } = this.#parts
    const slices = new Slices(clock)
    const logs = this.#logs.values()
    const worker = async () => {
      for (const log of logs) {
        try {
          await run(log)
        } catch (error) {
          if (!(error instanceof StorageError)) throw error
          const { topic, partition } = log
          logger.error('The upkeep of a log failed.', { topic, partition, error: error.message })
        }
        if (slices.isOver()) await slices.rest()
      }
    }
    await Promise.all(Array.from({ length: UPKEEP_PARALLEL }, worker))
  }

  get #maintenanceMs(): number {
    return this.#options.maintenanceMs ?? MAINTENANCE_MS
  }

  failedLogs(): readonly FailedLog[] {
    return this.#openings.failed()
  }

  /** Writes the checkpoints that changed. Rejects with StorageError. */
  async checkpoint(): Promise<void> {
    await this.#eachLog((log) => {
      return this.#placeOf(log.directory).parent.withRoom(() => log.checkpoint())
    })
    await Promise.all(this.#directories.map((directory) => this.#save(directory)))
  }

  async #save(directory: LogDirectory): Promise<void> {
    const points = new Map<PartitionLog, { readonly point: number; readonly start: number }>()
    for (const [name, log] of this.#logs) {
      if (!directory.holds(log.directory)) continue
      // While the end is being changed, the tables stay as that change has made them.
      if (log.isEndChanging) continue
      const point = log.recoveryPoint
      const start = log.logStartOffset
      points.set(log, { point, start })
      directory.recoveryPoints.set(name, point)
      if (start > 0) directory.logStarts.set(name, start)
      else directory.logStarts.delete(name)
      directory.watermarks.set(name, this.#watermarkOf(log))
    }
    await directory.save()
    for (const [log, { point, start }] of points) {
      const name = nameOf(log)
      // Not when it was lowered, or the log removed, meanwhile.
      if (this.#logs.get(name) !== log) continue
      if (directory.recoveryPoints.get(name) === point) log.recoveryPointSaved(point)
      if ((directory.logStarts.get(name) ?? 0) >= start) log.logStartSaved(start)
    }
  }

  /** As CheckpointKeeper. */
  async lower(directory: string, offset: number): Promise<void> {
    const { parent, name } = this.#placeOf(directory)
    await parent.lower(name, offset)
  }

  /** As CheckpointKeeper. */
  async saveStart(directory: string, offset: number): Promise<boolean> {
    const { parent, name } = this.#placeOf(directory)
    const isOurs = () => this.#logs.get(name)?.directory === directory
    if (!isOurs()) return false
    const { logStarts } = parent
    if ((logStarts.get(name) ?? 0) < offset) logStarts.set(name, offset)
    await parent.withRoom(() => logStarts.save())
    return isOurs() && (logStarts.get(name) ?? 0) >= offset
  }

  /** As CheckpointKeeper. */
  async restart(directory: string, offset: number): Promise<void> {
    const { parent, name } = this.#placeOf(directory)
    if (this.#logs.get(name)?.directory !== directory) return // it was deleted meanwhile
    await parent.restart(name, offset)
  }

  /** As CleanerCheckpoint. */
  firstDirtyOffset(topic: string, partition: number): number | undefined {
    const log = this.get(topic, partition)
    return log === undefined
      ? undefined
      : this.#placeOf(log.directory).parent.cleaned.get(nameOf(log))
  }

  /** As CleanerCheckpoint. */
  setFirstDirtyOffset(topic: string, partition: number, offset: number): void {
    const log = this.get(topic, partition)
    if (log !== undefined) this.#placeOf(log.directory).parent.cleaned.set(nameOf(log), offset)
  }

  #placeOf(directory: string): { parent: LogDirectory; name: string } {
    const parent = this.#directories.find((one) => one.holds(directory))
    assert(parent !== undefined, 'a log lies in a directory of ours')
    return { parent, name: directory.slice(parent.path.length + 1) }
  }

  /** False when the storage of one failed, now or before, of which that log has told. */
  async #closeLogs(): Promise<boolean> {
    const waiting = [...this.#logs.values()]
    let haveAllClosed = true
    const worker = async () => {
      for (let log = waiting.pop(); log !== undefined; log = waiting.pop()) {
        try {
          await log.close()
        } catch (error) {
          if (!(error instanceof StorageError)) throw error
          haveAllClosed = false
        }
      }
    }
    await Promise.all(Array.from({ length: CLOSE_PARALLEL }, worker))
    return haveAllClosed
  }

  /**
   * Syncs and closes all logs, writes checkpoints and the clean-shutdown marks, lets go of the
   * locks. Logs that have failed hold up nothing: their directory has no mark.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#timer?.cancel()
    this.#flushes.close()
    await this.#cleaning?.stop()
    await this.#scrubber?.stop()
    const hadFailures = await this.#openings.close()
    await this.#upkeep
    await this.#out.close()
    const haveAllClosed = await this.#closeLogs()
    const isClean = haveAllClosed && !hadFailures
    await this.checkpoint()
    for (const directory of this.#directories) {
      // Where nobody has looked, all is as the process before this one has left it.
      if (isClean && (this.#areOpened || directory.isClean)) await directory.markClean()
      await directory.release()
    }
  }
}

function nameOf(log: PartitionLog): string {
  return `${log.topic}-${log.partition}`
}
