/** odradek dev: a node on this machine, as a child process, until Ctrl-C. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { print, say } from './output.ts'
import { wholeNumber } from './session.ts'
import { splitFlags } from './start.ts'

interface DevOptions {
  readonly nodes: string
  readonly data: string
  readonly port: string
  readonly set?: string[]
  readonly ephemeral?: boolean
}

interface Plan {
  readonly directory: string
  readonly kafkaPort: number
  readonly clusterPort: number
  readonly httpPort: number
}

const CLUSTER_PORT_STEP = 1
const HTTP_PORT_OFFSET = 552 // 9644 beside 9092
const READY_POLL_MS = 20
const READY_TIMEOUT_MS = 60_000

export function addDevCommand(program: Command): void {
  program
    .command('dev')
    .description('run a cluster on this machine (in this release: of one node)')
    .option('--nodes <n>', 'number of nodes', '1')
    .option('--data <directory>', 'where records are kept', '.odradek')
    .option('--port <port>', 'Kafka port of the first node', '9092')
    .option('--set <key=value...>', 'settings for all nodes')
    .option('--ephemeral', 'a new directory, removed at the end')
    .action(dev)
}

async function dev(options: DevOptions): Promise<void> {
  const startedMs = performance.now()
  if (wholeNumber(options.nodes, '--nodes') !== 1) {
    throw new UserError(
      '--nodes has to be 1: clusters of several nodes come with the next release',
      2,
    )
  }
  const root = options.ephemeral === true ? mkdtempSync(join(tmpdir(), 'odradek-')) : options.data
  const port = wholeNumber(options.port, '--port')
  const plan: Plan = {
    directory: join(root, '1'),
    kafkaPort: port,
    clusterPort: port + CLUSTER_PORT_STEP,
    httpPort: port + HTTP_PORT_OFFSET,
  }
  const child = startNode(root, plan, options)
  const gone = new Promise<number>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 1))
  })
  forwardSignals(child)
  const isReady = await Promise.race([ready(plan.httpPort), gone.then(() => false)])
  if (isReady) printTable(child, plan, performance.now() - startedMs)
  const code = await gone
  if (options.ephemeral === true) rmSync(root, { recursive: true, force: true })
  process.exitCode = code
}

function startNode(root: string, plan: Plan, options: DevOptions): ChildProcess {
  mkdirSync(root, { recursive: true })
  const file = join(root, 'node-1.properties')
  writeFileSync(
    file,
    [
      '# Written by odradek dev at each start: pass --set key=value to change a setting.',
      'process.roles=broker,controller',
      'node.id=1',
      `listeners=PLAINTEXT://127.0.0.1:${plan.kafkaPort},CONTROLLER://127.0.0.1:${plan.clusterPort}`,
      `advertised.listeners=PLAINTEXT://127.0.0.1:${plan.kafkaPort}`,
      'controller.listener.names=CONTROLLER',
      `controller.quorum.voters=1@127.0.0.1:${plan.clusterPort}`,
      `log.dirs=${plan.directory}`,
      `http.address=127.0.0.1:${plan.httpPort}`,
      '',
    ].join('\n'),
  )
  const main = fileURLToPath(new URL('../main.js', import.meta.url))
  splitFlags(options.set ?? [])
  const flags = (options.set ?? []).flatMap((text) => ['--set', text])
  const level = process.env['ODRADEK_LOG_LEVEL'] ?? 'warn'
  const child = spawn(
    process.execPath,
    [main, 'start', file, '--profile', 'dev', '--log-level', level, ...flags],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
      // A group of its own: Ctrl-C reaches this process alone, which then stops the node.
      detached: true,
      env: { ...process.env, UV_THREADPOOL_SIZE: process.env['UV_THREADPOOL_SIZE'] ?? '16' },
    },
  )
  return child
}

/** The first signal stops gracefully, a second one at once. */
function forwardSignals(child: ChildProcess): void {
  let count = 0
  const forward = () => {
    count++
    if (count === 1) say('stopping; once more to stop at once')
    child.kill(count === 1 ? 'SIGTERM' : 'SIGKILL')
  }
  process.on('SIGINT', forward)
  process.on('SIGTERM', forward)
  process.on('exit', () => child.kill('SIGKILL'))
}

async function ready(httpPort: number): Promise<boolean> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS
  while (performance.now() < deadlineMs) {
    try {
      const response = await fetch(`http://127.0.0.1:${httpPort}/readyz`)
      if (response.status === 200) return true
    } catch {
      // Not listening yet.
    }
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS))
  }
  throw new UserError('the node is not ready after a minute; its log says why')
}

function printTable(child: ChildProcess, plan: Plan, tookMs: number): void {
  const kafka = `127.0.0.1:${plan.kafkaPort}`
  const columns = (row: string[]) =>
    `  ${[6, 7, 10, 17, 25].map((width, at) => row[at]!.padEnd(width)).join('')}${row[5]}`
  print(columns(['NODE', 'PID', 'ROLE', 'KAFKA', 'HTTP', 'DATA']))
  print(
    columns([
      '1',
      String(child.pid),
      'leader',
      kafka,
      `http://127.0.0.1:${plan.httpPort}`,
      plan.directory,
    ]),
  )
  print(`  ready in ${(tookMs / 1000).toFixed(1)} s · bootstrap ${kafka}`)
  print(`  try: npx odradek produce greetings hello -b ${kafka}`)
  print(`       npx odradek consume greetings --from-beginning -b ${kafka}`)
}
