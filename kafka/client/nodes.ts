/**
 * The nodes of a cluster as a client reaches them: addresses, connections, and which of them failed
 * lately. A node that does not answer is given little time at first and more with each failure, so
 * that one that is silent costs a second, and one that is slow is waited for.
 */
import { BrokerConnection, ClientError, type ClientParts } from './connection.ts'

export interface NodesOptions {
  /** 'host:port', tried in order. */
  readonly bootstrap: readonly string[]
  readonly clientId: string
  /** No attempt takes longer. */
  readonly timeoutMs: number
}

const FIRST_PATIENCE_MS = 1000

interface Place {
  readonly made: Promise<BrokerConnection>
  connection: BrokerConnection | undefined
}

export class Nodes {
  readonly #parts: ClientParts
  readonly #options: NodesOptions
  /** By node id. */
  readonly #addresses = new Map<number, string>()
  /** By address and lane. */
  readonly #places = new Map<string, Place>()
  /** In a row, by address. */
  readonly #failures = new Map<string, number>()
  /** How often another node was preferred, by address. */
  readonly #passes = new Map<string, number>()
  #lastAddress = ''
  #isClosed = false
  /** Has any node ever answered? If not, the addresses may be wrong. */
  wasReached = false

  constructor(parts: ClientParts, options: NodesOptions) {
    this.#parts = parts
    this.#options = options
  }

  /** The nodes that there are now. */
  replace(nodes: readonly { nodeId: number; host: string; port: number }[]): void {
    if (nodes.length === 0) return
    this.#addresses.clear()
    for (const node of nodes) this.learn(node)
  }

  learn({ nodeId, host, port }: { nodeId: number; host: string; port: number }): void {
    this.#addresses.set(nodeId, `${host}:${port}`)
  }

  knows(nodeId: number): boolean {
    return this.#addresses.has(nodeId)
  }

  /**
   * Any node that answers, but not `exceptId`: those first that did not fail, and among these the
   * same one again until `passOver`. Throws ClientError 'unreachable' when none does.
   */
  async any(exceptId?: number): Promise<BrokerConnection> {
    let last: unknown
    for (const address of this.#candidates(exceptId)) {
      try {
        const connection = await this.#connect(address, '')
        this.#lastAddress = address
        return connection
      } catch (error) {
        last = error
      }
    }
    const where = this.#options.bootstrap.join(', ')
    throw new ClientError('unreachable', `no broker answers at ${where}`, { cause: last })
  }

  /**
   * Requests of another `lane` have a connection of their own: on one connection a request that
   * takes long (JoinGroup) holds up those behind it. Throws ClientError.
   */
  node(nodeId: number, lane = ''): Promise<BrokerConnection> {
    const address = this.#addresses.get(nodeId)
    if (address === undefined) {
      return Promise.reject(new ClientError('unreachable', `node ${nodeId} is not known`))
    }
    return this.#connect(address, lane)
  }

  /** What `any` said last was no help: it may be a node that is cut off from the others. */
  passOver(): void {
    this.#passes.set(this.#lastAddress, (this.#passes.get(this.#lastAddress) ?? 0) + 1)
  }

  /** How long the next answer of this node is waited for, when there are others to ask. */
  patienceMs(connection: BrokerConnection): number {
    return this.#patienceMs(connection.address)
  }

  answered(connection: BrokerConnection): void {
    this.#failures.delete(connection.address)
  }

  failed(connection: BrokerConnection): void {
    this.#fail(connection.address)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const all = await Promise.allSettled([...this.#places.values()].map(({ made }) => made))
    for (const result of all) if (result.status === 'fulfilled') result.value.close()
    this.#places.clear()
  }

  #candidates(exceptId: number | undefined): string[] {
    const except = exceptId === undefined ? undefined : this.#addresses.get(exceptId)
    const all = new Set([...this.#addresses.values(), ...this.#options.bootstrap])
    if (except !== undefined) all.delete(except)
    const passes = (address: string) => this.#passes.get(address) ?? 0
    // The sort is stable.
    return [...all].sort(
      (a, b) => this.#failuresOf(a) - this.#failuresOf(b) || passes(a) - passes(b),
    )
  }

  #failuresOf(address: string): number {
    return this.#failures.get(address) ?? 0
  }

  #fail(address: string): void {
    this.#failures.set(address, this.#failuresOf(address) + 1)
  }

  #patienceMs(address: string): number {
    const patienceMs = FIRST_PATIENCE_MS * 2 ** Math.min(this.#failuresOf(address), 20)
    return Math.min(patienceMs, this.#options.timeoutMs)
  }

  #connect(address: string, lane: string): Promise<BrokerConnection> {
    if (this.#isClosed) return Promise.reject(new ClientError('closed', 'the client is closed'))
    const key = `${address} ${lane}`
    const known = this.#places.get(key)
    if (known !== undefined && known.connection?.isOpen !== false) return known.made
    const place: Place = { made: this.#open(address), connection: undefined }
    this.#places.set(key, place)
    place.made.then(
      (connection) => {
        place.connection = connection
      },
      () => {
        if (this.#places.get(key) === place) this.#places.delete(key)
      },
    )
    return place.made
  }

  async #open(address: string): Promise<BrokerConnection> {
    try {
      const connection = await BrokerConnection.connect(this.#parts, {
        ...splitAddress(address),
        clientId: this.#options.clientId,
        timeoutMs: this.#patienceMs(address),
      })
      this.wasReached = true
      return connection
    } catch (error) {
      this.#fail(address)
      throw error
    }
  }
}

/** 'host:port' or '[v6]:port'. Throws ClientError 'malformed'. */
export function splitAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address)
  const port = match === null ? 0 : Number(match[3])
  if (match === null || port < 1 || port > 65_535) {
    throw new ClientError('malformed', `'${address}' is not an address: write HOST:PORT`)
  }
  return { host: match[1] ?? match[2]!, port }
}
