/** JSON lines on standard error, by pino. */
import { destination, type Logger as Pino, pino } from 'pino'
import type { LogFields, Logger } from '../logger.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

const STANDARD_ERROR = 2

export function realLogger(level: LogLevel, fields: LogFields = {}): Logger {
  const root = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    destination({ fd: STANDARD_ERROR, sync: true }),
  )
  return wrap(root.child(fields))
}

function wrap(to: Pino): Logger {
  return {
    debug: (message, fields) => to.debug(fields ?? {}, message),
    info: (message, fields) => to.info(fields ?? {}, message),
    warn: (message, fields) => to.warn(fields ?? {}, message),
    error: (message, fields) => to.error(fields ?? {}, message),
    child: (fields) => wrap(to.child(fields)),
  }
}
