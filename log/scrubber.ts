/**
 * Reads all logs of a node in the background, slowly: damage in records that nobody asks for is
 * found while another replica still has them.
 *
 * It has no rhythm of its own: the store's maintenance calls. Each segment is read once after it was
 * found by a start or closed, and then once in an interval; so is the active one.
 *
 * Invariants: one segment is read at a time, no faster than the setting allows, over any second;
 * what is found is told to the owner of the log, as if a reader had met it.
 */
import type { Clock, Timer } from '../base/clock.ts'
import { CorruptionError, StorageError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { PartitionLog } from './partition-log.ts'
import type { LogProbe } from './probe.ts'

export interface ScrubbingOptions {
  /** 0: off. Looked at again after each piece. */
  bytesPerSecond(): number
  /** For how long a segment counts as whole after it was read. */
  intervalMs(): number
  /** As a reader's: `offset` is where the damage begins. */
  onDamage(log: PartitionLog, error: CorruptionError, offset: number): void
}

export interface ScrubbingParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly probe: LogProbe
  logs(): Iterable<PartitionLog>
}

/** From the end of a round over all logs to the next: for what was closed, or damaged, since. */
const ROUND_MS = 10_000
const SAID_MAX = 1000

export class Scrubber {
  readonly #parts: ScrubbingParts
  readonly #options: ScrubbingOptions
  readonly #said = new Set<string>()
  #timer: Timer | undefined
  #wake: (() => void) | undefined
  #round: Promise<void> | undefined
  #endedMs: number
  #isStopped = false

  constructor(parts: ScrubbingParts, options: ScrubbingOptions) {
    this.#parts = parts
    this.#options = options
    this.#endedMs = parts.clock.monotonicMs()
  }

  /** Begins a round when it is time, and none is under way. For the store's maintenance. */
  look(): void {
    const { clock } = this.#parts
    if (this.#isStopped || this.#round !== undefined) return
    if (clock.monotonicMs() - this.#endedMs < ROUND_MS) return
    this.#round = this.run().finally(() => {
      this.#round = undefined
      this.#endedMs = clock.monotonicMs()
    })
  }

  /** Resolves when nothing is read any more. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#wake?.()
    await this.#round
  }

  /** One round over all logs. Never rejects for what a log has met. */
  async run(): Promise<void> {
    if (this.#options.bytesPerSecond() === 0) return
    for (const log of [...this.#parts.logs()]) {
      if (this.#isStopped) return
      if (log.isFailed || log.isClosed) continue
      try {
        for await (const offset of log.scrub(this)) this.#onDamage(log, offset)
      } catch (error) {
        if (!(error instanceof StorageError)) throw error
        if (log.isClosed) continue
        const { topic, partition } = log
        const fields = { topic, partition, error: error.message }
        this.#parts.logger.warn('A log can not be read through in the background.', fields)
      }
    }
  }

  #onDamage(log: PartitionLog, offset: number): void {
    if (this.#isStopped || log.isClosed) return
    const { probe, logger } = this.#parts
    const { topic, partition, directory } = log
    probe.corruptReads++
    const place = `${directory}/${offset}`
    if (!this.#said.has(place) && this.#said.size < SAID_MAX) {
      this.#said.add(place)
      const fields = { topic, partition, offset }
      logger.error('Damaged records were found in the background. They are not served.', fields)
    }
    this.#options.onDamage(log, new CorruptionError(directory, `damaged from ${offset} on`), offset)
  }

  /** As ScrubPace. */
  isDue(scrubbedMs: number): boolean {
    return this.#parts.clock.monotonicMs() - scrubbedMs >= this.#options.intervalMs()
  }

  /** As ScrubPace. */
  async rest(bytes: number): Promise<boolean> {
    const bytesPerSecond = this.#options.bytesPerSecond()
    if (bytesPerSecond === 0 || this.#isStopped) return false
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      this.#timer = this.#parts.clock.after((bytes * 1000) / bytesPerSecond, resolve)
    })
    return !this.#isStopped
  }
}
