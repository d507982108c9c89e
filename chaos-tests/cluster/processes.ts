/*
 * Real server processes for the suites that need them: an Odradek node, or Apache Kafka from its
 * published jars. Each runs in its own directory on free loopback ports. Invariant: a process that
 * was started here is ended by its own pid, at the latest when this process exits.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { createServer, connect as openSocket, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type Peer = 'odradek' | 'kafka'

export interface Ports {
  kafka: number
  controller: number
  http: number
}

export interface ServerOptions {
  peer: Peer
  /** Directory with Apache Kafka's jars; needed for the peer `kafka`. */
  kafkaLibs?: string
  /** A directory of an earlier server is opened again; without it a new temporary one is made. */
  directory?: string
  ports?: Ports
  /** Lines beyond the common ones; they win. */
  properties?: Record<string, string>
  /** Flags for the node process (`--max-semi-space-size=16`), or for the JVM. */
  runtimeArguments?: readonly string[]
  /** Beyond those of this process. */
  environment?: Readonly<Record<string, string>>
  readyTimeoutMs?: number
}

const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url))
const KAFKA_FLAGS = [
  '-Xmx1G',
  '-Xms1G',
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
  '-Djava.awt.headless=true',
]
const KAFKA_CLUSTER_ID = 'b2RyYWRlay1pbnRlcm9wMQ'
const living = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

export const sleep = (delayMs: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, delayMs))

/** Below those that systems give to outgoing connections, which may take a free port at any time. */
const PORT_MIN = 10_000
const PORT_MAX = 32_000
const PORT_ATTEMPTS_MAX = 100

/** Ports that were free a moment ago. All are held at once, so they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = []
  while (servers.length < count) servers.push(await listenAnywhere())
  const ports = servers.map((server) => {
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return address.port
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

async function listenAnywhere(): Promise<Server> {
  for (let attempt = 0; attempt < PORT_ATTEMPTS_MAX; attempt++) {
    const server = createServer()
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN))
    const isListening = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (isListening) return server
  }
  throw new Error('no port is free')
}

export function temporaryDirectory(name: string): string {
  return mkdtempSync(join(tmpdir(), `odradek-${name}-`))
}

/** One running server. `kill` is `kill -9`; `start` opens the same directory on the same ports. */
export class ServerProcess {
  readonly options: ServerOptions
  readonly directory: string
  readonly ports: Ports
  readonly logFile: string
  #child: ChildProcess | undefined
  #exited: Promise<void> = Promise.resolve()

  constructor(options: ServerOptions, ports: Ports) {
    this.options = options
    this.ports = ports
    this.directory = options.directory ?? temporaryDirectory(options.peer)
    this.logFile = join(this.directory, 'server.log')
    mkdirSync(this.directory, { recursive: true })
  }

  get peer(): Peer {
    return this.options.peer
  }

  get bootstrap(): string {
    return `127.0.0.1:${this.ports.kafka}`
  }

  /** Where the partitions' directories are. */
  get dataDirectory(): string {
    return join(this.directory, 'data')
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error('the server is not running')
    return pid
  }

