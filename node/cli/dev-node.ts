/** One node of `odradek dev`: its ports, its settings file, its process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../../base/errors.ts'
import { cutsFileOf } from './start.ts'

export interface DevPlan {
  readonly id: number
  readonly directory: string
  readonly kafka: string
  readonly cluster: string
  readonly httpPort: number
}

const NODE_PORT_STEP = 100
const CLUSTER_PORT_OFFSET = 1
const HTTP_PORT_OFFSET = 552 // 9644 beside 9092
const READY_POLL_MS = 20
const HOST = '127.0.0.1'

export function planNodes(root: string, count: number, firstPort: number): readonly DevPlan[] {
  return Array.from({ length: count }, (_, at) => {
    const port = firstPort + NODE_PORT_STEP * at
    return {
      id: at + 1,
      directory: join(root, String(at + 1)),
      kafka: `${HOST}:${port}`,
      cluster: `${HOST}:${port + CLUSTER_PORT_OFFSET}`,
      httpPort: port + HTTP_PORT_OFFSET,
    }
  })
}

/**
 * Throws UserError when `root` has records of a cluster with another number of nodes: fewer would
 * wait for a majority, and more would follow without a vote.
 */
export function expectNodes(root: string, count: number): void {
  if (!existsSync(root)) return
  const names = readdirSync(root)
  const held = names.filter((name) => /^node-\d\.properties$/.test(name)).length
  const hasRecords = names.some((name) => existsSync(join(root, name, 'meta.properties')))
  if (!hasRecords || held === 0 || held === count) return
  const nodes = held === 1 ? '1 node' : `${held} nodes`
  const instead = `run it with --nodes ${held}, or name another directory with --data`
  throw new UserError(`${root} has a cluster of ${nodes}: ${instead}`)
}

export interface NodeEnd {
  /** For a process: 0 when it stopped as asked. */
  readonly code: number
  /** For people. */
  readonly how: string
}

export class DevNode {
  readonly plan: DevPlan
  readonly gone: Promise<NodeEnd>
  readonly #file: string
  readonly #child: ChildProcess

  constructor(root: string, plan: DevPlan, all: readonly DevPlan[], settings: readonly string[]) {
    this.plan = plan
    this.#file = join(root, `node-${plan.id}.properties`)
    mkdirSync(root, { recursive: true })
    writeFileSync(this.#file, settingsOf(plan, all))
    rmSync(cutsFileOf(this.#file), { force: true }) // left by the last run
    const level = process.env['ODRADEK_LOG_LEVEL'] ?? 'warn'
    const main = fileURLToPath(new URL('../odradek.cjs', import.meta.url))
    const flags = settings.flatMap((text) => ['--set', text])
    this.#child = spawn(
      process.execPath,
      [main, 'start', this.#file, '--profile', 'dev', '--log-level', level, ...flags],
      // A group of its own: Ctrl-C reaches this process alone, which then stops the nodes.
      // The level is meant for here: a node would take it for a setting.
      {
        stdio: ['ignore', 'inherit', 'inherit'],
        detached: true,
        env: { ...process.env, ODRADEK_LOG_LEVEL: undefined },
      },
    )
    this.gone = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        const how = signal ?? `exit code ${code}`
        resolve({ code: signal === null ? (code ?? 1) : 1, how })
      })
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get startCommand(): string {
    return `npx odradek start ${this.#file} --profile dev`
  }

  signal(name: 'SIGTERM' | 'SIGKILL'): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(name)
  }

  /** False when the node ended before. Throws UserError when it takes too long. */
  async ready(deadlineMs: number): Promise<boolean> {
    let hasEnded = false
    void this.gone.then(() => {
      hasEnded = true
    })
    while (performance.now() < deadlineMs) {
      if (hasEnded) return false
      try {
        const response = await fetch(`http://${HOST}:${this.plan.httpPort}/readyz`)
        if (response.status === 200) return true
      } catch {
        // Not listening yet.
      }
      await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS))
    }
    throw new UserError(`node ${this.plan.id} is not ready after a minute; its log says why`)
  }

  /** The id of the node that leads the metadata quorum, as this one knows it. */
  async controller(): Promise<number> {
    const response = await fetch(`http://${HOST}:${this.plan.httpPort}/api/v1/cluster`)
    const { controller } = (await response.json()) as { controller: number }
    return controller
  }
}

function settingsOf(plan: DevPlan, all: readonly DevPlan[]): string {
  return [
    '# Written by odradek dev at each start: pass --set key=value to change a setting.',
    'process.roles=broker,controller',
    `node.id=${plan.id}`,
    `listeners=PLAINTEXT://${plan.kafka},CONTROLLER://${plan.cluster}`,
    `advertised.listeners=PLAINTEXT://${plan.kafka}`,
    'controller.listener.names=CONTROLLER',
    `controller.quorum.voters=${all.map(({ id, cluster }) => `${id}@${cluster}`).join(',')}`,
    `log.dirs=${plan.directory}`,
    `http.address=${HOST}:${plan.httpPort}`,
    '',
  ].join('\n')
}
