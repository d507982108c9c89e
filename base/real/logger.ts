/** JSON lines on the standard error stream. The only door to pino. */
import { type DestinationStream, destination, pino, stdSerializers, stdTimeFunctions } from 'pino'
import type { LogFields, Logger } from '../logger.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

const STANDARD_ERROR = 2

export interface RealLoggerOptions {
  readonly level: LogLevel
  /** Where the lines go, when not to the standard error stream. */
  readonly destination?: { write(line: string): void }
}

interface PinoLike {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  child(fields: LogFields): PinoLike
}

const NO_FIELDS: LogFields = {}

class RealLogger implements Logger {
  readonly #pino: PinoLike

  constructor(inner: PinoLike) {
    this.#pino = inner
  }

  debug(message: string, fields: LogFields = NO_FIELDS): void {
    this.#pino.debug(fields, message)
  }

  info(message: string, fields: LogFields = NO_FIELDS): void {
    this.#pino.info(fields, message)
  }

  warn(message: string, fields: LogFields = NO_FIELDS): void {
    this.#pino.warn(fields, message)
  }

  error(message: string, fields: LogFields = NO_FIELDS): void {
    this.#pino.error(fields, message)
  }

  child(fields: LogFields): Logger {
    return new RealLogger(this.#pino.child(fields))
  }
}

export function realLogger(options: RealLoggerOptions): Logger {
  // Synchronous: the line that says why a process ends must be out before it does.
  const stream: DestinationStream = options.destination ?? destination(STANDARD_ERROR)
  const settings = {
    level: options.level,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { bindings: () => ({}), level: (label: string) => ({ level: label }) },
    serializers: { error: stdSerializers.err, cause: stdSerializers.err },
  }
  return new RealLogger(pino(settings, stream))
}
