/** odradek dev: a cluster on this machine, one child process a node, until Ctrl-C. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { DevNode, expectNodes, planNodes } from './dev-node.ts'
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

const READY_TIMEOUT_MS = 60_000
const NODES_MAX = 9

export function addDevCommand(program: Command): void {
  program
    .command('dev')
    .description('run a cluster on this machine')
    .option('--nodes <n>', 'number of nodes', '3')
    .option('--data <directory>', 'where records are kept', '.odradek')
    .option('--port <port>', 'Kafka port of the first node; the next ones are 100 apart', '9092')
    .option('--set <key=value...>', 'settings for all nodes')
    .option('--ephemeral', 'a new directory, removed at the end')
    .action(dev)
}

async function dev(options: DevOptions): Promise<void> {
  const startedMs = performance.now()
  const count = wholeNumber(options.nodes, '--nodes')
  if (count < 1 || count > NODES_MAX) {
    throw new UserError(`--nodes takes a number from 1 to ${NODES_MAX}`, 2)
  }
  splitFlags(options.set ?? [])
  const root = options.ephemeral === true ? mkdtempSync(join(tmpdir(), 'odradek-')) : options.data
  expectNodes(root, count)
  const plans = planNodes(root, count, wholeNumber(options.port, '--port'))
  const nodes = plans.map((plan) => new DevNode(root, plan, plans, options.set ?? []))
  const isStopping = forwardSignals(nodes)
  process.exitCode = await run(nodes, startedMs, isStopping)
  if (options.ephemeral === true) rmSync(root, { recursive: true, force: true })
}

/** Until all nodes have ended; the exit code. */
async function run(
  nodes: readonly DevNode[],
  startedMs: number,
  isStopping: () => boolean,
): Promise<number> {
  const deadlineMs = startedMs + READY_TIMEOUT_MS
  const isReady = await Promise.race([
    Promise.all(nodes.map((node) => node.ready(deadlineMs))).then((all) => all.every(Boolean)),
    Promise.race(nodes.map((node) => node.gone)).then(() => false),
  ])
  if (isReady) await printTable(nodes, performance.now() - startedMs)
  else if (!isStopping()) {
    for (const node of nodes) node.signal('SIGTERM')
    await Promise.all(nodes.map((node) => node.gone))
    return 1
  }
  const codes = await Promise.all(
    nodes.map(async (node) => {
      const end = await node.gone
      if (!isStopping()) {
        say(`node ${node.plan.id} ended (${end.how}); start it again: ${node.startCommand}`)
      }
      return end.code
    }),
  )
  return isStopping() ? Math.max(...codes) : 1
}

/** The first signal stops gracefully, a second one at once. */
function forwardSignals(nodes: readonly DevNode[]): () => boolean {
  let count = 0
  const forward = () => {
    count++
    if (count === 1) say('stopping; once more to stop at once')
    for (const node of nodes) node.signal(count === 1 ? 'SIGTERM' : 'SIGKILL')
  }
  process.on('SIGINT', forward)
  process.on('SIGTERM', forward)
  process.on('exit', () => {
    for (const node of nodes) node.signal('SIGKILL')
  })
  return () => count > 0
}

async function printTable(nodes: readonly DevNode[], tookMs: number): Promise<void> {
  const columns = (row: readonly string[]) =>
    `  ${[6, 7, 10, 17, 25].map((width, at) => row[at]!.padEnd(width)).join('')}${row[5]}`
  const controller = await nodes[0]!.controller()
  print(columns(['NODE', 'PID', 'ROLE', 'KAFKA', 'HTTP', 'DATA']))
  for (const { plan, pid } of nodes) {
    const role = plan.id === controller ? 'leader' : 'follower'
    const http = `http://127.0.0.1:${plan.httpPort}`
    print(columns([String(plan.id), String(pid), role, plan.kafka, http, plan.directory]))
  }
  const bootstrap = nodes.map((node) => node.plan.kafka).join(',')
  print(`  ready in ${(tookMs / 1000).toFixed(1)} s · bootstrap ${bootstrap}`)
  print(`  try: npx odradek produce greetings hello -b ${bootstrap}`)
  print(`       npx odradek consume greetings --from-beginning -b ${bootstrap}`)
}
