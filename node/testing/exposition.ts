/**
 * A strict reader of the text format of Prometheus, for tests: what it takes, any scraper takes.
 * Throws with the line that is wrong.
 */
import { assert } from '../../base/assert.ts'

export interface Sample {
  readonly name: string
  /** As written, with braces; '' without labels. */
  readonly labels: string
  readonly value: number
}

export interface ParsedFamily {
  readonly name: string
  type: string
  help: string
  readonly samples: Sample[]
}

const HEAD = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"`
const SAMPLE = new RegExp(
  String.raw`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{${LABEL}(?:,${LABEL})*\})? (-?[0-9.e+-]+|NaN|[+-]Inf)$`,
)
const TYPES = new Set(['counter', 'gauge', 'histogram', 'summary'])

export function parseExposition(text: string): Map<string, ParsedFamily> {
  assert(text.endsWith('\n'), 'the last line ends')
  const families = new Map<string, ParsedFamily>()
  const seen = new Set<string>()
  let current: ParsedFamily | undefined
  for (const line of text.split('\n')) {
    if (line === '') continue
    const head = HEAD.exec(line)
    if (head !== null) {
      current = onHead(families, current, head as unknown as [string, string, string, string])
      continue
    }
    const match = SAMPLE.exec(line)
    if (match === null) throw new Error(`not a sample: ${line}`)
    const [, name, labels = '', value] = match
    if (current === undefined || !belongs(name!, current)) {
      throw new Error(`not below its own family ${current?.name}: ${line}`)
    }
    const series = `${name}${labels}`
    if (seen.has(series)) throw new Error(`twice: ${line}`)
    seen.add(series)
    current.samples.push({ name: name!, labels, value: numberOf(value!) })
  }
  for (const family of families.values()) if (family.type === 'histogram') checkBuckets(family)
  return families
}

function onHead(
  families: Map<string, ParsedFamily>,
  current: ParsedFamily | undefined,
  [line, kind, name, rest]: [string, string, string, string],
): ParsedFamily {
  let family = current
  if (family?.name !== name) {
    if (families.has(name)) throw new Error(`a family in two places: ${line}`)
    family = { name, type: '', help: '', samples: [] }
    families.set(name, family)
  }
  if (family.samples.length > 0) throw new Error(`behind its samples: ${line}`)
  if (kind === 'HELP') family.help = rest
  else if (TYPES.has(rest)) family.type = rest
  else throw new Error(`no type: ${line}`)
  return family
}

function belongs(name: string, { name: family, type }: ParsedFamily): boolean {
  if (name === family) return type !== 'histogram'
  if (type === 'summary') return name === `${family}_sum` || name === `${family}_count`
  return type === 'histogram' && /^_(bucket|sum|count)$/.test(name.slice(family.length))
}

function numberOf(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  if (text === '-Inf') return Number.NEGATIVE_INFINITY
  const value = Number(text)
  if (text !== 'NaN' && Number.isNaN(value)) throw new Error(`not a number: ${text}`)
  return value
}

/** Buckets never fall, and the last is the count. */
function checkBuckets({ name, samples }: ParsedFamily): void {
  let last = 0
  for (const sample of samples) {
    if (sample.name === `${name}_bucket`) {
      if (sample.value < last) throw new Error(`${name}${sample.labels}: a bucket falls`)
      last = sample.value
      continue
    }
    if (sample.name !== `${name}_count`) continue
    if (sample.value !== last) throw new Error(`${name}${sample.labels}: +Inf is not the count`)
    last = 0
  }
}
