/** What every Metrics promises. */
import assert from 'node:assert/strict'
import { Histogram, type MetricFamily, type Metrics } from '../metrics.ts'

export interface MetricsUnderTest {
  readonly metrics: Metrics
  /** What a scrape gives, in the text format of Prometheus. */
  scrape(): Promise<string>
}

export function metricsSuite(name: string, start: () => MetricsUnderTest): void {
  describe(`base/metrics ${name}`, () => {
    it('reads counters and gauges when somebody scrapes', async () => {
      const { metrics, scrape } = start()
      let count = 0
      metrics.register({
        name: 'test_requests_total',
        type: 'counter',
        help: 'Requests.',
        collect(emit) {
          emit({ api: 'Fetch' }, count)
          emit({ api: 'Produce' }, 2)
        },
      })
      metrics.register(gauge('test_depth', () => 7))
      count = 41
      count++
      const text = await scrape()
      assert.match(text, /^# HELP test_requests_total Requests\.$/m)
      assert.match(text, /^# TYPE test_requests_total counter$/m)
      assert.match(text, /^test_requests_total\{api="Fetch"\} 42$/m)
      assert.match(text, /^test_requests_total\{api="Produce"\} 2$/m)
      assert.match(text, /^# TYPE test_depth gauge$/m)
      assert.match(text, /^test_depth 7$/m)
    })

    it('makes histograms cumulative', async () => {
      const { metrics, scrape } = start()
      const histogram = new Histogram([1, 2, 4])
      for (const value of [0.5, 1, 1.5, 4, 9]) histogram.observe(value)
      metrics.register({
        name: 'test_seconds',
        type: 'histogram',
        help: 'Seconds.',
        collect: (emit) => emit({ kind: 'a' }, histogram),
      })
      const text = await scrape()
      assert.match(text, /^# TYPE test_seconds histogram$/m)
      const expected = { 1: 2, 2: 3, 4: 4, '+Inf': 5 }
      for (const [bound, count] of Object.entries(expected)) {
        const lines = text.split('\n').filter((line) => line.startsWith('test_seconds_bucket{'))
        const line = lines.find((candidate) => candidate.includes(`le="${bound}"`))
        assert.ok(line?.includes('kind="a"') && line.endsWith(` ${count}`), `${bound}: ${line}`)
      }
      assert.match(text, /^test_seconds_sum\{kind="a"\} 16$/m)
      assert.match(text, /^test_seconds_count\{kind="a"\} 5$/m)
    })

    it('takes each name once, and gives it back', async () => {
      const { metrics, scrape } = start()
      const takeOut = metrics.register(gauge('test_depth', () => 1))
      assert.throws(() => metrics.register(gauge('test_depth', () => 2)))
      takeOut()
      assert.ok(!(await scrape()).includes('test_depth'))
      metrics.register(gauge('test_depth', () => 2))
      assert.match(await scrape(), /^test_depth 2$/m)
    })

    it('escapes what labels hold', async () => {
      const { metrics, scrape } = start()
      metrics.register({
        name: 'test_depth',
        type: 'gauge',
        help: 'Depth.',
        collect: (emit) => emit({ name: 'a"b\\c\nd' }, 1),
      })
      assert.ok((await scrape()).includes(String.raw`test_depth{name="a\"b\\c\nd"} 1`))
    })
  })
}

function gauge(name: string, read: () => number): MetricFamily {
  return { name, type: 'gauge', help: 'Depth.', collect: (emit) => emit({}, read()) }
}
