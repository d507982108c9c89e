/**
 * What values a setting takes. A check returns the complaint, or undefined. Complaints read as
 * Kafka's do, since tools show them; `describe` is the form in which the docs list the rule.
 */
import type { SettingType } from './definition.ts'

export interface Validator {
  describe(): string
  /** `value` has been parsed: a number for numbers, a boolean, text, or the elements of a list. */
  check(name: string, value: ParsedValue | null): string | undefined
}

export type ParsedValue = string | number | bigint | boolean | readonly string[]

const invalid = (name: string, value: unknown, reason: string) =>
  `${name} can not be ${String(value)}: ${reason}`

const oneLine = (values: readonly string[]) => values.join(', ')

/** From `low` to `high`, both included; absent: no bound. */
export function between(low: number, high?: number, alsoAllowed?: number): Validator {
  return {
    describe() {
      const range = high === undefined ? `[${low},...]` : `[${low},...,${high}]`
      return alsoAllowed === undefined ? range : `${range} or ${alsoAllowed}`
    },
    check(name, value) {
      if (value === null) return invalid(name, null, 'it needs a value')
      if (typeof value !== 'number' && typeof value !== 'bigint') return undefined
      if (alsoAllowed !== undefined) {
        if (Number(value) === alsoAllowed) return undefined
        if (value >= low && (high === undefined || value <= high)) return undefined
        return invalid(name, value, `write a value from ${low} to ${high}, or ${alsoAllowed}`)
      }
      if (value < low) return invalid(name, value, `${low} is the least`)
      if (high !== undefined && value > high) {
        return invalid(name, value, `${high} is the most`)
      }
      return undefined
    },
  }
}

export const atLeast = (low: number): Validator => between(low)

/** One of a few words. */
export function oneOf(...words: string[]): Validator {
  return {
    describe: () => `[${oneLine(words)}]`,
    check(name, value) {
      if (typeof value === 'string' && words.includes(value)) return undefined
      return invalid(name, value, `write one of these: ${oneLine(words)}`)
    },
  }
}

/** One of a few words, in any case. */
export function oneOfAnyCase(...words: string[]): Validator {
  return {
    describe: () => `(case insensitive) [${oneLine(words)}]`,
    check(name, value) {
      if (typeof value === 'string' && words.includes(value.toUpperCase())) return undefined
      const reason = `write one of these, in any case: ${oneLine(words)}`
      return invalid(name, value, reason)
    },
  }
}

export type Refusal = 'null' | 'empty' | 'duplicates'

/** A list: what it refuses, and which elements it takes (empty: any). */
export function listOf(words: readonly string[], ...refuses: Refusal[]): Validator {
  return {
    describe() {
      const allowed = words.length > 0 ? [`[${oneLine(words)}]`] : []
      return [...allowed, ...refuses.map((refusal) => `no ${refusal}`)].join('; ')
    },
    check(name, value) {
      if (value === null) {
        if (!refuses.includes('null')) return undefined
        return `${name} needs a value.`
      }
      if (!Array.isArray(value)) return undefined
      return checkElements(name, value, words, refuses)
    },
  }
}

function checkElements(
  name: string,
  elements: readonly string[],
  words: readonly string[],
  refuses: readonly Refusal[],
): string | undefined {
  if (elements.length === 0 && refuses.includes('empty')) {
    const valid = words.length > 0 ? `[${oneLine(words)}]` : 'whatever is not empty'
    return `${name} needs at least one value: ${valid}`
  }
  if (refuses.includes('duplicates') && new Set(elements).size !== elements.length) {
    return `${name} has a value twice.`
  }
  if (elements.length > 1 && elements.some((element) => element === '')) {
    return `${name} has an empty value among others.`
  }
  const wrong = words.length > 0 ? elements.find((element) => !words.includes(element)) : undefined
  if (wrong === undefined) return undefined
  return invalid(name, wrong, `write one of these: ${oneLine(words)}`)
}

export const anyList = (...refuses: Refusal[]): Validator => listOf([], ...refuses)

