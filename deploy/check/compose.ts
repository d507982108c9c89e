/** Runs the compose file: three nodes, clients inside and outside, a node that dies, a rolling restart. */
import { join } from 'node:path'
import type { Engine } from './engine.ts'
import { type Report, Skip } from './report.ts'
import { rollingRestart } from './rolling.ts'
import { eventually, find, freePorts, isOk, must, ROOT, run } from './tools.ts'
import { checkWatched } from './watch.ts'

const FILE = 'deploy/compose/compose.yaml'
const NODES = ['node1', 'node2', 'node3'] as const
const READY_MS = 90_000
const HEALTHY_MS = 120_000

export class Compose {
  readonly #command: readonly string[]
  readonly #environment: NodeJS.ProcessEnv
  readonly #engine: Engine
  readonly kafkaPorts: readonly number[]
  readonly httpPorts: readonly number[]

  private constructor(engine: Engine, command: readonly string[], image: string, ports: number[]) {
    this.#engine = engine
    this.#command = command
    this.kafkaPorts = ports.slice(0, 3)
    this.httpPorts = ports.slice(3)
    const environment: NodeJS.ProcessEnv = { ...engine.environment, ODRADEK_IMAGE: image }
    for (const k of [0, 1, 2]) {
      environment[`KAFKA_PORT_${k + 1}`] = String(this.kafkaPorts[k])
      environment[`HTTP_PORT_${k + 1}`] = String(this.httpPorts[k])
    }
    this.#environment = environment
  }

  /** Throws Skip when there is no compose of either kind. */
  static async open(engine: Engine, image: string, project: string): Promise<Compose> {
    const hasPlugin = (await engine.try(['compose', 'version'])).code === 0
    if (!hasPlugin && find('docker-compose') === undefined) {
      throw new Skip('neither docker compose nor docker-compose is installed')
    }
    const command = hasPlugin ? ['docker', 'compose'] : ['docker-compose']
    const all = [...command, '-p', project, '-f', join(ROOT, FILE)]
    return new Compose(engine, all, image, await freePorts(6))
  }

