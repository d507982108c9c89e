/** Rules of time and size for segments: which may go, and when a new one begins. Pure. */
import { assert } from '../base/assert.ts'
import type { LogConfig } from './config.ts'

export interface SegmentFacts {
  readonly baseOffset: number
  /** First offset behind the segment. */
  readonly nextOffset: number
  readonly sizeBytes: number
  /** Largest timestamp of its records, or the file's last change when it has none. */
  readonly largestTimestampMs: number
}

export type RetentionReason = 'time' | 'size' | 'log-start'

/**
 * How many of the oldest segments go, the active one (the last) included when all its records are
 * too old: the log then begins a new one first. Never beyond the watermark.
 */
export function expiredSegments(
  segments: readonly SegmentFacts[],
  config: LogConfig,
  limits: { nowMs: number; highWatermark: number; logStartOffset: number },
): number {
  assert(segments.length > 0, 'a log has a segment')
  let count = 0
  let excessBytes = -config.retentionBytes
  for (const segment of segments) excessBytes += segment.sizeBytes
  for (const segment of segments) {
    const isActive = count === segments.length - 1
    if (segment.nextOffset > limits.highWatermark) break
    if (isActive && segment.sizeBytes === 0) break // compaction empties closed ones
    const isBelowStart = !isActive && segment.nextOffset <= limits.logStartOffset
    const isOld =
      config.isDeleted &&
      config.retentionMs >= 0 &&
      limits.nowMs - segment.largestTimestampMs > config.retentionMs
    const isExcess =
      config.isDeleted &&
      !isActive &&
      config.retentionBytes >= 0 &&
      excessBytes - segment.sizeBytes >= 0
    if (!isBelowStart && !isOld && !isExcess) break
    excessBytes -= segment.sizeBytes
    count++
  }
  return count
}

/**
 * `segmentMs` less a jitter that is fixed for this segment. What compaction must reach in time has
 * to be closed in time.
 */
export function rollAfterMs(config: LogConfig, topic: string, baseOffset: number): number {
  const { segmentMs, segmentJitterMs, isCompacted, maxCompactionLagMs } = config
  const mayReach = isCompacted && maxCompactionLagMs > 0
  const limitMs = mayReach ? Math.min(segmentMs, maxCompactionLagMs) : segmentMs
  if (segmentJitterMs <= 0 || limitMs < 1) return limitMs
  let hash = 2_166_136_261
  for (const char of `${topic}/${baseOffset}`) {
    hash = Math.imul(hash ^ char.charCodeAt(0), 16_777_619)
  }
  const jitterMs = (hash >>> 0) % Math.min(segmentJitterMs, limitMs, 4_294_967_295)
  return Math.max(1, limitMs - jitterMs)
}
