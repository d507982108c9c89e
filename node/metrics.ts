/**
 * The `/metrics` page, and the only door to prom-client, which brings the process's own figures.
 * Our families are read from plain counters when somebody scrapes and written by hand: 10,000 series
 * through the library would hold the loop for 40 ms.
 *
 * Invariant: a page of any length is made in slices of a few milliseconds; between two the loop
 * turns. Scrapes that come while a page is being made share it.
 */
import { readdir, stat } from 'node:fs/promises'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { assert } from '../base/assert.ts'
import { type Clock, delay } from '../base/clock.ts'
import { Histogram, type Labels, type MetricFamily, type Metrics } from '../base/metrics.ts'

/** Gauges with a counter's name: `promtool check metrics` refuses them. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
]

/** Counted by us: the library lists a folder of thousands of names while the loop waits. */
const OPEN_FILES = 'process_open_fds'
const OPEN_FILES_FOLDER = '/proc/self/fd'

const SLICE_MS = 3

export type Exposition = 'prometheus' | 'openmetrics'

export const CONTENT_TYPES: Readonly<Record<Exposition, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

/** Labels that are used at many scrapes: their text is made once. */
export class FixedLabels {
  readonly [label: string]: string
  readonly #text: string

  constructor(labels: Labels) {
    Object.assign(this, labels)
    this.#text = renderLabels(labels)
  }

  static textOf(labels: Labels): string {
    return labels instanceof FixedLabels ? labels.#text : renderLabels(labels)
  }
}

export class PrometheusMetrics implements Metrics {
  readonly #clock: Clock
  readonly #hasProcess: boolean
  readonly #families = new Map<string, MetricFamily>()
  readonly #underWay = new Map<Exposition, Promise<readonly Buffer[]>>()
  #process: Registry | undefined

  /** `hasProcess`: with the figures of the process and of Node itself. */
  constructor(clock: Clock, options: { readonly hasProcess: boolean }) {
    this.#clock = clock
    this.#hasProcess = options.hasProcess
  }

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

  /** The whole page, in pieces. */
  render(exposition: Exposition): Promise<readonly Buffer[]> {
    const running = this.#underWay.get(exposition)
    if (running !== undefined) return running
    const page = this.#render(exposition).finally(() => this.#underWay.delete(exposition))
    this.#underWay.set(exposition, page)
    return page
  }

  async #render(exposition: Exposition): Promise<readonly Buffer[]> {
    const pieces: Buffer[] = []
    if (this.#hasProcess) {
      const openFiles = await countOpenFiles()
      pieces.push(Buffer.from(await this.#processText(exposition, openFiles)))
      await delay(this.#clock, 0)
    }
    let sinceMs = this.#clock.monotonicMs()
    for (const family of [...this.#families.values()]) {
      const text = renderFamily(family, exposition)
      if (text !== '') pieces.push(Buffer.from(text))
      if (this.#clock.monotonicMs() - sinceMs < SLICE_MS) continue
      await delay(this.#clock, 0)
      sinceMs = this.#clock.monotonicMs()
    }
    if (exposition === 'openmetrics') pieces.push(Buffer.from('# EOF\n'))
    return pieces
  }

  async #processText(exposition: Exposition, openFiles: number | undefined): Promise<string> {
    if (this.#process === undefined) {
      this.#process = new Registry()
      collectDefaultMetrics({ register: this.#process })
      for (const name of [...MISNAMED, OPEN_FILES]) this.#process.removeSingleMetric(name)
    }
    // The library's way to write what is not a number is its own.
    const text = (await this.#process.metrics()).replace(/ Nan$/gm, ' NaN')
    const own = openFiles === undefined ? '' : renderFamily(openFilesFamily(openFiles), exposition)
    return `${exposition === 'openmetrics' ? asOpenMetrics(text) : `${text}\n`}${own}`
  }

  /** Ends the timers of the library's own collection. */
  close(): void {
    this.#process?.clear()
    this.#families.clear()
  }
}

/** Files and sockets; undefined where the system does not say. */
async function countOpenFiles(): Promise<number | undefined> {
  try {
    const { size } = await stat(OPEN_FILES_FOLDER) // how many, since Linux 6.2; before that 0
    return size > 0 ? size : (await readdir(OPEN_FILES_FOLDER)).length
  } catch {
    return undefined // no Linux
  }
}

function openFilesFamily(count: number): MetricFamily {
  const help = 'Number of open file descriptors.'
  return { name: OPEN_FILES, type: 'gauge', help, collect: (emit) => emit({}, count) }
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
  let lines = ''
  family.collect((labels, value) => {
    lines +=
      value instanceof Histogram
        ? renderHistogram(family.name, labels, value)
        : `${family.name}${FixedLabels.textOf(labels)} ${renderNumber(value)}\n`
  })
  if (lines === '') return ''
  return `# HELP ${name} ${escapeHelp(family.help)}\n# TYPE ${name} ${family.type}\n${lines}`
}

function renderHistogram(name: string, labels: Labels, value: Histogram): string {
  const text = FixedLabels.textOf(labels)
  const open = text === '' ? '{' : `${text.slice(0, -1)},`
  let lines = ''
  let cumulative = 0
  value.bounds.forEach((bound, slot) => {
    cumulative += value.counts[slot]!
    lines += `${name}_bucket${open}le="${renderNumber(bound)}"} ${cumulative}\n`
  })
  cumulative += value.counts[value.bounds.length]!
  lines += `${name}_bucket${open}le="+Inf"} ${cumulative}\n`
  return `${lines}${name}_sum${text} ${renderNumber(value.sum)}\n${name}_count${text} ${cumulative}\n`
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
