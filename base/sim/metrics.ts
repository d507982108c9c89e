/** Metrics that a test can read. */
import { Histogram, type Labels, type MetricFamily, type Metrics } from '../metrics.ts'

export class SimMetrics implements Metrics {
  readonly #families = new Map<string, MetricFamily>()

  register(family: MetricFamily): () => void {
    const { name } = family
    if (this.#families.has(name)) throw new Error(`a metric of this name exists: ${name}`)
    this.#families.set(name, family)
    return () => {
      if (this.#families.get(name) === family) this.#families.delete(name)
    }
  }

  /**
   * The sum over all series of a family that hold at least `labels`; undefined without a series.
   */
  value(name: string, labels: Labels = {}): number | undefined {
    let sum: number | undefined
    this.#families.get(name)?.collect((has, value) => {
      if (!Object.entries(labels).every(([label, wanted]) => has[label] === wanted)) return
      sum = (sum ?? 0) + (value instanceof Histogram ? total(value) : value)
    })
    return sum
  }

  /** The text format of Prometheus. */
  scrape(): string {
    let text = ''
    for (const { name, type, help, collect } of this.#families.values()) {
      text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
      collect((labels, value) => {
        text +=
          value instanceof Histogram ? buckets(name, labels, value) : line(name, labels, value)
      })
    }
    return text
  }
}

function buckets(name: string, labels: Labels, histogram: Histogram): string {
  let count = 0
  let text = ''
  histogram.counts.forEach((more, slot) => {
    count += more
    const bound = histogram.bounds[slot]
    text += line(
      `${name}_bucket`,
      { ...labels, le: bound === undefined ? '+Inf' : `${bound}` },
      count,
    )
  })
  return text + line(`${name}_sum`, labels, histogram.sum) + line(`${name}_count`, labels, count)
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`)
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function total(histogram: Histogram): number {
  return histogram.counts.reduce((sum, count) => sum + count, 0)
}
