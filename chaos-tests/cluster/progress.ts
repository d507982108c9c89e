/**
 * Whether a cluster goes on as before while one of its nodes is gone: records acknowledged a second,
 * before it went and while it was away, without the moment of the failover.
 */
import { entriesOf, type History, type Violation } from '../checkers/history.ts'

export const ABSENCE = 'absence'
const SETTLE_MS = 5000
/** Of steady work, that is compared with. */
const BEFORE_MS = 15_000
const SHARE_MIN = 0.95

export interface Progress {
  /** For people. */
  readonly sentence: string
  readonly violations: readonly Violation[]
}

/** Over all absences of a history; nothing is said of one without any. */
export function lagging(history: History): Progress {
  const sends = entriesOf(history, 'send').filter(({ outcome }) => outcome === 'ok')
  const absences = entriesOf(history, 'fault').filter(({ name, forMs }) => {
    return name === ABSENCE && forMs > SETTLE_MS
  })
  if (absences.length === 0) return { sentence: '', violations: [] }
  const rate = (fromMs: number, toMs: number) => {
    let records = 0
    for (const { endMs, values } of sends) {
      if (endMs! >= fromMs && endMs! < toMs) records += values.length
    }
    return records / (toMs - fromMs)
  }
  const shares = absences.map(({ atMs, forMs }) => {
    return rate(atMs + SETTLE_MS, atMs + forMs) / rate(Math.max(0, atMs - BEFORE_MS), atMs)
  })
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length
  const sentence =
    `without one node ${percent(mean)} of the records a second that all nodes took ` +
    `(${shares.map(percent).join(', ')})`
  const violations = mean >= SHARE_MIN ? [] : [{ checker: 'progress', message: sentence }]
  return { sentence, violations }
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