export const nonEmptyText: Validator = {
  describe: () => 'non-empty string',
  check(name, value) {
    if (value !== '') return undefined
    return invalid(name, value, 'it can not be empty')
  },
}

export const nonNullText: Validator = {
  describe: () => 'non-null string',
  check(name, value) {
    return value === null ? invalid(name, null, 'it needs a value') : undefined
  },
}

/** `0:1,1:2` (partition and broker), or `*`. */
export const throttledReplicas: Validator = {
  describe: () => '[partitionId]:[brokerId],[partitionId]:[brokerId],...',
  check(name, value) {
    if (value === null) return `${name} needs a value.`
    if (!Array.isArray(value) || value.length === 0) return undefined
    if (value.length === 1 && value[0] === '*') return undefined
    if (value.every((element: string) => /^\d+:\d+$/.test(element))) {
      return new Set(value).size === value.length ? undefined : `${name} has a value twice.`
    }
    const reason = `${name} is '*', or a list of partition and broker such as 0:1,0:2,1:3`
    return invalid(name, `[${oneLine(value)}]`, reason)
  },
}

/** Share groups: where to begin. */
export const shareOffsetReset: Validator = {
  describe: () => '[latest, earliest, by_duration:PnDTnHnMn.nS]',
  check(name, value) {
    if (typeof value === 'string' && /^(latest|earliest|by_duration:P(?=.)[^-]+)$/.test(value)) {
      return undefined
    }
    const reason =
      'the value should be `earliest`, `latest` or of the format `by_duration:<PnDTnHnMn.nS>`'
    return invalid(name, value, reason)
  },
}

/** `host:port`; '' means that it is off. */
export const hostAndPort: Validator = {
  describe: () => 'host:port, or empty',
  check(name, value) {
    if (value === '' || (typeof value === 'string' && isHostAndPort(value))) return undefined
    return invalid(name, value, 'write it as host:port, for example 127.0.0.1:9644')
  },
}

function isHostAndPort(value: string): boolean {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:/\s]*):(\d{1,5})$/.exec(value)
  return match !== null && Number(match[2]) <= 65_535
}

const INTEGER_LIMITS: Partial<Record<SettingType, readonly [bigint, bigint]>> = {
  SHORT: [-32_768n, 32_767n],
  INT: [-2_147_483_648n, 2_147_483_647n],
  LONG: [-(2n ** 63n), 2n ** 63n - 1n],
}

export type Parsed = { readonly value: ParsedValue | null } | { readonly complaint: string }

/** Text to value, by type alone. LONGs are bigint when they are not safe as a number. */
export function parseValue(name: string, type: SettingType, raw: string | null): Parsed {
  if (raw === null) return { value: null }
  const trimmed = raw.trim()
  switch (type) {
    case 'BOOLEAN':
      return parseBoolean(name, trimmed)
    case 'SHORT':
    case 'INT':
    case 'LONG':
      return parseInteger(name, type, trimmed)
    case 'DOUBLE':
      return parseDouble(name, trimmed)
    case 'LIST':
      return { value: trimmed === '' ? [] : trimmed.split(/\s*,\s*/) }
    case 'PASSWORD':
    case 'STRING':
    case 'CLASS':
      return { value: trimmed }
  }
}

function parseBoolean(name: string, text: string): Parsed {
  const lower = text.toLowerCase()
  if (lower === 'true' || lower === 'false') return { value: lower === 'true' }
  return { complaint: invalid(name, text, 'write true or false') }
}

function parseInteger(name: string, type: SettingType, text: string): Parsed {
  const [low, high] = INTEGER_LIMITS[type]!
  const value = /^[+-]?\d{1,30}$/.test(text) ? BigInt(text.replace('+', '')) : undefined
  if (value === undefined || value < low || value > high) {
    return { complaint: invalid(name, text, `it is no number of type ${type}`) }
  }
  const number = Number(value)
  return { value: Number.isSafeInteger(number) ? number : value }
}

function parseDouble(name: string, text: string): Parsed {
  const value = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(value))
    return { complaint: invalid(name, text, 'it is no number of type DOUBLE') }
  return { value }
}
