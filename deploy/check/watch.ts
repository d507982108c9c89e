/**
 * Three nodes under a known load, and a real Prometheus beside them: what it is told is what flows,
 * and when a node dies, the alerts that should fire do, and clear.
 */
import { Load } from './load.ts'
import { Prometheus } from './prometheus.ts'
import type { Report } from './report.ts'
import { eventually, find, must, pause } from './tools.ts'

/** Nodes that somebody else has started. */
export interface WatchedCluster {
  readonly bootstrap: string
  readonly httpPorts: readonly number[]
  /** Ends the third node as `kill -9`. */
  kill(): Promise<void>
  /** Starts it again. */
  restart(): Promise<void>
}

const UP_MS = 90_000
const SETTLE_MS = 3000
/** Over which rates are taken. */
const RATE_SECONDS = 20
/** Of the page of a node. */
const PAGE_SECONDS = 10
const ATTEMPTS_MAX = 5
const TOLERANCE = 0.1
/** Alerts wait for a minute before they fire. */
const ALERT_MS = 150_000
const EXPECTED_ALERTS = ['NodeDown', 'QuorumAtRisk', 'UnderReplicated']
const TOPIC = 'check-rates'

export async function checkWatched(
  report: Report,
  where: string,
  cluster: WatchedCluster,
): Promise<void> {
  await report.check(`${where}: the text of /metrics`, () => metricsText(cluster.httpPorts))
  let prometheus: Prometheus | undefined
  try {
    const isUp = await report.check(`${where}: Prometheus scrapes three nodes`, async () => {
      const started = await Prometheus.start(cluster.httpPorts)
      prometheus = started
      await eventually('three nodes are up', UP_MS, async () =>
        (await started.number('sum(up{job="odradek"})')) === 3 ? true : undefined,
      )
      return undefined
    })
    if (!isUp || prometheus === undefined) return
    const watching: Prometheus = prometheus
    await report.check(`${where}: P(t) and each P_i(t) under a known load`, () =>
      knownLoad(report, where, cluster, watching),
    )
    await report.check(`${where}: alerts of a killed node fire and clear`, () =>
      alerts(cluster, watching),
    )
  } finally {
    await prometheus?.close()
  }
}

/** Each node is asked as Prometheus asks; with promtool its text is checked too. */
async function metricsText(httpPorts: readonly number[]): Promise<string> {
  const promtool = find('promtool')
  for (const port of httpPorts) {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    if (!/^odradek_node_state\{.*state="running".*\} 1$/m.test(text)) {
      throw new Error(`port ${port} shows no running node`)
    }
    if (promtool !== undefined) await must(promtool, ['check', 'metrics'], { input: text })
  }
  return promtool === undefined
    ? 'promtool is not installed: text not checked'
    : 'promtool is content'
}

async function alerts(cluster: WatchedCluster, prometheus: Prometheus): Promise<string> {
  await eventually('no alert fires', ALERT_MS, async () =>
    (await prometheus.firing()).size === 0 ? true : undefined,
  )
  await cluster.kill()
  await eventually(EXPECTED_ALERTS.join(', '), ALERT_MS, async () => {
    const firing = await prometheus.firing()
    return EXPECTED_ALERTS.every((name) => firing.has(name)) ? true : undefined
  })
  const others = [...(await prometheus.firing())].filter((name) => !EXPECTED_ALERTS.includes(name))
  await cluster.restart()
  await eventually('the alerts clear', ALERT_MS, async () =>
    (await prometheus.firing()).size === 0 ? true : undefined,
  )
  return [...EXPECTED_ALERTS, ...others].join(', ')
}

