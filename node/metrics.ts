/**
 * The `/metrics` page, and the only door to prom-client, which brings the process's own figures.
 * Our families are read from plain counters when somebody scrapes and written by hand: 10,000 series
 * through the library would hold the loop for 40 ms.
 */
import { collectDefaultMetrics, Registry } from 'prom-client'
import { assert } from '../base/assert.ts'
import { Histogram, type Labels, type MetricFamily, type Metrics } from '../base/metrics.ts'

/** Gauges with a counter's name: `promtool check metrics` refuses them. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
]

export type Exposition = 'prometheus' | 'openmetrics'

export const CONTENT_TYPES: Readonly<Record<Exposition, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

export class PrometheusMetrics implements Metrics {
  readonly #families = new Map<string, MetricFamily>()
  #process: Registry | undefined

  register(family: MetricFamily): () => void {
    assert(!this.#families.has(family.name), `${family.name} is registered once`)
    assert(/^[a-z][a-z0-9_]*$/.test(family.name), 'a metric has a plain name')
    assert(
      (family.type === 'counter') === family.name.endsWith('_total'),
      `${family.name}: _total is for counters, and for them alone`,
    )
    this.#families.set(family.name, family)
    return () => this.#families.delete(family.name)
  }

  /** The whole page. `isComplete` adds the process's figures, which need the library. */
  async render(exposition: Exposition): Promise<string> {
    const own = [...this.#families.values()]
      .map((family) => renderFamily(family, exposition))
      .join('')
    const processText = await this.#processText(exposition)
    return exposition === 'openmetrics' ? `${processText}${own}# EOF\n` : `${processText}${own}`
  }

  async #processText(exposition: Exposition): Promise<string> {
    if (this.#process === undefined) {
      this.#process = new Registry()
      collectDefaultMetrics({ register: this.#process })
      for (const name of MISNAMED) this.#process.removeSingleMetric(name)
    }
    const text = await this.#process.metrics()
    return exposition === 'openmetrics' ? asOpenMetrics(text) : `${text}\n`
  }

  /** Ends the timers of the library's own collection. */
  close(): void {
    this.#process?.clear()
    this.#families.clear()
  }
}

/** OpenMetrics names a counter's family without `_total`. */
function asOpenMetrics(text: string): string {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/^# (HELP|TYPE) (\S+)_total /, '# $1 $2 '))
    .map((line) => `${line}\n`)
    .join('')
}

function renderFamily(family: MetricFamily, exposition: Exposition): string {
  const isOpen = exposition === 'openmetrics'
  const name = isOpen ? family.name.replace(/_total$/, '') : family.name
  const lines: string[] = []
  family.collect((labels, value) => {
    if (value instanceof Histogram) renderHistogram(lines, family.name, labels, value)
    else lines.push(`${family.name}${renderLabels(labels)} ${renderNumber(value)}\n`)
  })
  if (lines.length === 0) return ''
  const head = `# HELP ${name} ${escapeHelp(family.help)}\n# TYPE ${name} ${family.type}\n`
  return head + lines.join('')
}

function renderHistogram(lines: string[], name: string, labels: Labels, value: Histogram): void {
  let cumulative = 0
  value.bounds.forEach((bound, slot) => {
    cumulative += value.counts[slot]!
    const le = renderNumber(bound)
    lines.push(`${name}_bucket${renderLabels({ ...labels, le })} ${cumulative}\n`)
  })
  cumulative += value.counts[value.bounds.length]!
  lines.push(`${name}_bucket${renderLabels({ ...labels, le: '+Inf' })} ${cumulative}\n`)
  lines.push(`${name}_sum${renderLabels(labels)} ${renderNumber(value.sum)}\n`)
  lines.push(`${name}_count${renderLabels(labels)} ${cumulative}\n`)
}

function renderLabels(labels: Labels): string {
  let text = ''
  for (const key in labels) {
    text += `${text === '' ? '{' : ','}${key}="${escapeLabel(labels[key]!)}"`
  }
  return text === '' ? '' : `${text}}`
}

function renderNumber(value: number): string {
  if (Number.isFinite(value)) return String(value)
  if (Number.isNaN(value)) return 'NaN'
  return value > 0 ? '+Inf' : '-Inf'
}

function escapeLabel(text: string): string {
  return /["\\\n]/.test(text)
    ? text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
    : text
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}
