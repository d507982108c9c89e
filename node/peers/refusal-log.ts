/** Says why nodes do not talk to each other: once, and again every minute, not at each attempt. */
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'

const AGAIN_AFTER_MS = 60_000
const KEYS_MAX = 1000

export interface News {
  readonly message: string
  readonly reason: string
  readonly address: string
}

export const REFUSED = 'a node was refused'
export const UNREACHABLE = 'a node can not be reached'
export const TWIN = 'a node runs twice'

export class RefusalLog {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #said = new Map<number | string, { readonly sentence: string; readonly atMs: number }>()

  constructor(parts: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = parts.clock
    this.#logger = parts.logger
  }

  /** `key`: of whom it is said. */
  say(key: number | string, news: News): void {
    const { message, reason: sentence, address } = news
    const nowMs = this.#clock.monotonicMs()
    const before = this.#said.get(key)
    if (before?.sentence === sentence && nowMs - before.atMs < AGAIN_AFTER_MS) return
    if (this.#said.size >= KEYS_MAX) this.#said.clear()
    this.#said.set(key, { sentence, atMs: nowMs })
    this.#logger.warn(message, { reason: sentence, address })
  }

  /** It fits now: a refusal to come is news. */
  forget(key: number | string): void {
    this.#said.delete(key)
  }
}