async function knownLoad(
  report: Report,
  where: string,
  cluster: WatchedCluster,
  prometheus: Prometheus,
): Promise<string> {
  const load = new Load(cluster.bootstrap.split(','), TOPIC)
  await load.start()
  let summary: string
  try {
    await pause(SETTLE_MS)
    summary = await steady(() => rates(load, prometheus))
    await report.check(`${where}: /api/v1/throughput of each node`, () =>
      steady(() => throughputPages(cluster, load)),
    )
    await report.check(`${where}: each panel has something to show`, async () => {
      const { full, empty } = await prometheus.panels()
      return `${full} expressions; empty, as they should be while all is well: ${empty.length}`
    })
  } catch (error) {
    await load.stop()
    throw error
  }
  const { sent, doubled, lost, failures } = await load.stop()
  const ends = `sum(max by (partition) (odradek_partition_log_end_offset{topic="${TOPIC}"}))`
  // One record an offset: nothing was sent twice, and nothing else is in this topic.
  await eventually('log end offsets sum to the records sent', UP_MS, async () =>
    (await prometheus.number(ends)) === sent ? true : undefined,
  )
  if (doubled + lost + failures.length > 0) throw new Error(`${lost} lost, ${doubled} doubled`)
  return `${summary}; log end offsets sum to the ${sent} records sent`
}

/**
 * A machine that does much else makes the load uneven, and then windows of a second's difference see
 * other rates: measured anew, a few times. A wrong count is wrong each time.
 */
async function steady(measure: () => Promise<string>): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await measure()
    } catch (error) {
      if (!(error instanceof NotNear) || attempt === ATTEMPTS_MAX) throw error
    }
  }
}

/** Waits that long; records that were acknowledged a second meanwhile. */
async function sentDuring(load: Load, seconds: number): Promise<number> {
  const first = { count: load.acknowledged, atMs: performance.now() }
  await pause(seconds * 1000)
  return (1000 * (load.acknowledged - first.count)) / (performance.now() - first.atMs)
}

/** What Prometheus says, beside what was sent. */
async function rates(load: Load, prometheus: Prometheus): Promise<string> {
  const expected = await sentDuring(load, RATE_SECONDS)
  const series = `rate(odradek_partition_records_in_total{topic="${TOPIC}"}[${RATE_SECONDS}s])`
  const partitions = await prometheus.query(`sum by (partition) (${series})`)
  const total = sumOf(partitions.map(({ value }) => value))
  mustBeNear('P(t)', total, expected)
  // The producer deals records out in turn.
  for (const { metric, value } of partitions) {
    mustBeNear(`P(t) of partition ${metric['partition']}`, value, expected / partitions.length)
  }
  const off = (100 * (total / expected - 1)).toFixed(1)
  return `${Math.round(expected)} records/s sent, P(t) off by ${off} %`
}

/** What each node says of the whole cluster: near the load, and the sum of its parts. */
async function throughputPages(cluster: WatchedCluster, load: Load): Promise<string> {
  const expected = await sentDuring(load, PAGE_SECONDS)
  const answers = await Promise.all(
    cluster.httpPorts.map((port) => fetch(`http://127.0.0.1:${port}/api/v1/throughput`)),
  )
  const totals: number[] = []
  for (const [k, port] of cluster.httpPorts.entries()) {
    const { total, partitions, unheard } = (await answers[k]!.json()) as {
      total: { recordsPerSecond: number }
      partitions: { topic: string; recordsPerSecond: number }[]
      unheard: number[]
    }
    if (unheard.length > 0) throw new NotNear(`port ${port} has not heard ${unheard}`)
    const all = sumOf(partitions.map(({ recordsPerSecond }) => recordsPerSecond))
    if (Math.abs(all - total.recordsPerSecond) > 1e-6 * all) {
      throw new Error(`port ${port}: the total ${total.recordsPerSecond} is not the sum ${all}`)
    }
    const ours = partitions.filter(({ topic }) => topic === TOPIC)
    mustBeNear(`P(t) at port ${port}`, sumOf(ours.map((one) => one.recordsPerSecond)), expected)
    totals.push(Math.round(total.recordsPerSecond))
  }
  return `${totals.join(', ')} records/s`
}

/** What was measured is not what was sent. */
class NotNear extends Error {}

function mustBeNear(what: string, value: number, wanted: number): void {
  if (Math.abs(value / wanted - 1) <= TOLERANCE) return
  throw new NotNear(`${what} is ${value} records/s, and ${wanted} were sent`)
}

const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0)
