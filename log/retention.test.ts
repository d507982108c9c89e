import assert from 'node:assert/strict'
import { DEFAULT_LOG_CONFIG, type LogConfig } from './config.ts'
import { expiredSegments, rollAfterMs, type SegmentFacts } from './retention.ts'

const NOW_MS = 1_000_000
const LIMITS = { nowMs: NOW_MS, highWatermark: 1000, logStartOffset: 0 }

/** Segments of ten offsets and 100 bytes each, the oldest first, with these ages. */
function segments(...agesMs: number[]): SegmentFacts[] {
  return agesMs.map((ageMs, i) => ({
    baseOffset: i * 10,
    nextOffset: i * 10 + 10,
    sizeBytes: 100,
    largestTimestampMs: NOW_MS - ageMs,
  }))
}

function config(changes: Partial<LogConfig>): LogConfig {
  return { ...DEFAULT_LOG_CONFIG, retentionMs: -1, ...changes }
}

describe('log/retention', () => {
  it('lets segments go by age, the active one too, and none behind a younger one', () => {
    const byAge = config({ retentionMs: 50 })
    assert.equal(expiredSegments(segments(90, 60, 10), byAge, LIMITS), 2)
    assert.equal(expiredSegments(segments(90, 80, 70), byAge, LIMITS), 3)
    assert.equal(expiredSegments(segments(90, 10, 70), byAge, LIMITS), 1)
    assert.equal(expiredSegments(segments(50, 50, 50), byAge, LIMITS), 0, 'not yet older')
    assert.equal(expiredSegments(segments(90, 90, 90), config({}), LIMITS), 0)
  })

  it('lets whole segments go by size, never the active one', () => {
    const bySize = (retentionBytes: number) => config({ retentionBytes })
    assert.equal(expiredSegments(segments(0, 0, 0), bySize(300), LIMITS), 0)
    assert.equal(expiredSegments(segments(0, 0, 0), bySize(201), LIMITS), 0, 'it would be too few')
    assert.equal(expiredSegments(segments(0, 0, 0), bySize(200), LIMITS), 1)
    assert.equal(expiredSegments(segments(0, 0, 0), bySize(0), LIMITS), 2)
  })

  it('lets go what lies below the start of the log, also where nothing else is deleted', () => {
    const compacted = config({ isCompacted: true, isDeleted: false, retentionMs: 1 })
    const limits = { ...LIMITS, logStartOffset: 25 }
    assert.equal(expiredSegments(segments(90, 90, 90, 90), compacted, limits), 2)
    assert.equal(expiredSegments(segments(90, 90, 90, 90), compacted, LIMITS), 0)
  })

  it('lets segments go that compaction emptied, and keeps an active one without records', () => {
    const byAge = config({ retentionMs: 50 })
    const emptied = segments(90, 90, 90, 90).map((segment, i) => {
      return i === 0 || i === 2 || i === 3 ? { ...segment, sizeBytes: 0 } : segment
    })
    assert.equal(expiredSegments(emptied, byAge, LIMITS), 3)
  })

  it('keeps what is not below the watermark', () => {
    const byAge = config({ retentionMs: 50 })
    for (const [highWatermark, count] of [
      [0, 0],
      [9, 0],
      [10, 1],
      [29, 2],
      [30, 3],
    ] as const) {
      const limits = { ...LIMITS, highWatermark }
      assert.equal(expiredSegments(segments(90, 90, 90), byAge, limits), count, `${highWatermark}`)
    }
  })

  it('rolls after segment.ms less a jitter, and in time for compaction', () => {
    const timed = config({ segmentMs: 1000 })
    assert.equal(rollAfterMs(timed, 't', 0), 1000)
    const jittered = config({ segmentMs: 1000, segmentJitterMs: 100 })
    const times = Array.from({ length: 50 }, (_, i) => rollAfterMs(jittered, 't', i * 10))
    assert.ok(times.every((ms) => ms > 900 && ms <= 1000))
    assert.ok(new Set(times).size > 10, 'segments differ')
    assert.equal(rollAfterMs(jittered, 't', 10), times[1], 'one segment does not')
    assert.equal(rollAfterMs(config({ segmentMs: 1000, maxCompactionLagMs: 300 }), 't', 0), 1000)
    const compacted = config({ segmentMs: 1000, maxCompactionLagMs: 300, isCompacted: true })
    assert.equal(rollAfterMs(compacted, 't', 0), 300)
  })
})
