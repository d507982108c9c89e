/**
 * The logs that a start found, each opened once; those that could not be are kept in mind. What
 * failed for a reason that passes (no space, no free descriptor) is tried again, after a time that
 * doubles.
 *
 * Invariant: a log is opened by one try at a time, and by none once it was given up: its directory
 * may be renamed then.
 */
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import { isPassing } from './appender.ts'
import type { LogConfig } from './config.ts'
import type { PartitionLog } from './partition-log.ts'

/** A log directory that a start found. */
export interface ListedLog {
  readonly topic: string
  readonly partition: number
  /** Where its directory lies. */
  readonly parent: string
  /** 22 characters, base64url; undefined when `partition.metadata` is missing or damaged. */
  readonly topicId: string | undefined
}

export interface FailedLog {
  readonly topic: string
  readonly partition: number
  readonly directory: string
  readonly error: unknown
}

export interface OpeningParts {
  readonly clock: Clock
  readonly logger: Logger
  /** Rejects with what the log has met. */
  open(listed: ListedLog, config: LogConfig, isRetry: boolean): Promise<PartitionLog>
  /** It is open now, and wanted. */
  adopt(log: PartitionLog): void
}

const PARALLEL = 32
const RETRY_MS = 5000
const RETRY_MAX_MS = 60_000

interface Failure extends FailedLog {
  readonly listed: ListedLog
  readonly delayMs: number
  /** Undefined: not in this process. */
  readonly dueMs: number | undefined
}

export class Openings {
  readonly #parts: OpeningParts
  readonly #failures = new Map<string, Failure>()
  /** Tries under way, by name. */
  readonly #tries = new Map<string, Promise<void>>()
  #configOf: (topic: string) => LogConfig = () => {
    throw new Error('logs are opened before they are opened again')
  }

  constructor(parts: OpeningParts) {
    this.#parts = parts
  }

  /** Every one, few at a time. Never rejects for what a log has met. */
  async openAll(
    listed: readonly ListedLog[],
    configOf: (topic: string) => LogConfig,
  ): Promise<void> {
    this.#configOf = configOf
    await this.#each([...listed], (next) => this.#try(next, undefined))
  }

  /** Those that are due. */
  async retry(): Promise<void> {
    const nowMs = this.#parts.clock.monotonicMs()
    const due = [...this.#failures.values()].filter(({ listed, dueMs }) => {
      return dueMs !== undefined && dueMs <= nowMs && !this.#tries.has(nameOf(listed))
    })
    await this.#each(due, (failure) => this.#try(failure.listed, failure))
  }

  async #each<T>(waiting: T[], run: (one: T) => Promise<void>): Promise<void> {
    const worker = async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await run(next)
    }
    await Promise.all(Array.from({ length: PARALLEL }, worker))
  }

  async #try(listed: ListedLog, before: Failure | undefined): Promise<void> {
    const name = nameOf(listed)
    if (this.#failures.get(name) !== before) return // it was given up
    const attempt = this.#open(listed, before)
    this.#tries.set(name, attempt)
    try {
      await attempt
    } finally {
      this.#tries.delete(name)
    }
  }

  async #open(listed: ListedLog, before: Failure | undefined): Promise<void> {
    const { logger } = this.#parts
    const { topic, partition, parent } = listed
    const name = nameOf(listed)
    const isWanted = () => this.#failures.get(name) === before
    try {
      const log = await this.#parts.open(listed, this.#configOf(topic), before !== undefined)
      if (!isWanted()) return log.abandon()
      this.#failures.delete(name)
      if (before !== undefined) logger.info('A log was opened that could not be before.', { name })
      this.#parts.adopt(log)
    } catch (error) {
      if (!isWanted()) return
      const delayMs = before === undefined ? RETRY_MS : Math.min(2 * before.delayMs, RETRY_MAX_MS)
      const isTriedAgain = isPassing(error)
      const dueMs = isTriedAgain ? this.#parts.clock.monotonicMs() + delayMs : undefined
      const directory = `${parent}/${name}`
      this.#failures.set(name, { listed, topic, partition, directory, error, delayMs, dueMs })
      const fields = { name, error: String(error), isTriedAgain }
      if (before === undefined || !isTriedAgain) logger.error('A log can not be opened.', fields)
    }
  }

  failed(): FailedLog[] {
    return [...this.#failures.values()]
  }

  /** It could not be opened yet, and is tried again. */
  isAwaited(name: string): boolean {
    return this.#failures.get(name)?.dueMs !== undefined
  }

  /** Nobody wants the log any more. Resolves when no try is under way. */
  async giveUp(name: string): Promise<void> {
    this.#failures.delete(name)
    await this.#tries.get(name)
  }

  /** As `giveUp`, of all that failed. Says whether there were any. */
  async close(): Promise<boolean> {
    const hadFailures = this.#failures.size > 0
    this.#failures.clear()
    await Promise.all(this.#tries.values())
    return hadFailures
  }
}

function nameOf({ topic, partition }: ListedLog): string {
  return `${topic}-${partition}`
}
