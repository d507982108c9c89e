/**
 * P(t) = sum of P_i(t): how much flows into each partition that this node leads, and in all. Rates
 * are taken over the last ten seconds; the totals of the last quarter of an hour are kept.
 */
import { assert } from '../base/assert.ts'

const WINDOW_SECONDS = 10
const HISTORY_SECONDS = 15 * 60

/** Counters that only grow, as the partition's leader counts them. */
export interface Flow {
  readonly topic: string
  readonly index: number
  readonly recordsIn: number
  readonly bytesIn: number
}

export interface PartitionRate {
  readonly topic: string
  readonly partition: number
  readonly leader: number
  readonly recordsPerSecond: number
  readonly bytesPerSecond: number
}

export interface Throughput {
  readonly total: { readonly recordsPerSecond: number; readonly bytesPerSecond: number }
  readonly partitions: readonly PartitionRate[]
  /** One entry a second, oldest first. */
  readonly history: readonly { readonly atMs: number; readonly recordsPerSecond: number }[]
}

class Track {
  readonly records = new Float64Array(WINDOW_SECONDS + 1)
  readonly bytes = new Float64Array(WINDOW_SECONDS + 1)
  samples = 0
  lastSeen = 0
}

export class ThroughputMeter {
  readonly #nodeId: number
  readonly #tracks = new Map<Flow, Track>()
  readonly #times = new Float64Array(WINDOW_SECONDS + 1)
  readonly #history: { atMs: number; recordsPerSecond: number }[] = []
  #samples = 0

  constructor(nodeId: number) {
    this.#nodeId = nodeId
  }

  /** Once a second, with all partitions led here. */
  sample(flows: Iterable<Flow>, monotonicMs: number, nowMs: number): void {
    const slot = this.#samples % this.#times.length
    this.#times[slot] = monotonicMs
    this.#samples++
    for (const flow of flows) {
      let track = this.#tracks.get(flow)
      if (track === undefined) {
        track = new Track()
        this.#tracks.set(flow, track)
      }
      track.records[slot] = flow.recordsIn
      track.bytes[slot] = flow.bytesIn
      track.samples++
      track.lastSeen = this.#samples
    }
    for (const [flow, track] of this.#tracks) {
      if (track.lastSeen !== this.#samples) this.#tracks.delete(flow)
    }
    if (this.#history.length === HISTORY_SECONDS) this.#history.shift()
    this.#history.push({ atMs: nowMs, recordsPerSecond: this.read().total.recordsPerSecond })
  }

  read(): Throughput {
    const partitions: PartitionRate[] = []
    const total = { recordsPerSecond: 0, bytesPerSecond: 0 }
    for (const [flow, track] of this.#tracks) {
      const recordsPerSecond = this.#rate(track, track.records)
      const bytesPerSecond = this.#rate(track, track.bytes)
      total.recordsPerSecond += recordsPerSecond
      total.bytesPerSecond += bytesPerSecond
      partitions.push({
        topic: flow.topic,
        partition: flow.index,
        leader: this.#nodeId,
        recordsPerSecond,
        bytesPerSecond,
      })
    }
    return { total, partitions, history: this.#history }
  }

  #rate(track: Track, counts: Float64Array): number {
    const steps = Math.min(track.samples, this.#times.length) - 1
    if (steps < 1) return 0
    const newest = (this.#samples - 1) % this.#times.length
    const oldest = (this.#samples - 1 - steps) % this.#times.length
    const seconds = (this.#times[newest]! - this.#times[oldest]!) / 1000
    assert(seconds >= 0, 'monotonic time does not go back')
    return seconds === 0 ? 0 : (counts[newest]! - counts[oldest]!) / seconds
  }
}
