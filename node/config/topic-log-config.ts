/** A topic's settings in force: its own, else the broker's synonyms in their order, else the default. */
import { assert } from '../../base/assert.ts'
import type { LogConfig } from '../../log/config.ts'
import type { Settings } from '../config.ts'
import type { Setting } from './definition.ts'
import { TOPIC_SETTINGS } from './topic-settings.ts'
import { parseValue } from './validators.ts'

export interface TopicValues {
  readonly log: LogConfig
  readonly minInsyncReplicas: number
  readonly throttledReplicas: readonly string[]
}

const byName = new Map(TOPIC_SETTINGS.map((setting) => [setting.name, setting]))

export function topicSetting(name: string): Setting | undefined {
  return byName.get(name)
}

/**
 * The text in force; null: none. The first synonym that has a value in any layer counts, so that
 * milliseconds win over hours whoever set them.
 */
export function effectiveValue(
  setting: Setting,
  overrides: ReadonlyMap<string, string>,
  settings: Settings,
): string | null {
  const own = overrides.get(setting.name)
  if (own !== undefined) return own
  for (const { name, times } of setting.synonyms) {
    const value = settings.raw(name)
    if (value !== null) return scaled(value, times)
  }
  return setting.default
}

/** As `effectiveValue`, of a topic. */
export const topicValue = effectiveValue

/** A negative number is "no limit" in every unit. */
function scaled(value: string, times: number): string {
  if (times === 1) return value
  const number = BigInt(value.trim())
  return number < 0n ? '-1' : String(number * BigInt(times))
}

export function topicLogConfig(
  overrides: ReadonlyMap<string, string>,
  settings: Settings,
): TopicValues {
  const raw = (name: string) => {
    const setting = byName.get(name)
    assert(setting !== undefined, `${name} is a topic setting`)
    const parsed = parseValue(name, setting.type, topicValue(setting, overrides, settings))
    assert('value' in parsed, `${name} was checked before`)
    return parsed.value
  }
  const number = (name: string) => {
    const value = raw(name)
    if (typeof value === 'bigint') {
      return value < 0n ? Number.MIN_SAFE_INTEGER : Number.MAX_SAFE_INTEGER
    }
    assert(typeof value === 'number', `${name} is a number`)
    return value
  }
  const policies = raw('cleanup.policy')
  assert(Array.isArray(policies), 'cleanup.policy is a list')
  const log: LogConfig = {
    segmentBytes: number('segment.bytes'),
    segmentMs: number('segment.ms'),
    segmentJitterMs: number('segment.jitter.ms'),
    segmentIndexBytes: number('segment.index.bytes'),
    indexIntervalBytes: number('index.interval.bytes'),
    retentionMs: number('retention.ms'),
    retentionBytes: number('retention.bytes'),
    isCompacted: policies.includes('compact'),
    isDeleted: policies.includes('delete'),
    minCompactionLagMs: number('min.compaction.lag.ms'),
    maxCompactionLagMs: number('max.compaction.lag.ms'),
    deleteRetentionMs: number('delete.retention.ms'),
    minCleanableDirtyRatio: number('min.cleanable.dirty.ratio'),
    maxMessageBytes: number('max.message.bytes'),
    timestampType: raw('message.timestamp.type') as LogConfig['timestampType'],
    timestampBeforeMaxMs: number('message.timestamp.before.max.ms'),
    timestampAfterMaxMs: number('message.timestamp.after.max.ms'),
    compressionType: raw('compression.type') as LogConfig['compressionType'],
    fileDeleteDelayMs: number('file.delete.delay.ms'),
    preallocate: raw('preallocate') === true,
    flush: raw('flush') as LogConfig['flush'],
    flushMs: number('flush.ms'),
    flushMessages: number('flush.messages'),
  }
  const throttledReplicas = raw('leader.replication.throttled.replicas')
  assert(Array.isArray(throttledReplicas), 'throttled replicas are a list')
  return { log, minInsyncReplicas: number('min.insync.replicas'), throttledReplicas }
}
