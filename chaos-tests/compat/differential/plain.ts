/** Answers without what may differ between two brokers that do the same. */
import { ZERO_UUID } from '../../../kafka/wire/schema.ts'

/** Ids, times, places: only whether there is one. */
const NAMED: Readonly<Record<string, (value: unknown) => unknown>> = {
  topicId: id,
  directoryId: id,
  replicaDirectoryId: id,
  clusterId: (value) => (value === null ? null : 'a cluster'),
  host: () => 'a host',
  port: () => 'a port',
  clientHost: () => 'a host',
  logDir: () => 'a directory',
  // Words are each broker's own; that there are some is not.
  errorMessage: words,
  batchIndexErrorMessage: words,
  documentation: words,
  memberId: (value) => (value === '' ? '' : 'a member'),
  leader: (value) => (typeof value === 'string' && value !== '' ? 'a member' : value),
  producerId: (value) => (Number(value) >= 0 ? 'a producer' : value),
  coordinatorId: (value) => value,
  throttleTimeMs: () => 0,
  totalBytes: size,
  usableBytes: size,
  size,
  partitionSize: size,
  lastFetchTimestamp: time,
  lastCaughtUpTimestamp: time,
  lastTimestamp: time,
  logAppendTimeMs: time,
  leaderEpoch: epoch,
  currentLeaderEpoch: epoch,
  committedLeaderEpoch: (value) => value,
}

function id(value: unknown): unknown {
  return value === ZERO_UUID ? 'none' : 'an id'
}

function words(value: unknown): unknown {
  return typeof value === 'string' && value !== '' ? 'words' : value
}

function size(value: unknown): unknown {
  return Number(value) > 0 ? 'some' : value
}

function time(value: unknown): unknown {
  return Number(value) > 1_000_000_000_000 ? 'a time' : value
}

/** Elections are counted from a start that is each broker's own. */
function epoch(value: unknown): unknown {
  return Number(value) >= 0 ? 'an epoch' : value
}

export function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('hex')
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return named(value.map(plain)) ?? sorted(value.map(plain))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, NAMED[name]?.(one) ?? plain(one)]),
  )
}

/** Rows that have names of their own are found by them. */
function named(rows: readonly unknown[]): Record<string, unknown> | undefined {
  const found: Record<string, unknown> = {}
  for (const row of rows) {
    const name = isObject(row) ? (row['name'] ?? row['apiKey']) : undefined
    if (typeof name !== 'string' || name in found) return undefined
    found[name] = row
  }
  return rows.length > 0 ? found : undefined
}

/** Rows come in an order of the broker's own where the protocol gives none. */
function sorted(rows: unknown[]): unknown[] {
  return rows.sort((one, other) => {
    const [left, right] = [JSON.stringify(one) ?? '', JSON.stringify(other) ?? '']
    return left < right ? -1 : Number(left > right)
  })
}

export interface Difference {
  readonly path: string
  readonly kafka: unknown
  readonly odradek: unknown
}

/** Where two plain values differ, down to the field. */
export function differences(kafka: unknown, odradek: unknown, path = ''): Difference[] {
  if (JSON.stringify(kafka) === JSON.stringify(odradek)) return []
  if (!isObject(kafka) || !isObject(odradek)) return [{ path, kafka, odradek }]
  const names = new Set([...Object.keys(kafka), ...Object.keys(odradek)])
  return [...names].flatMap((name) => {
    return differences(kafka[name], odradek[name], path === '' ? name : `${path}.${name}`)
  })
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object'
}
