/** The settings, as the server and the coordinators take them. */
import type { ServerOptions } from '../kafka/server/options.ts'
import type { Settings } from './config.ts'
import { DEFAULT_GROUP_OPTIONS, type GroupOptions } from './coordinator/group/options.ts'

const MINUTE_MS = 60_000

export function serverOptions(settings: Settings): Partial<ServerOptions> {
  return {
    requestBytesMax: settings.number('socket.request.max.bytes'),
    idleMs: settings.number('connections.max.idle.ms'),
    connectionsMax: settings.number('max.connections'),
    connectionsPerAddressMax: settings.number('max.connections.per.ip'),
    fetchSessionsMax: settings.number('max.incremental.fetch.session.cache.slots'),
    fetchBytesMax: settings.number('fetch.max.bytes'),
  }
}

export function groupOptions(settings: Settings): GroupOptions {
  return {
    ...DEFAULT_GROUP_OPTIONS,
    minSessionTimeoutMs: settings.number('group.min.session.timeout.ms'),
    maxSessionTimeoutMs: settings.number('group.max.session.timeout.ms'),
    sizeMax: settings.number('group.max.size'),
    initialRebalanceDelayMs: settings.number('group.initial.rebalance.delay.ms'),
    offsetMetadataMax: settings.number('offset.metadata.max.bytes'),
    offsetsRetentionMs: settings.number('offsets.retention.minutes') * MINUTE_MS,
    offsetsRetentionCheckMs: settings.number('offsets.retention.check.interval.ms'),
    commitTimeoutMs: settings.number('offsets.commit.timeout.ms'),
  }
}
