/**
 * What is done to the files of one log besides appends and reads, in which order, and what a
 * failure means.
 *
 * Invariants: syncs follow each other, and so do housekeeping and compaction, but one does not wait
 * for the other; who changes the end of the log, repairs or closes it has waited for both. Appends
 * go on beside all of them except while the end is changed. A log whose write or sync failed takes
 * no append again.
 */
import { assert } from '../base/assert.ts'
import { StorageError } from '../base/errors.ts'
import { Appender, isPassing } from './appender.ts'
import type { CleanableSegment, CleanedSegment } from './cleanable.ts'
import { discard, prepareReplacement, swapIn } from './compaction.ts'
import { noteDoubt } from './doubt.ts'
import type { Flushable } from './flush-schedule.ts'
import { Housekeeping } from './housekeeping.ts'
import { Lock } from './lock.ts'
import type { LogState } from './log-state.ts'
import { Syncer } from './syncer.ts'

export class LogWork {
  readonly #state: LogState
  readonly #log: Flushable
  readonly #syncer: Syncer
  readonly #housekeeping: Housekeeping
  readonly #lock = new Lock()
  /** Taken after the other, by those who take both. */
  readonly #syncLock = new Lock()
  #appender: Appender | undefined = undefined
  #failure: unknown
  #isClosed = false
  #isClosing = false
  #isEndChanging = false
  /** A write failed inside an append: `write` says so to the owner of what went with it. */
  #pendingError: unknown
  /** What retention and compaction may touch ends there. */
  highWatermark = 0

  constructor(state: LogState, log: Flushable) {
    this.#state = state
    this.#log = log
    this.#syncer = new Syncer(state, log)
    const isAwaited = () => this.#isEndChanging || this.#isClosing
    this.#housekeeping = new Housekeeping(state, () => this.#writer(), isAwaited)
  }

