import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { Histogram, SECONDS_BUCKETS } from '../base/metrics.ts'
import { realClock } from '../base/real/clock.ts'
import { metricsSuite } from '../base/suites/metrics-suite.ts'
import { FixedLabels, PrometheusMetrics } from './metrics.ts'
import { parseExposition } from './testing/exposition.ts'

const textOf = async (page: Promise<readonly Buffer[]>) => Buffer.concat(await page).toString()

function start(hasProcess = false) {
  const metrics = new PrometheusMetrics(realClock, { hasProcess })
  return { metrics, scrape: () => textOf(metrics.render('prometheus')) }
}

metricsSuite('of a node', () => start())

describe('node/metrics', () => {
  it('brings the figures of the process, without those that promtool refuses', async () => {
    const { metrics, scrape } = start(true)
    metrics.register({
      name: 'x_total',
      type: 'counter',
      help: 'X.',
      collect: (emit) => emit({}, 1),
    })
    const families = parseExposition(await scrape())
    assert.equal(families.get('x_total')!.samples[0]!.value, 1)
    assert.ok(families.get('process_resident_memory_bytes')!.samples[0]!.value > 1_000_000)
    assert.ok(families.has('nodejs_eventloop_lag_p99_seconds'))
    for (const { name, type } of families.values()) {
      assert.ok(type === 'counter' || !name.endsWith('_total'), name)
    }
    metrics.close()
  })

  it('lets the loop turn between the figures of the process and ours', async () => {
    const { metrics, scrape } = start(true)
    await scrape() // what the library makes once is made
    let hasTurned = false
    let hadTurned = false
    metrics.register({
      name: 'x_total',
      type: 'counter',
      help: 'X.',
      collect() {
        hadTurned = hasTurned
      },
    })
    // Timers of one length end in the order in which they began.
    realClock.after(0, () => {
      hasTurned = true
    })
    await scrape()
    assert.ok(hadTurned)
    metrics.close()
  })

  if (process.platform !== 'linux') it('counts open files: only Linux tells them')
  else {
    it('counts open files', async () => {
      const { metrics, scrape } = start(true)
      const count = async () =>
        parseExposition(await scrape()).get('process_open_fds')!.samples[0]!.value
      await scrape()
      const before = await count()
      const opened = Array.from({ length: 50 }, () => openSync('/dev/null', 'r'))
      const after = await count()
      for (const file of opened) closeSync(file)
      assert.ok(Math.abs(after - before - 50) <= 3, `${before}, and 50 more: ${after}`)
      metrics.close()
    })
  }

  it('writes labels that are used again as it writes others', async () => {
    const { metrics, scrape } = start()
    const histogram = new Histogram(SECONDS_BUCKETS)
    histogram.observe(0.1)
    const labels = { topic: 'a"b\\c\nd', partition: '7' }
    for (const [name, used] of [
      ['a_seconds', labels],
      ['b_seconds', new FixedLabels(labels)],
    ] as const) {
      metrics.register({
        name,
        type: 'histogram',
        help: 'Same.',
        collect: (emit) => emit(used, histogram),
      })
    }
    const lines = (await scrape()).split('\n')
    const of = (name: string) =>
      lines.filter((line) => line.includes(name)).map((line) => line.replaceAll(name, ''))
    assert.deepEqual(of('a_seconds'), of('b_seconds'))
    assert.equal(of('a_seconds').length, 2 + SECONDS_BUCKETS.length + 1 + 2)
  })

  it('speaks OpenMetrics to whom asks for it', async () => {
    const { metrics } = start(true)
    metrics.register({
      name: 'x_total',
      type: 'counter',
      help: 'X.',
      collect: (emit) => emit({}, 1),
    })
    const text = await textOf(metrics.render('openmetrics'))
    assert.match(text, /^# TYPE x counter\nx_total 1$/m)
    assert.match(text, /\n# EOF\n$/)
    metrics.close()
  })

  it('lets the loop turn while a long page is made, and makes one page for all who ask', async () => {
    const { metrics, scrape } = start()
    let collected = 0
    for (let family = 0; family < 20; family++) {
      metrics.register({
        name: `family_${family}`,
        type: 'gauge',
        help: 'Many.',
        collect(emit) {
          collected++
          for (let i = 0; i < 3000; i++) emit({ topic: 't', partition: String(i) }, i)
        },
      })
    }
    let turns = 0
    let isDone = false
    const turn = () => {
      turns++
      if (!isDone) setImmediate(turn)
    }
    setImmediate(turn)
    const [one, other] = await Promise.all([scrape(), scrape()])
    isDone = true
    assert.equal(one, other)
    assert.equal(collected, 20)
    assert.equal(parseExposition(one).size, 20)
    assert.ok(turns > 1, `the loop turned ${turns} times`)
  })
})