  get #settingsFile(): string {
    return join(this.directory, 'server.properties')
  }

  get isRunning(): boolean {
    // `killed` says no more than that a signal was sent, SIGCONT for one.
    const child = this.#child
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  /** Starts the process and waits until it is ready. */
  async start(): Promise<void> {
    await this.launch()
    await this.waitUntilReady()
  }

  /** Writes the settings; Kafka's directory is formatted when it is new. */
  async format(): Promise<void> {
    const file = this.#settingsFile
    await writeFile(file, this.#properties())
    if (this.peer !== 'kafka' || existsSync(join(this.dataDirectory, 'meta.properties'))) return
    const toolArguments = ['format', '-t', KAFKA_CLUSTER_ID, '-c', file]
    await runKafkaTool(this.#libs(), 'kafka.tools.StorageTool', toolArguments, this.directory)
  }

  /** Starts the process without waiting until it is ready. */
  async launch(): Promise<void> {
    if (this.isRunning) throw new Error(`the server runs already: ${this.#child?.pid}`)
    await this.format()
    const file = this.#settingsFile
    const isKafka = this.peer === 'kafka'
    const [command, commandArguments] = isKafka
      ? ['java', [...this.#javaFlags(), '-cp', `${this.#libs()}/*`, 'kafka.Kafka', file]]
      : [process.execPath, [...(this.options.runtimeArguments ?? []), this.#main(), 'start', file]]
    const log = openSync(this.logFile, 'a')
    const child = spawn(command, commandArguments, {
      cwd: this.directory,
      stdio: ['ignore', log, log],
      env: { ...process.env, JAVA_TOOL_OPTIONS: '', ...this.options.environment },
    })
    closeSync(log)
    living.add(child)
    this.#child = child
    this.#exited = new Promise((resolve) => {
      const done = () => {
        living.delete(child)
        if (this.#child === child) this.#child = undefined
        resolve()
      }
      child.once('exit', done)
      child.once('error', done)
    })
  }

  async waitUntilReady(): Promise<void> {
    const until = Date.now() + (this.options.readyTimeoutMs ?? 60_000)
    while (!(await this.#isReady())) {
      if (this.#child === undefined) throw new Error(`the server ended\n${this.logTail()}`)
      if (Date.now() > until) throw new Error(`the server is not ready in time\n${this.logTail()}`)
      await sleep(this.peer === 'kafka' ? 100 : 20)
    }
  }

  /** SIGTERM, then waits for the end; SIGKILL after 30 s. */
  async stop(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 30_000)
    await this.#exited
    clearTimeout(timer)
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#exited
  }

  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGTERM' | 'SIGKILL'): void {
    this.#child?.kill(name)
  }

  /** Ends the server and removes its directory. */
  async remove(): Promise<void> {
    await this.stop()
    await rm(this.directory, { recursive: true, force: true })
  }

  logTail(lineCount = 40): string {
    if (!existsSync(this.logFile)) return ''
    return readFileSync(this.logFile, 'utf8').split('\n').slice(-lineCount).join('\n')
  }

  #libs(): string {
    if (this.options.kafkaLibs === undefined) throw new Error('kafkaLibs is not given')
    return this.options.kafkaLibs
  }

  #main(): string {
    return join(REPOSITORY, 'dist/node/main.js')
  }

  #javaFlags(): readonly string[] {
    return [...KAFKA_FLAGS, '-Dlog4j2.level=WARN', ...(this.options.runtimeArguments ?? [])]
  }

  #properties(): string {
    const { kafka, controller, http } = this.ports
    const properties: Record<string, string> = {
      'process.roles': 'broker,controller',
      'node.id': '1',
      listeners: `PLAINTEXT://127.0.0.1:${kafka},CONTROLLER://127.0.0.1:${controller}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${kafka}`,
      'controller.listener.names': 'CONTROLLER',
      'controller.quorum.voters': `1@127.0.0.1:${controller}`,
      'log.dirs': this.dataDirectory,
      'offsets.topic.replication.factor': '1',
      'transaction.state.log.replication.factor': '1',
      'transaction.state.log.min.isr': '1',
      ...(this.peer === 'odradek'
        ? { 'http.address': `127.0.0.1:${http}` }
        : {
            'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
            'share.coordinator.state.topic.replication.factor': '1',
            'share.coordinator.state.topic.min.isr': '1',
          }),
      ...this.options.properties,
    }
    return Object.entries(properties)
      .map(([name, value]) => `${name}=${value}\n`)
      .join('')
  }

  async #isReady(): Promise<boolean> {
    if (this.peer === 'kafka') return await showsNode(this.ports.kafka)
    try {
      const response = await fetch(`http://127.0.0.1:${this.ports.http}/readyz`, {
        signal: AbortSignal.timeout(1_000),
      })
      await response.arrayBuffer()
      return response.status === 200
    } catch {
      return false
    }
  }
}

/** Makes a server and starts it. */
export async function startServer(options: ServerOptions): Promise<ServerProcess> {
  const server = await prepareServer(options)
  await server.start()
  return server
}

/** Makes a server that is not started yet, for measuring its start. */
export async function prepareServer(options: ServerOptions): Promise<ServerProcess> {
  const [kafka, controller, http] = await freePorts(3)
  return new ServerProcess(
    options,
    options.ports ?? { kafka: kafka!, controller: controller!, http: http! },
  )
}

/** Runs one of Kafka's command-line classes and gives its output; throws when it fails. */
export async function runKafkaTool(
  libs: string,
  className: string,
  toolArguments: readonly string[],
  directory: string,
): Promise<string> {
  const flags = ['-Xmx256M', '-XX:TieredStopAtLevel=1', '-Dlog4j2.level=WARN']
  const child = spawn('java', [...flags, '-cp', `${libs}/*`, className, ...toolArguments], {
    cwd: directory,
    env: { ...process.env, JAVA_TOOL_OPTIONS: '' },
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) throw new Error(`${className} ended with ${code}\n${output}`)
  return output
}

/**
 * Whether Metadata (v1, no topics) lists a node: Kafka opens its port before it is registered, and
 * answers with an empty list until then.
 */
async function showsNode(port: number): Promise<boolean> {
  const request = Buffer.alloc(4 + 2 + 2 + 4 + 2 + 4)
  request.writeInt32BE(request.length - 4, 0)
  request.writeInt16BE(3, 4)
  request.writeInt16BE(1, 6)
  request.writeInt32BE(7, 8)
  request.writeInt16BE(-1, 12)
  request.writeInt32BE(0, 14)
  const answer = await new Promise<Buffer | undefined>((resolve) => {
    const socket = openSocket(port, '127.0.0.1', () => socket.write(request))
    socket.setTimeout(1_000, () => socket.destroy())
    socket.once('data', (chunk) => {
      resolve(chunk)
      socket.destroy()
    })
    socket.once('error', () => resolve(undefined))
    socket.once('close', () => resolve(undefined))
  })
  return answer !== undefined && answer.length >= 12 && answer.readInt32BE(8) > 0
}
