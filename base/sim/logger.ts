/** Keeps the lines, for tests to look at. */
import type { LogFields, Logger } from '../logger.ts'

export interface SimLogLine {
  readonly atMs: number
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: LogFields
}

export class SimLogger implements Logger {
  readonly lines: SimLogLine[]
  readonly #nowMs: () => number
  readonly #fields: LogFields

  constructor(nowMs: () => number = () => 0, fields: LogFields = {}, lines: SimLogLine[] = []) {
    this.#nowMs = nowMs
    this.#fields = fields
    this.lines = lines
  }

  debug(message: string, fields?: LogFields): void {
    this.#add('debug', message, fields)
  }

  info(message: string, fields?: LogFields): void {
    this.#add('info', message, fields)
  }

  warn(message: string, fields?: LogFields): void {
    this.#add('warn', message, fields)
  }

  error(message: string, fields?: LogFields): void {
    this.#add('error', message, fields)
  }

  /** Its lines go to the same list. */
  child(fields: LogFields): Logger {
    return new SimLogger(this.#nowMs, { ...this.#fields, ...fields }, this.lines)
  }

  #add(level: SimLogLine['level'], message: string, fields: LogFields = {}): void {
    const all = { ...this.#fields, ...fields }
    this.lines.push({ atMs: this.#nowMs(), level, message, fields: all })
  }
}
