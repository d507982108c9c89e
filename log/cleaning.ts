/**
 * Compaction of a node's logs by itself: at intervals the logs that are due are cleaned, the
 * dirtiest first, one at a time, in slices of the loop's time.
 *
 * Invariants: at most one pass is under way, and a round has a bounded number of them. A log that
 * can't be cleaned stops no other: it is said once, counted, and left alone until the next start.
 */
import type { Clock, Timer } from '../base/clock.ts'
import { CorruptionError, StorageError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import { isPassing } from './appender.ts'
import { Cleaner, type CleanerCheckpoint, type CleaningNeed } from './cleaner.ts'
import type { PartitionLog } from './partition-log.ts'
import type { LogProbe } from './probe.ts'
import { Slices } from './slices.ts'

export interface CleaningOptions {
  /** Between two looks for logs that are due. */
  readonly intervalMs?: number
  /** Most memory for the map of the newest offsets. */
  readonly mapBytesMax?: number
}

export interface CleaningParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly probe: LogProbe
  readonly checkpoint: CleanerCheckpoint
  logs(): Iterable<PartitionLog>
  watermarkOf(log: PartitionLog): number
}

/** As Kafka's `log.cleaner.backoff.ms`. */
const INTERVAL_MS = 15_000
const ROUND_MAX = 100

interface Candidate {
  readonly log: PartitionLog
  readonly need: CleaningNeed
}

export class Cleaning {
  readonly #parts: CleaningParts
  readonly #intervalMs: number
  readonly #cleaner: Cleaner
  readonly #uncleanable = new Set<PartitionLog>()
  #timer: Timer | undefined = undefined
  #round: Promise<void> | undefined = undefined
  #current: { readonly log: PartitionLog; readonly done: Promise<void> } | undefined = undefined
  #isStopped = false

  constructor(parts: CleaningParts, options: CleaningOptions = {}) {
    const { clock, checkpoint } = parts
    const { mapBytesMax } = options
    this.#parts = parts
    this.#intervalMs = options.intervalMs ?? INTERVAL_MS
    this.#cleaner = new Cleaner({
      clock,
      checkpoint,
      isStopped: () => this.#isStopped,
      ...(mapBytesMax === undefined ? {} : { mapBytesMax }),
    })
  }

  start(): void {
    if (this.#isStopped) return
    this.#timer = this.#parts.clock.after(this.#intervalMs, () => {
      this.#round = this.run().finally(() => this.start())
    })
  }

  /** Resolves when no pass is under way any more: one that was has given up. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await this.#round
  }

  /** Resolves when no pass is in this log, which was abandoned: its pass gives up by itself. */
  async leave(log: PartitionLog): Promise<void> {
    if (this.#uncleanable.delete(log)) this.#parts.probe.uncleanableLogs--
    if (this.#current?.log === log) await this.#current.done
  }

  /** One round: every log that is due now, up to a limit. Never rejects for what a log has met. */
  async run(): Promise<void> {
    for (const { log } of await this.#due()) {
      if (this.#isStopped) return
      const done = this.#clean(log)
      this.#current = { log, done }
      try {
        await done
      } finally {
        this.#current = undefined
      }
    }
  }

  async #due(): Promise<Candidate[]> {
    const { clock, probe } = this.#parts
    const slices = new Slices(clock)
    const due: Candidate[] = []
    let dirtiestRatio = 0
    for (const log of [...this.#parts.logs()]) {
      const need = this.#needOf(log)
      if (need === undefined) continue
      dirtiestRatio = Math.max(dirtiestRatio, need.dirtyRatio)
      if (need.isDue) due.push({ log, need })
      if (slices.isOver()) await slices.rest()
    }
    probe.dirtiestRatio = dirtiestRatio
    due.sort((a, b) => b.need.dirtyRatio - a.need.dirtyRatio)
    return due.slice(0, ROUND_MAX)
  }

  #needOf(log: PartitionLog): CleaningNeed | undefined {
    if (!log.config.isCompacted || log.isFailed || this.#uncleanable.has(log)) return undefined
    log.noteHighWatermark(this.#parts.watermarkOf(log))
    try {
      return this.#cleaner.need(log, this.#parts.clock.nowMs())
    } catch (error) {
      this.#onFailure(log, error)
      return undefined
    }
  }

  async #clean(log: PartitionLog): Promise<void> {
    const { clock, logger, probe } = this.#parts
    if (this.#needOf(log)?.isDue !== true) return
    const startedMs = clock.monotonicMs()
    try {
      const result = await this.#cleaner.clean(log, clock.nowMs())
      if (result.isComplete) probe.cleanings++
      else probe.abandonedCleanings++
      probe.cleanedReadBytes += result.readBytes
      probe.cleanedWrittenBytes += result.writtenBytes
      probe.cleanedRecords += result.droppedRecords
      probe.cleaningSeconds.observe((clock.monotonicMs() - startedMs) / 1000)
      const { topic, partition } = log
      logger.debug('A log was compacted.', { topic, partition, ...result })
    } catch (error) {
      probe.abandonedCleanings++
      this.#onFailure(log, error)
    }
  }

  #onFailure(log: PartitionLog, error: unknown): void {
    const isKnown = error instanceof StorageError || error instanceof CorruptionError
    if (!isKnown) throw error
    const { logger, probe } = this.#parts
    const { topic, partition } = log
    const fields = { topic, partition, error: error.message }
    if (log.isFailed || log.isClosed) return // it has said so itself, or was deleted
    if (isPassing(error)) {
      logger.warn('Compaction of a log had to stop; it is tried again.', fields)
      return
    }
    this.#uncleanable.add(log)
    probe.uncleanableLogs++
    logger.error('A log can not be compacted until the next start: it keeps all records.', fields)
  }
}