  do(...args: string[]): Promise<string> {
    const [command, ...rest] = this.#command
    return must(command!, [...rest, ...args], { env: this.#environment })
  }

  async inside(node: string, args: readonly string[], input = ''): Promise<string> {
    const id = (await this.do('ps', '-q', node)).trim()
    return this.#engine.docker(['exec', '-i', id, 'odradek', ...args], { input })
  }

  async ready(k: number): Promise<void> {
    const url = `http://127.0.0.1:${this.httpPorts[k]}/readyz`
    await eventually(`node ${k + 1} ready`, READY_MS, () => isOk(url))
  }

  /** As an operator would: the command waits until nothing is missing. */
  async healthy(askedOf = 'node1'): Promise<void> {
    const bootstrap = NODES.map((node) => `${node}:29092`).join(',')
    const args = ['cluster', 'health', '--exit-when-healthy', '-b', bootstrap]
    const id = (await this.do('ps', '-q', askedOf)).trim()
    await this.#engine.docker(['exec', id, 'odradek', ...args], { limitMs: HEALTHY_MS })
  }

  get bootstrap(): string {
    return this.kafkaPorts.map((port) => `127.0.0.1:${port}`).join(',')
  }
}

/** `name` is the project's. Everything that was made is gone at the end. */
export async function checkCompose(
  report: Report,
  engine: Engine,
  image: string,
  name: string,
): Promise<void> {
  let compose: Compose | undefined
  const title = 'compose: three nodes are ready'
  try {
    const isUp = await report.check(title, async () => {
      compose = await Compose.open(engine, image, name)
      const startedMs = performance.now()
      // Prometheus and Grafana need images of their own; see the README.
      await compose.do('up', '-d', '--no-build', ...NODES)
      await Promise.all([0, 1, 2].map((k) => compose!.ready(k)))
      return `${((performance.now() - startedMs) / 1000).toFixed(1)} s from up to ready`
    })
    if (!isUp || compose === undefined) return
    const cluster: Compose = compose
    await report.check('compose: inside and outside listeners', () => bothListeners(cluster))
    await report.check('compose: kcat outside', () => kcat(cluster))
    await report.check('compose: the demo', () => demo(cluster))
    await checkWatched(report, 'compose', {
      bootstrap: cluster.bootstrap,
      httpPorts: cluster.httpPorts,
      async kill() {
        await cluster.do('kill', '-s', 'SIGKILL', 'node3')
      },
      async restart() {
        await cluster.do('up', '-d', '--no-build', 'node3')
      },
    })
    await report.check('compose: a killed container comes back', () => killOne(cluster))
    await report.check('compose: rolling restart under load', async () => {
      const summary = await rollingRestart(cluster.bootstrap, async (k) => {
        const node = NODES[k]!
        await cluster.do('stop', '-t', '90', node)
        await cluster.do('up', '-d', '--no-build', node)
        await cluster.ready(k)
      })
      await cluster.healthy()
      return summary
    })
  } finally {
    const last = compose as Compose | undefined
    if (last !== undefined) {
      await report.check('compose: taken down', async () => {
        await last.do('down', '-v', '--remove-orphans', '-t', '60')
        const filter = `label=com.docker.compose.project=${name}`
        const left = await engine.docker(['ps', '-aq', '--filter', filter])
        if (left.trim() !== '') throw new Error('containers are left')
        return undefined
      })
    }
  }
}

async function bothListeners(compose: Compose): Promise<undefined> {
  const cli = join(ROOT, 'dist/node/odradek.cjs')
  const outside = (args: string[], input = '') =>
    must(process.execPath, [cli, ...args, '-b', `localhost:${compose.kafkaPorts[0]}`], { input })
  const inside = (args: string[], input = '') =>
    compose.inside('node2', [...args, '-b', 'node3:29092'], input)
  const read = ['consume', 'check-listeners', '--from-beginning', '--exit']
  await outside(['produce', 'check-listeners'], 'from outside\n')
  await inside(['produce', 'check-listeners'], 'from inside\n')
  for (const [where, text] of [
    ['outside', await outside(read)],
    ['inside', await inside(read)],
  ] as const) {
    const lines = text.trim().split('\n').sort().join(', ')
    if (lines !== 'from inside, from outside') throw new Error(`${where}, ${lines} was read`)
  }
}

async function kcat(compose: Compose): Promise<string> {
  const command = find('kcat') ?? find('kafkacat')
  if (command === undefined) throw new Skip('kcat is not installed')
  const shared = ['-b', compose.bootstrap, '-t', 'check-kcat', '-q']
  await must(command, ['-P', ...shared, '-X', 'enable.idempotence=true'], { input: 'by kcat\n' })
  const text = await must(command, ['-C', ...shared, '-o', 'beginning', '-e'])
  if (text !== 'by kcat\n') throw new Error(`read ${JSON.stringify(text)}`)
  return 'idempotent produce, consume'
}

/** A producer and a consumer of the profile, until the one reads what the other sent. */
async function demo(compose: Compose): Promise<undefined> {
  const names = ['demo-producer', 'demo-consumer']
  await compose.do('--profile', 'demo', 'up', '-d', '--no-build', ...names)
  try {
    await eventually('the consumer has read an order', READY_MS, async () => {
      const text = await compose.do('--profile', 'demo', 'logs', 'demo-consumer')
      return /order \d+/.test(text) ? true : undefined
    })
  } finally {
    await compose.do('--profile', 'demo', 'rm', '-s', '-f', ...names)
  }
}

async function killOne(compose: Compose): Promise<string> {
  await compose.do('kill', '-s', 'SIGKILL', 'node3')
  await compose.inside('node1', ['produce', 'check-listeners', 'one away', '-b', 'node1:29092'])
  const startedMs = performance.now()
  await compose.do('up', '-d', '--no-build', 'node3')
  await compose.ready(2)
  await compose.healthy()
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  return `healthy ${seconds} s after its start; acks=all worked without it`
}

/** Whether the files of Prometheus that compose mounts are right, as they lie in the container. */
export async function composeConfig(): Promise<string> {
  const { code, stderr } = await run('docker-compose', ['-f', FILE, 'config', '-q'])
  if (code === 127) throw new Skip('docker-compose is not installed')
  if (code !== 0) throw new Error(stderr)
  return 'docker-compose config'
}
