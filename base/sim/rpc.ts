/**
 * Messages between simulated nodes. Streams keep their order; a lost message, a cut that lasts or a
 * process that ends breaks them, and each end that still lives hears of it.
 */
import { UserError } from '../errors.ts'
import {
  type Rpc,
  RpcError,
  type RpcPeer,
  type RpcServer,
  type RpcService,
  type RpcStream,
  type RpcStreamHandler,
} from '../rpc.ts'
import { type Links, Machine, type SimProcess, Wire } from './machine.ts'
import type { Fabric } from './network.ts'
import { SILENCE_US, StreamEnd, type StreamParts } from './rpc-stream.ts'
import type { Scheduler } from './scheduler.ts'

interface Serving {
  readonly process: SimProcess
  readonly service: RpcService
  readonly ends: Set<StreamEnd>
}

interface Address {
  readonly host: string
  readonly port: number
}

/** The servers and streams of one simulation. */
export class RpcFabric implements StreamParts {
  readonly scheduler: Scheduler
  readonly links: Links
  readonly ends = new Set<StreamEnd>()
  readonly serving = new Map<string, Serving>()
  readonly #fabric: Fabric

  constructor(fabric: Fabric) {
    this.#fabric = fabric
    this.scheduler = fabric.scheduler
    this.links = fabric.links
    this.links.onSilence(() => {
      this.scheduler.after(SILENCE_US, 'rpc silence', () => {
        for (const end of [...this.ends]) end.breakIfSilent()
      })
    })
  }

  freePort(): number {
    return this.#fabric.freePort()
  }

  /** A machine that nobody knows is one that never answers. */
  machineOf(host: string, from: Machine): Machine {
    const found = this.#fabric.resolve(host, from)
    if (found !== undefined) return found
    const nowhere = new Machine(host)
    nowhere.isPowered = false
    return nowhere
  }
}

/** The rpc of one process. */
export class SimRpc implements Rpc {
  readonly #fabric: RpcFabric
  readonly #process: SimProcess

  constructor(fabric: RpcFabric, process: SimProcess) {
    this.#fabric = fabric
    this.#process = process
  }

  async serve(options: Address, service: RpcService): Promise<RpcServer> {
    const { serving } = this.#fabric
    const port = options.port === 0 ? this.#fabric.freePort() : options.port
    const key = `${this.#process.machine.name}:${port}`
    if (serving.has(key)) {
      throw new UserError(`cannot listen on ${options.host}:${port}: choose another port`)
    }
    const own: Serving = { process: this.#process, service, ends: new Set() }
    serving.set(key, own)
    const remove = () => {
      if (serving.get(key) === own) serving.delete(key)
    }
    const forget = this.#process.atEnd(remove)
    return {
      port,
      async close() {
        forget()
        remove()
        for (const end of [...own.ends]) end.breakOff(new RpcError('unavailable', key))
      },
    }
  }

  peer(options: Address): RpcPeer {
    return new SimRpcPeer(this.#fabric, this.#process, options)
  }
}

class SimRpcPeer implements RpcPeer {
  readonly #fabric: RpcFabric
  readonly #process: SimProcess
  readonly #address: Address
  readonly #remote: string
  readonly #ends = new Set<StreamEnd>()

  constructor(fabric: RpcFabric, process: SimProcess, address: Address) {
    this.#fabric = fabric
    this.#process = process
    this.#address = address
    this.#remote = `${address.host}:${address.port}`
  }

  stream(method: string, handler: RpcStreamHandler): RpcStream {
    const machine = this.#machine()
    const to = { machine, remote: this.#remote }
    const client = new StreamEnd(this.#fabric, this.#process, to, this.#ends)
    client.attach(handler)
    client.transmit(() => {
      const serving = this.#serving(machine)
      if (serving === undefined) return client.close(new RpcError('refused', this.#remote))
      const from = this.#process.machine
      const back = { machine: from, remote: `${from.name}:${this.#fabric.freePort()}` }
      const server = new StreamEnd(this.#fabric, serving.process, back, serving.ends)
      client.join(server)
      server.join(client)
      serving.process.run(() => {
        // It was frozen, and the caller has gone meanwhile: nobody would tell of the end.
        if (!server.isOf(serving.process)) return
        try {
          server.attach(serving.service.onStream(method, server))
        } catch (error) {
          server.breakOff(asRpcError(error))
        }
      })
    })
    return client
  }

  call(method: string, request: Uint8Array, timeoutMs: number): Promise<Buffer> {
    const machine = this.#machine()
    const own = this.#process.machine
    const copy = Buffer.from(request)
    return new Promise((resolve, reject) => {
      const fail = (error: RpcError) => this.#process.run(() => reject(error))
      const wire = (from: Machine, to: Machine) => {
        const onGiveUp = () => fail(new RpcError('unavailable', this.#remote))
        const options = { label: 'rpc call', giveUpUs: SILENCE_US, onGiveUp }
        return new Wire(this.#fabric, { from, to }, options)
      }
      this.#fabric.scheduler.after(timeoutMs * 1000, 'rpc timeout', () => {
        fail(new RpcError('timeout', `${method} of ${this.#remote}: ${timeoutMs} ms`))
      })
      if (this.#fabric.links.drawLoss()) return
      wire(own, machine).send(() => {
        const back = wire(machine, own)
        const serving = this.#serving(machine)
        if (serving === undefined) {
          back.send(() => fail(new RpcError('refused', this.#remote)))
          return
        }
        const forget = serving.process.atEnd((how) => {
          if (how === 'kill') back.send(() => fail(new RpcError('unavailable', this.#remote)))
        })
        const answered = (settle: () => void) => {
          if (!serving.process.isAlive) return
          forget()
          if (!this.#fabric.links.drawLoss()) back.send(settle)
        }
        const answer = () => {
          serving.service.onCall(method, copy, own.name).then(
            (result) => {
              const bytes = Buffer.from(result)
              answered(() => this.#process.run(() => resolve(bytes)))
            },
            (error: unknown) => answered(() => fail(asRpcError(error))),
          )
        }
        serving.process.run(answer)
      })
    })
  }

  close(): void {
    for (const end of [...this.#ends]) end.cancel()
  }

  #machine(): Machine {
    return this.#fabric.machineOf(this.#address.host, this.#process.machine)
  }

  #serving(machine: Machine): Serving | undefined {
    return this.#fabric.serving.get(`${machine.name}:${this.#address.port}`)
  }
}

function asRpcError(error: unknown): RpcError {
  if (error instanceof RpcError) return error
  return new RpcError('unavailable', String(error), { cause: error })
}
