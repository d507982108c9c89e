/*
 * Makes two brokers' answers comparable (ids, times, addresses and words for people become what kind
 * of thing they are; lists in no promised order become maps) and finds where they differ.
 */

import { errorName } from '../../../kafka/wire/errors.ts'
import { decodeBatches } from '../../../log/records.ts'
import type { Outcome, Side } from './side.ts'

type Plain = string | { readonly [key: string]: Plain }

export interface Difference {
  /** Story, label and API. */
  readonly question: string
  readonly path: string
  readonly kafka: string
  readonly ours: string
  readonly versions: readonly number[]
}

/** The first of these that an element has names it within its list. */
const IDENTITIES = [
  ['resourceType', 'resourceName'],
  ['name'],
  ['topic'],
  ['topicId'],
  ['groupId'],
  ['partitionIndex'],
  ['partition'],
  ['index'],
  ['key'],
  ['apiKey'],
  ['nodeId'],
  ['brokerId'],
  ['memberId'],
]
const DROPPED = new Set(['throttleTimeMs', 'finalizedFeaturesEpoch', 'usableBytes', 'totalBytes'])
const WORDS = new Set(['errorMessage', 'batchIndexErrorMessage', 'documentation'])
const NUMBERED = new Set(['producerId', 'sessionId', 'port', 'partitionSize'])
const TIMES = new Set(['timestamp', 'logAppendTimeMs', 'lastTimestamp', 'baseTimestamp'])
const ADDRESSES = new Set(['host', 'clusterId', 'logDir', 'clientHost'])
const ERROR = /[eE]rrorCode$/
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g
/** Begins or ends names that stories make for one version. */
const VERSION_MARK = /\bv\d+(?=-)/g
const RECENT_MS = 3_600_000

/** All questions of both sides whose answers differ, versions that differ alike as one. */
export function differences(kafka: Side, ours: Side): Difference[] {
  const found = new Map<string, Difference>()
  for (const [key, theirs] of kafka.transcript) {
    const mine = ours.transcript.get(key)
    const [, question, version] = /^(.*) v(\d+)$/.exec(key)!
    const sides = [
      plainOutcome(theirs, kafka),
      mine ? plainOutcome(mine, ours) : 'not asked',
    ] as const
    for (const one of compare(sides[0], sides[1], '')) {
      const same = JSON.stringify([question, one])
      const versions = [...(found.get(same)?.versions ?? []), Number(version)]
      found.set(same, { question: question!, ...one, versions })
    }
  }
  for (const key of ours.transcript.keys()) {
    if (kafka.transcript.has(key)) continue
    found.set(key, { question: key, path: '', kafka: 'not asked', ours: 'asked', versions: [] })
  }
  return [...found.values()]
}

function* compare(
  kafka: Plain,
  ours: Plain,
  path: string,
): Generator<{ path: string; kafka: string; ours: string }> {
  if (typeof kafka === 'string' || typeof ours === 'string') {
    if (kafka !== ours) yield { path, kafka: shown(kafka), ours: shown(ours) }
    return
  }
  const keys = [...new Set([...Object.keys(kafka), ...Object.keys(ours)])]
  // What goes with another error is another answer: the error is the difference.
  const error = keys.find((key) => ERROR.test(key) && kafka[key] !== ours[key])
  for (const key of error === undefined ? keys : [error]) {
    const below = path === '' ? key : `${path}.${key}`
    yield* compare(kafka[key] ?? 'absent', ours[key] ?? 'absent', below)
  }
}

function shown(value: Plain): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > 200 ? `${text.slice(0, 200)}...` : text
}

function plainOutcome(outcome: Outcome, side: Side): Plain {
  return 'ended' in outcome ? `no answer: ${outcome.ended}` : plain(outcome.answer, '', side)
}

function plain(value: unknown, field: string, side: Side): Plain {
  if (Buffer.isBuffer(value))
    return field === 'records' ? batches(value, side) : value.toString('hex')
  if (Array.isArray(value)) return list(value, field, side)
  if (typeof value === 'object' && value !== null) {
    const kept = Object.entries(value).filter(([key]) => !DROPPED.has(key))
    return Object.fromEntries(kept.map(([key, one]) => [key, plain(one, key, side)]))
  }
  if (ERROR.test(field)) return errorName(Number(value))
  if (value === null || value === '') return JSON.stringify(value)
  if (WORDS.has(field)) return 'words'
  if (ADDRESSES.has(field)) return 'an address'
  if (NUMBERED.has(field)) return Number(value) > 0 ? 'positive' : String(value)
  if (TIMES.has(field)) return Number(value) > Date.now() - RECENT_MS ? 'now' : String(value)
  if (field === 'topicId')
    return general(side.topicNames.get(String(value)) ?? (value ? String(value) : 'none'))
  return general(String(value))
}

/** Without what differs between runs and between versions. */
function general(text: string): string {
  return text.replaceAll(UUID, 'UUID').replaceAll(VERSION_MARK, 'v')
}

/** A map by what names each element; scalars by themselves, so order does not count. */
function list(values: readonly unknown[], field: string, side: Side): Plain {
  const entries: Record<string, Plain> = {}
  for (const value of values) {
    const element = plain(value, field, side)
    const base = typeof element === 'string' ? element : identityOf(element)
    let key = base
    for (let copy = 2; key in entries; copy++) key = `${base}#${copy}`
    entries[key] = element
  }
  return entries
}

function identityOf(element: { readonly [key: string]: Plain }): string {
  const names = IDENTITIES.find((fields) =>
    fields.every((field) => element[field] !== undefined && element[field] !== '""'),
  )
  return names?.map((field) => element[field]).join(' ') ?? 'element'
}

function batches(bytes: Buffer, side: Side): Plain {
  if (bytes.length === 0) return 'no batch'
  const decoded = [...decodeBatches(bytes)]
  return plain(decoded, 'batch', side)
}
