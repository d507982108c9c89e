/**
 * TCP between simulated machines: ordered bytes, cut into chunks at random, that stop at a cut link
 * and break with a part delivered. Bytes are lent from one slab that is overwritten right after the
 * call, so that a receiver who keeps them is found out.
 */
import { UserError } from '../errors.ts'
import type { Connection, ConnectionHandler, Listener, ListenOptions, Network } from '../network.ts'
import { Endpoint } from './endpoint.ts'
import type { Links, Machine, SimProcess } from './machine.ts'
import type { Scheduler } from './scheduler.ts'

const FIRST_PORT = 20_000
const RETRY_US = 200_000
const OWN_NAMES: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '0.0.0.0', '::', ''])

type Accept = (connection: Connection) => ConnectionHandler

interface SimListener {
  readonly process: SimProcess
  readonly accept: Accept
}

/** What the machines of one simulation share. */
export class Fabric {
  readonly scheduler: Scheduler
  readonly links: Links
  readonly machines = new Map<string, Machine>()
  readonly endpoints = new Set<Endpoint>()
  readonly #listeners = new Map<string, SimListener>()
  #nextPort = FIRST_PORT

  constructor(scheduler: Scheduler, links: Links) {
    this.scheduler = scheduler
    this.links = links
  }

  freePort(): number {
    return this.#nextPort++
  }

  listener(machine: Machine, port: number): SimListener | undefined {
    return this.#listeners.get(`${machine.name}:${port}`)
  }

  /** False when the port is taken. */
  addListener(port: number, listener: SimListener): boolean {
    const key = `${listener.process.machine.name}:${port}`
    if (this.#listeners.has(key)) return false
    this.#listeners.set(key, listener)
    return true
  }

  removeListener(port: number, listener: SimListener): void {
    const key = `${listener.process.machine.name}:${port}`
    if (this.#listeners.get(key) === listener) this.#listeners.delete(key)
  }

  resolve(host: string, from: Machine): Machine | undefined {
    return OWN_NAMES.has(host) ? from : this.machines.get(host)
  }

  /** Breaks all connections between two machines; nobody knows how much still arrives. */
  reset(a: string, b: string): void {
    const broken = new Set<Endpoint>()
    for (const endpoint of [...this.endpoints]) {
      const { peer } = endpoint
      const names = [endpoint.machine.name, peer.machine.name]
      if (broken.has(peer) || !names.includes(a) || !names.includes(b)) continue
      broken.add(endpoint)
      if (this.links.random.chance(0.5)) endpoint.reset()
      else peer.reset()
    }
  }
}

/** The network as one process sees it. */
export class SimNetwork implements Network {
  readonly #fabric: Fabric
  readonly #process: SimProcess

  constructor(fabric: Fabric, process: SimProcess) {
    this.#fabric = fabric
    this.#process = process
  }

  async listen(options: ListenOptions, accept: Accept): Promise<Listener> {
    const { host } = options
    const port = options.port === 0 ? this.#fabric.freePort() : options.port
    const listener = { process: this.#process, accept }
    if (this.#fabric.resolve(host, this.#process.machine) !== this.#process.machine) {
      throw new UserError(`cannot listen on ${host}:${port}: this machine is another one`)
    }
    if (!this.#fabric.addListener(port, listener)) {
      throw new UserError(`cannot listen on ${host}:${port}: choose another port`)
    }
    const close = () => this.#fabric.removeListener(port, listener)
    const forget = this.#process.atEnd(close)
    return {
      host,
      port,
      async close() {
        forget()
        close()
      },
    }
  }

  connect(
    options: { readonly host: string; readonly port: number; readonly timeoutMs: number },
    handler: Accept,
  ): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const attempt = new Attempt(this.#fabric, this.#process, options, {
        handler,
        resolve,
        reject,
      })
      attempt.start()
    })
  }
}

interface AttemptResult {
  readonly handler: Accept
  resolve(connection: Connection): void
  reject(error: Error): void
}

/** One call of `connect`: asks again until it is answered or out of time. */
class Attempt {
  readonly #fabric: Fabric
  readonly #process: SimProcess
  readonly #to: { readonly host: string; readonly port: number; readonly timeoutMs: number }
  readonly #result: AttemptResult
  #isDone = false

  constructor(
    fabric: Fabric,
    process: SimProcess,
    to: { readonly host: string; readonly port: number; readonly timeoutMs: number },
    result: AttemptResult,
  ) {
    this.#fabric = fabric
    this.#process = process
    this.#to = to
    this.#result = result
  }

  start(): void {
    const { timeoutMs } = this.#to
    this.#after(timeoutMs * 1000, 'connect timeout', () => {
      this.#fail(`no answer within ${timeoutMs} ms`)
    })
    this.#ask()
  }

  #ask(): void {
    const { links } = this.#fabric
    const from = this.#process.machine
    const to = this.#fabric.resolve(this.#to.host, from)
    if (to === undefined) {
      this.#after(0, 'connect', () => this.#fail('ENOTFOUND'))
      return
    }
    this.#after(links.drawDelayUs(from.name, to.name), 'connect', () => {
      const isSilent =
        !to.isPowered || links.isCut(from.name, to.name) || links.isCut(to.name, from.name)
      if (isSilent) this.#after(RETRY_US, 'connect again', () => this.#ask())
      else this.#arrived(from, to)
    })
  }

  #arrived(from: Machine, to: Machine): void {
    const { port } = this.#to
    const listener = this.#fabric.listener(to, port)
    const backUs = this.#fabric.links.drawDelayUs(to.name, from.name)
    if (listener === undefined) {
      this.#after(backUs, 'connect', () => this.#fail('ECONNREFUSED'))
      return
    }
    const client = new Endpoint(this.#fabric, this.#process, port)
    const server = new Endpoint(this.#fabric, listener.process, port)
    client.join(server, port)
    server.join(client, this.#fabric.freePort())
    listener.process.run(() => server.start(listener.accept(server)))
    this.#fabric.scheduler.after(backUs, 'connected', () => {
      if (!this.#process.isAlive) return client.abandon()
      this.#process.run(() => {
        if (this.#isDone) return client.abandon()
        this.#isDone = true
        client.start(this.#result.handler(client))
        this.#result.resolve(client)
      })
    })
  }

  #fail(reason: string): void {
    this.#isDone = true
    const { host, port } = this.#to
    this.#result.reject(new Error(`cannot connect to ${host}:${port}: ${reason}`))
  }

  #after(delayUs: number, label: string, run: () => void): void {
    this.#fabric.scheduler.after(delayUs, label, () => {
      this.#process.run(() => {
        if (!this.#isDone) run()
      })
    })
  }
}
