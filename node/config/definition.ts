/** What a setting is: one definition drives parsing, checks, DescribeConfigs, changes and the docs. */
import type { Validator } from './validators.ts'

export type SettingType =
  | 'BOOLEAN'
  | 'STRING'
  | 'INT'
  | 'SHORT'
  | 'LONG'
  | 'DOUBLE'
  | 'LIST'
  | 'CLASS'
  | 'PASSWORD'

/** DescribeConfigs' numbers. */
export const TYPE_CODES: Readonly<Record<SettingType, number>> = {
  BOOLEAN: 1,
  STRING: 2,
  INT: 3,
  SHORT: 4,
  LONG: 5,
  DOUBLE: 6,
  LIST: 7,
  CLASS: 8,
  PASSWORD: 9,
}

export type Importance = 'HIGH' | 'MEDIUM' | 'LOW'

/** Who may change it while nodes run. */
export type Mode = 'read-only' | 'per-broker' | 'cluster-wide'

/** Another name under which a value may be given, in other units perhaps. */
export interface Synonym {
  readonly name: string
  /** The value under this name counts so many of ours. */
  readonly times: number
}

export interface Setting {
  readonly name: string
  readonly type: SettingType
  /** As text; null: none. */
  readonly default: string | null
  readonly validator: Validator | null
  readonly importance: Importance
  readonly mode: Mode
  /** In the order in which they are looked at, after the setting's own name. */
  readonly synonyms: readonly Synonym[]
  /** Not shown by DescribeConfigs unless it was set. */
  readonly isInternal: boolean
  /** Only by AlterConfigs, never in a file; not shown until set. */
  readonly isDynamicOnly: boolean
  /** Why it changes nothing here; undefined when it does what Kafka does. */
  readonly noEffect: string | undefined
  /** Why our default is not Kafka's, and what Kafka's is. */
  readonly deviation: { readonly kafkaDefault: string | null; readonly reason: string } | undefined
  /** One sentence or two. */
  readonly documentation: string
}

export interface Extras {
  synonyms?: readonly (string | Synonym)[]
  isInternal?: true
  isDynamicOnly?: true
  deviation?: { kafkaDefault: string | null; reason: string }
}

/** A definition whose sentence is still missing. */
export interface Unexplained {
  is(documentation: string, extras?: Extras): Setting
  /** Accepted, with one line in the log. */
  hasNoEffect(reason: string, extras?: Extras): Setting
}

function begin(
  name: string,
  type: SettingType,
  defaultText: string | null,
  validator: Validator | null,
  importance: Importance,
  mode: Mode,
): Unexplained {
  const complete = (
    documentation: string,
    noEffect: string | undefined,
    extras: Extras = {},
  ): Setting => ({
    name,
    type,
    default: defaultText,
    validator,
    importance,
    mode,
    synonyms: (extras.synonyms ?? []).map((synonym) =>
      typeof synonym === 'string' ? { name: synonym, times: 1 } : synonym,
    ),
    isInternal: extras.isInternal === true,
    isDynamicOnly: extras.isDynamicOnly === true,
    noEffect,
    deviation: extras.deviation,
    documentation,
  })
  return {
    is: (documentation, extras) => complete(documentation, undefined, extras),
    hasNoEffect: (reason, extras) =>
      complete(`Accepted and without effect: ${reason}`, reason, extras),
  }
}

type Define<D> = (
  name: string,
  value: D,
  validator: Validator | null,
  importance: Importance,
  mode: Mode,
) => Unexplained

const define =
  (type: SettingType): Define<string | number | boolean | null> =>
  (name, value, validator, importance, mode) =>
    begin(name, type, value === null ? null : String(value), validator, importance, mode)

export const bool: Define<boolean | null> = define('BOOLEAN')
export const text: Define<string | null> = define('STRING')
export const int: Define<number | null> = define('INT')
export const short: Define<number | null> = define('SHORT')
/** Text where the number is beyond what a double holds exactly. */
export const long: Define<number | string | null> = define('LONG')
export const double: Define<number | string | null> = define('DOUBLE')
export const list: Define<string | null> = define('LIST')
export const className: Define<string | null> = define('CLASS')
export const password: Define<string | null> = define('PASSWORD')

export const HIGH = 'HIGH'
export const MEDIUM = 'MEDIUM'
export const LOW = 'LOW'
export const FIXED = 'read-only'
export const PER_BROKER = 'per-broker'
export const CLUSTER = 'cluster-wide'
/** The largest LONG: "never", "no limit". */
export const LONG_MAX = '9223372036854775807'
