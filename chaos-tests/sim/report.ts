/**
 * One page about a run that needs no network: what was broken and which operations are concerned,
 * when faults were, who led, how many records were acknowledged and how quickly, and the longest
 * time without one for each partition.
 */

import {
  entriesOf,
  type Fault,
  type History,
  type Leader,
  type Send,
  type Violation,
} from '../checkers/history.ts'
import { concerned } from './concerned.ts'

const WIDTH = 1100
const LEFT = 150
const ROW = 14
const BUCKET_MS = 250
const RATE_HEIGHT = 90
const GAPS_SHOWN = 20
const LATENCY_BUCKET_MS = 1000
const SHARES = [0.5, 0.99, 1]
const COLORS = ['#5cb85c', '#f0ad4e', '#d9534f']

export interface ReportOptions {
  readonly title: string
  readonly history: History
  readonly violations: readonly Violation[]
}

export function reportPage({ title, history, violations }: ReportOptions): string {
  const page = new Page(history)
  const list = violations
    .map(({ checker, message }) => `<li><b>${asText(checker)}</b> ${asText(message)}</li>`)
    .join('\n')
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${asText(title)}</title>
<style>
body { font: 14px system-ui, sans-serif; margin: 24px; color: #222; max-width: ${WIDTH + LEFT}px }
svg text { font: 11px system-ui, sans-serif; fill: #333 }
li { white-space: pre-wrap; margin-bottom: 4px }
td, th { padding: 2px 12px 2px 0; text-align: left }
.fault { fill: #d9534f; opacity: 0.7 } .leads { fill: #337ab7 } .rate { fill: #5cb85c }
polyline { fill: none; stroke-width: 1.5 } pre { font: 12px ui-monospace, monospace }
</style></head><body>
<h1>${asText(title)}</h1>
<ul>${list || '<li>Every promise was kept.</li>'}</ul>
${concernedOf(history, violations)}
<h2>Faults</h2>${page.faults()}
<h2>Leaders</h2>${page.leaders()}
<h2>Acknowledged records, each ${BUCKET_MS} ms</h2>${page.rate()}
<h2>Milliseconds until the acknowledgement: median, 99 %, longest, each ${LATENCY_BUCKET_MS} ms</h2>
${page.latency()}
<h2>Longest time without an acknowledgement</h2>${page.gaps()}
</body></html>
`
}

/** The operations that the sentences about a failure speak of. */
function concernedOf(history: History, violations: readonly Violation[]): string {
  const parts = violations.flatMap((violation) => {
    const entries = concerned(history, violation)
    if (entries.length === 0) return []
    const lines = entries.map((entry) => asText(JSON.stringify(entry))).join('\n')
    return [`<h3>${asText(violation.message)}</h3><pre>${lines}</pre>`]
  })
  return parts.length === 0 ? '' : `<h2>Operations concerned</h2>${parts.join('\n')}`
}

class Page {
  readonly #faults: readonly Fault[]
  readonly #leaders: readonly Leader[]
  readonly #acked: readonly Send[]
  readonly #endMs: number

  constructor(history: History) {
    this.#faults = entriesOf(history, 'fault')
    this.#leaders = entriesOf(history, 'leader')
    this.#acked = entriesOf(history, 'send').filter(({ outcome }) => outcome === 'ok')
    const ends = [...this.#acked.map(({ endMs }) => endMs!), ...this.#faults.map(endOf)]
    this.#endMs = ends.reduce((most, endMs) => Math.max(most, endMs), 1000)
  }

  faults(): string {
    const rows = [...new Set(this.#faults.map(({ name, target }) => `${name} of ${target}`))]
    const bars = this.#faults.map((fault) => {
      const row = rows.indexOf(`${fault.name} of ${fault.target}`)
      const width = Math.max(2, this.#x(endOf(fault)) - this.#x(fault.atMs))
      const tip = `${fault.name} of ${fault.target}, ${round(fault.atMs)} ms, for ${fault.forMs} ms`
      return bar('fault', { x: this.#x(fault.atMs), row, width, tip })
    })
    return this.#chart(rows, bars)
  }

  leaders(): string {
    const rows = [
      ...new Set(this.#leaders.map(({ scope, node }) => `${shortScope(scope)} n${node}`)),
    ]
    const bars = this.#leaders.map(({ scope, node, epoch, atMs }) => {
      const row = rows.indexOf(`${shortScope(scope)} n${node}`)
      const next = this.#leaders.find((other) => other.scope === scope && other.epoch > epoch)
      const width = Math.max(2, this.#x(next?.atMs ?? this.#endMs) - this.#x(atMs))
      const tip = `node ${node} leads ${scope} in epoch ${epoch} since ${round(atMs)} ms`
      return bar('leads', { x: this.#x(atMs), row, width, tip })
    })
    return this.#chart(rows, bars)
  }

  rate(): string {
    const buckets = new Array<number>(Math.ceil(this.#endMs / BUCKET_MS) + 1).fill(0)
    for (const { endMs, values } of this.#acked) {
      buckets[Math.floor(endMs! / BUCKET_MS)]! += values.length
    }
    const most = buckets.reduce((high, count) => Math.max(high, count), 1)
    const width = Math.max(1, this.#x(BUCKET_MS) - this.#x(0) - 0.5)
    const bars = buckets.map((count, index) => {
      const height = (count / most) * RATE_HEIGHT
      const x = round(this.#x(index * BUCKET_MS))
      const y = round(RATE_HEIGHT - height)
      const size = `width="${round(width)}" height="${round(height)}"`
      return `<rect class="rate" x="${x}" y="${y}" ${size}><title>${count}</title></rect>`
    })
    const label = `<text x="0" y="12">at most ${most}</text>`
    return svg(RATE_HEIGHT, label + bars.join(''))
  }

  /** On a scale of powers of ten: a failover beside a normal answer. */
  latency(): string {
    const buckets: number[][] = []
    for (const { startMs, endMs } of this.#acked) {
      const bucket = Math.floor(endMs! / LATENCY_BUCKET_MS)
      buckets[bucket] ??= []
      buckets[bucket].push(endMs! - startMs)
    }
    const most = buckets.reduce((high, row) => row.reduce((a, b) => Math.max(a, b), high), 1)
    const scale = Math.log10(1 + most)
    const y = (ms: number) => round(RATE_HEIGHT * (1 - Math.log10(1 + ms) / scale))
    const sorted = buckets.map((row) => row.toSorted((a, b) => a - b))
    const lines = SHARES.map((share, at) => {
      // Seconds without an answer have no point: the line goes straight over them.
      const points = sorted.flatMap((row, bucket) => {
        const x = this.#x(Math.min(this.#endMs, (bucket + 0.5) * LATENCY_BUCKET_MS))
        const ms = row[Math.ceil(share * row.length) - 1]!
        return [`${round(x)},${y(ms)}`]
      })
      return `<polyline stroke="${COLORS[at]}" points="${points.join(' ')}"/>`
    })
    const label = `<text x="0" y="12">at most ${round(most)} ms</text>`
    return svg(RATE_HEIGHT, label + lines.join(''))
  }

  gaps(): string {
    const times = new Map<string, number[]>()
    for (const { topic, partition, endMs } of this.#acked) {
      const row = times.get(`${topic}-${partition}`)
      if (row === undefined) times.set(`${topic}-${partition}`, [endMs!])
      else row.push(endMs!)
    }
    const found: { name: string; fromMs: number; gapMs: number }[] = []
    for (const [name, row] of times) {
      const sorted = row.toSorted((a, b) => a - b)
      let widest = { name, fromMs: sorted[0]!, gapMs: 0 }
      for (let i = 1; i < sorted.length; i++) {
        const gapMs = sorted[i]! - sorted[i - 1]!
        if (gapMs > widest.gapMs) widest = { name, fromMs: sorted[i - 1]!, gapMs }
      }
      found.push(widest)
    }
    const rows = found
      .sort((a, b) => b.gapMs - a.gapMs)
      .slice(0, GAPS_SHOWN)
      .map(({ name, fromMs, gapMs }) => {
        return `<tr><td>${asText(name)}</td><td>${round(gapMs)}</td><td>${round(fromMs)}</td></tr>`
      })
    return `<table><tr><th>partition</th><th>ms</th><th>from</th></tr>${rows.join('')}</table>`
  }

  #x(atMs: number): number {
    return LEFT + (atMs / this.#endMs) * WIDTH
  }

  #chart(rows: readonly string[], bars: readonly string[]): string {
    const labels = rows.map((name, row) => {
      return `<text x="0" y="${row * ROW + ROW - 3}">${asText(name)}</text>`
    })
    return svg(Math.max(ROW, rows.length * ROW), labels.join('') + bars.join(''))
  }
}

function bar(
  kind: string,
  at: { readonly x: number; readonly row: number; readonly width: number; readonly tip: string },
): string {
  const place = `x="${round(at.x)}" y="${at.row * ROW + 2}"`
  const size = `width="${round(at.width)}" height="${ROW - 4}"`
  return `<rect class="${kind}" ${place} ${size}><title>${asText(at.tip)}</title></rect>`
}

const svg = (height: number, content: string): string =>
  `<svg width="${WIDTH + LEFT}" height="${height + 4}">${content}</svg>`

const endOf = ({ atMs, forMs }: Fault): number => atMs + forMs

const shortScope = (scope: string): string => scope.split('/')[0]!

const round = (value: number): number => Math.round(value * 10) / 10

function asText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