  get failure(): unknown {
    return this.#failure
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** No append meanwhile. */
  get isEndChanging(): boolean {
    return this.#isEndChanging
  }

  /** Undefined while the log takes no append. */
  writable(): Appender | undefined {
    assert(!this.#isClosed, 'a closed log takes no append')
    if (this.#failure !== undefined || this.#isEndChanging) return undefined
    if (this.#pendingError !== undefined) return undefined
    const appender = this.#writer()
    if (!appender.needsRepair) return appender
    this.#state.parts.probe.fullDiskRefusals++
    this.#startRepair(appender)
    return undefined
  }

  /** Idle logs have none. */
  #writer(): Appender {
    this.#appender ??= new Appender(this.#state)
    return this.#appender
  }

  /** Gathered bytes to the page cache, in one write. Throws StorageError: they are then gone. */
  write(): void {
    if (this.#pendingError !== undefined) {
      const error = this.#pendingError
      this.#pendingError = undefined
      throw error
    }
    const appender = this.#appender
    if (appender === undefined || this.#failure !== undefined) return
    try {
      appender.write()
    } catch (error) {
      this.onWriteError(error)
      throw error
    }
    if (!this.#syncer.noteWritten() || this.#syncLock.isBusy) return
    this.#log.sync().catch(ignoreStorageError)
  }

  /** An append failed, and took with it what was gathered before. */
  onAppendError(error: unknown): void {
    this.#pendingError = error
  }

  onWriteError(error: unknown): void {
    const { parts } = this.#state
    if (isPassing(error)) {
      parts.probe.fullDiskRefusals++
      if (this.#appender?.needsRepair) this.#startRepair(this.#appender)
      return
    }
    this.#fail(error)
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    if (this.#isClosed) return // its directory has gone
    this.#appender?.abandon()
    noteDoubt(this.#state)
    const { parts } = this.#state
    parts.probe.failedLogs++
    parts.logger.error('A log is out of service: its storage failed.', {
      ...this.#state.fields(),
      error: error instanceof Error ? error.message : String(error),
    })
  }

  #startRepair(appender: Appender): void {
    if (this.#isEndChanging) return
    this.#isEndChanging = true
    const repair = this.#exclusively(async () => {
      try {
        if (appender.needsRepair) await appender.repair()
      } finally {
        this.#isEndChanging = false
      }
    })
    repair.catch((error: unknown) => {
      // Not again at once, which would be for ever: the next append asks for it.
      if (isPassing(error)) this.#state.parts.probe.fullDiskRefusals++
      else this.#fail(error)
    })
  }

  #exclusively<T>(run: () => Promise<T>): Promise<T> {
    return this.#lock.run(() => this.#syncLock.run(run))
  }

  /** As PartitionLog. */
  async sync(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    await this.#syncLock.run(async () => {
      if (this.#isClosed) return
      try {
        await this.#syncer.sync()
      } catch (error) {
        this.#fail(error)
        throw error
      }
    })
  }

  /** Where the log ends is not known any more when this rejects: it is out of service. */
  async changeEnd(change: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    this.#appender?.write()
    while (this.#isEndChanging) await this.#lock.settled()
    this.#isEndChanging = true
    try {
      await this.#exclusively(async () => {
        // It would go on in the directory of the next log of this name.
        if (this.#isClosed) throw new StorageError('ENOENT', this.#state.directory, 'truncate')
        await change()
      })
    } catch (error) {
      this.#fail(error)
      throw error
    } finally {
      this.#isEndChanging = false
    }
  }

  /** As PartitionLog. */
  async maintain(nowMs: number): Promise<void> {
    if (this.#isEndChanging) return
    if (this.#syncer.isDue()) await this.sync()
    await this.#keepHouse(async () => {
      this.#housekeeping.rollIfOld(nowMs)
      await this.#housekeeping.retain(nowMs, this.highWatermark)
    })
    if (this.#housekeeping.isRebuildDue()) await this.#rebuildIndexes()
  }

  /** Soon a reader who met a damaged index has an answer. */
  rebuildSoon(): void {
    this.#rebuildIndexes().catch(ignoreStorageError)
  }

  async #rebuildIndexes(): Promise<void> {
    await this.#keepHouse(async () => {
      await this.sync()
      await this.#housekeeping.rebuildIndexes()
    })
  }

  /** As PartitionLog. */
  async checkpoint(): Promise<void> {
    if (!this.#housekeeping.isCheckpointDue() || this.#state.parts.maybe('log.checkpoint')) return
    await this.#keepHouse(() => this.#housekeeping.checkpoint())
  }

  #keepHouse(run: () => Promise<void>): Promise<void> {
    return this.#lock.run(async () => {
      if (this.#isClosed || this.#isClosing) return
      if (this.#isEndChanging || this.#failure !== undefined) return
      try {
        await run()
      } catch (error) {
        this.onWriteError(error)
        throw error
      }
    })
  }

  /** As CleanableLog. */
  replace(replaced: readonly CleanableSegment[], cleaned: CleanedSegment): Promise<boolean> {
    return this.#lock.run(async () => {
      const isOpen = !this.#isClosed && this.#failure === undefined
      if (!isOpen || !(await prepareReplacement(this.#state, replaced, cleaned))) {
        await discard(this.#state, cleaned)
        return false
      }
      try {
        await swapIn(this.#state, replaced, cleaned, this.#housekeeping.removeLater)
      } catch (error) {
        this.#fail(error) // which files the log has is not known any more
        throw error
      }
      return true
    })
  }

  updateConfig(): void {
    this.#appender?.updateRules()
    this.#syncer.schedule()
  }

  /** As PartitionLog. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosing = true
    try {
      if (this.#failure === undefined && !this.#state.isUntouched) {
        while (this.#isEndChanging) await this.#lock.settled()
        this.write()
        await this.sync()
        await this.#exclusively(async () => {
          if (this.#appender?.needsRepair) await this.#appender.repair()
          await this.#housekeeping.saveAll()
        })
      }
    } finally {
      await this.settled()
      this.#release()
      await this.#housekeeping.removeNow()
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  #release(): void {
    this.#isClosed = true
    this.#housekeeping.stop()
    this.#state.shared.flushes?.remove(this.#log)
    this.#state.release()
  }

  /** As PartitionLog. */
  abandon(): void {
    if (this.#isClosed) return
    this.#appender?.abandon()
    this.#release()
    // What is under way may open a file once more.
    void this.settled().then(() => this.#state.release())
  }

  /** Resolves when no operation on its files is under way; after `abandon` none will be. */
  async settled(): Promise<void> {
    while (this.#lock.isBusy || this.#syncLock.isBusy) {
      await this.#lock.settled()
      await this.#syncLock.settled()
    }
  }
}

function ignoreStorageError(error: unknown): void {
  if (!(error instanceof StorageError)) throw error // a failed log has said so itself
}
