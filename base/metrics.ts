/**
 * Counting costs a field increment: components own plain counters and histograms, and register a
 * family that reads them when somebody scrapes. The exposition lives in `node/metrics.ts`.
 */

export type MetricType = 'counter' | 'gauge' | 'histogram'
export type Labels = Readonly<Record<string, string>>

/** Durations: 0.5 ms x 2^n up to 8 s. */
export const SECONDS_BUCKETS: readonly number[] = Array.from(
  { length: 15 },
  (_, n) => 0.0005 * 2 ** n,
)
/** Sizes: powers of 4 from 64 B. */
export const BYTES_BUCKETS: readonly number[] = Array.from({ length: 12 }, (_, n) => 64 * 4 ** n)

/** Cumulative counts are made when read; `observe` touches one slot. */
export class Histogram {
  readonly bounds: readonly number[]
  /** One per bound, and one beyond the last. Not cumulative. */
  readonly counts: Float64Array
  sum = 0
  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }
  observe(value: number): void {
    let slot = 0
    while (slot < this.bounds.length && value > this.bounds[slot]!) slot++
    this.counts[slot]!++
    this.sum += value
  }
}

export interface MetricFamily {
  readonly name: string
  readonly type: MetricType
  readonly help: string
  /** Called at each scrape; emits every series of the family. */
  collect(emit: (labels: Labels, value: number | Histogram) => void): void
}

export interface Metrics {
  /** A name can be registered once. Returns the way to take it out again. */
  register(family: MetricFamily): () => void
}

/** For parts that run without a scraper: simulation, tools. */
export const UNSCRAPED: Metrics = { register: () => () => {} }
