/**
 * A Prometheus with our rules that scrapes the nodes of a check each second: what it is told must be
 * true, alerts must come and go, and dashboards must have something to show.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DASHBOARDS } from '../grafana/dashboards.ts'
import { eventually, freePorts, isOk, need, ROOT } from './tools.ts'

const START_MS = 30_000
const ASK_MS = 10_000
/** Dashboard and panel: while all is well there is nothing to show. Any other panel has something. */
const EMPTY_PANELS = [
  'Odradek / Topic: Records refused: ',
  'Odradek / Groups: Time to catch up: ',
  'Odradek / Quorum: Failed calls between nodes: ', // when none has failed yet
]

export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: number
}

export class Prometheus {
  readonly #child: ChildProcess
  readonly #directory: string
  readonly #url: string

  private constructor(child: ChildProcess, directory: string, url: string) {
    this.#child = child
    this.#directory = directory
    this.#url = url
  }

  /** Throws Skip when it is not installed. */
  static async start(httpPorts: readonly number[]): Promise<Prometheus> {
    const command = need('prometheus')
    const directory = mkdtempSync(join(tmpdir(), 'odradek-prometheus-'))
    const config = {
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: ['recording.yml', 'alerts.yml'].map((name) =>
        join(ROOT, 'deploy/prometheus', name),
      ),
      scrape_configs: [
        {
          job_name: 'odradek',
          static_configs: [{ targets: httpPorts.map((port) => `127.0.0.1:${port}`) }],
        },
      ],
    }
    // JSON is YAML.
    writeFileSync(join(directory, 'prometheus.yml'), JSON.stringify(config))
    const [port] = await freePorts(1)
    const flags = [
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]
    const child = spawn(command, flags, { stdio: 'ignore' })
    const url = `http://127.0.0.1:${port}`
    const started = new Prometheus(child, directory, url)
    try {
      await eventually('Prometheus is ready', START_MS, () => isOk(`${url}/-/ready`))
    } catch (error) {
      await started.close()
      throw error
    }
    return started
  }

  async query(expression: string): Promise<readonly Sample[]> {
    const response = await fetch(`${this.#url}/api/v1/query`, {
      method: 'POST',
      body: new URLSearchParams({ query: expression }),
      signal: AbortSignal.timeout(ASK_MS),
    })
    const answer = (await response.json()) as {
      error?: string
      data?: { result: { metric: Record<string, string>; value: [number, string] }[] }
    }
    if (answer.data === undefined) throw new Error(`${expression}: ${answer.error}`)
    return answer.data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
  }

  async number(expression: string): Promise<number> {
    return (await this.query(expression))[0]?.value ?? Number.NaN
  }

  /** Names of alerts that fire now. */
  async firing(): Promise<ReadonlySet<string>> {
    const samples = await this.query('ALERTS{alertstate="firing"}')
    return new Set(samples.map(({ metric }) => metric['alertname']!))
  }

  /** Runs the expression of each panel. Throws when one is wrong, or empty without a reason. */
  async panels(): Promise<{ full: number; empty: readonly string[] }> {
    let full = 0
    const empty: string[] = []
    for (const { title, panels } of DASHBOARDS) {
      for (const panel of panels) {
        for (const { expression } of panel.queries) {
          const samples = await this.query(expression.replaceAll(/\$\w+/g, '.*'))
          if (samples.length > 0) full++
          else empty.push(`${title}: ${panel.title}: ${expression}`)
        }
      }
    }
    const missing = empty.filter((one) => !EMPTY_PANELS.some((panel) => one.startsWith(panel)))
    if (missing.length > 0) throw new Error(`nothing to show:\n${missing.join('\n')}`)
    return { full, empty }
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    if (this.#child.exitCode === null && this.#child.kill('SIGTERM')) await ended
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
