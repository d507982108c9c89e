/**
 * A TCP proxy in front of one listener, with faults: a link between two nodes, or between clients and
 * a node. Invariant: without a fault every byte goes through, in order, and an end or a reset of one
 * side ends the other.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'

export interface LinkFaults {
  /** Each chunk is so much later, each way. */
  delayMs: number
  /** Up to so much more, drawn for each chunk; the order stays. */
  jitterMs: number
  /** Nothing goes to the listener; what was sent waits, as packets that are sent again. */
  isStalledForth: boolean
  /** Nothing comes back from it. */
  isStalledBack: boolean
  /** New connections are refused, those that are there are reset. */
  isRefused: boolean
  /** 0: as many as there are. */
  bytesPerSecond: number
  /** Of one wrong bit in a chunk to the listener. */
  corruptChance: number
}

const NO_FAULTS: LinkFaults = {
  delayMs: 0,
  jitterMs: 0,
  isStalledForth: false,
  isStalledBack: false,
  isRefused: false,
  bytesPerSecond: 0,
  corruptChance: 0,
}
const HOST = '127.0.0.1'
/** One side may end while the other still sends. */
const SOCKET = { allowHalfOpen: true, noDelay: true }
/** Of the youngest connection, kept to be sent once more. */
const KEPT_BYTES_MAX = 1024 * 1024
const REPLAY_MS = 1000

export class Link {
  readonly target: number
  #faults: LinkFaults = NO_FAULTS
  readonly #server: Server
  readonly #pipes = new Set<Pipe>()
  #port = 0

  private constructor(target: number) {
    this.target = target
    this.#server = createServer({ ...SOCKET, pauseOnConnect: true }, (socket) =>
      this.#accept(socket),
    )
  }

  /** `target` is a port of this machine; `port` of the link is a free one. */
  static async open(target: number): Promise<Link> {
    const link = new Link(target)
    await new Promise<void>((resolve, reject) => {
      link.#server.once('error', reject)
      link.#server.listen(0, HOST, resolve)
    })
    const address = link.#server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    link.#port = address.port
    return link
  }

  get port(): number {
    return this.#port
  }

  get faults(): LinkFaults {
    return this.#faults
  }

  set(faults: Partial<LinkFaults>): void {
    this.#faults = { ...this.#faults, ...faults }
    if (this.#faults.isRefused) this.reset()
    for (const pipe of this.#pipes) pipe.update()
  }

  heal(): void {
    this.#faults = NO_FAULTS
    for (const pipe of this.#pipes) pipe.update()
  }

  /** Ends all connections by a reset; whatever was on its way may have arrived or not. */
  reset(): void {
    for (const pipe of this.#pipes) pipe.reset()
  }

  /** What the youngest connection has sent so far comes once more, on a connection of its own. */
  async replay(): Promise<number> {
    const bytes = [...this.#pipes].at(-1)?.kept() ?? Buffer.alloc(0)
    if (bytes.length === 0) return 0
    const socket = connect({ port: this.target, host: HOST })
    socket.on('error', () => undefined)
    socket.on('data', () => undefined)
    socket.write(bytes)
    await new Promise((resolve) => setTimeout(resolve, REPLAY_MS))
    socket.destroy()
    return bytes.length
  }

  async close(): Promise<void> {
    for (const pipe of this.#pipes) pipe.reset()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #accept(socket: Socket): void {
    if (this.#faults.isRefused) {
      socket.resetAndDestroy()
      return
    }
    const pipe = new Pipe(this, socket, () => this.#pipes.delete(pipe))
    this.#pipes.add(pipe)
  }
}

class Pipe {
  readonly #near: Socket
  readonly #far: Socket
  readonly #forth: Way
  readonly #back: Way
  #kept: Buffer[] = []
  #keptBytes = 0

  constructor(link: Link, near: Socket, onEnd: () => void) {
    this.#near = near
    this.#far = connect({ ...SOCKET, port: link.target, host: HOST })
    this.#forth = new Way(near, this.#far, () => ({
      ...link.faults,
      isStalled: link.faults.isStalledForth,
    }))
    this.#back = new Way(this.#far, near, () => ({
      ...link.faults,
      corruptChance: 0,
      isStalled: link.faults.isStalledBack,
    }))
    this.#forth.onChunk = (chunk) => this.#keep(chunk)
    let open = 2
    const closed = () => {
      open--
      if (open === 0) onEnd()
    }
    for (const [socket, other, way] of [
      [near, this.#far, this.#forth],
      [this.#far, near, this.#back],
    ] as const) {
      socket.on('error', () => other.resetAndDestroy())
      socket.on('end', () => way.end())
      socket.on('close', (hadError) => {
        way.stop()
        if (hadError || !way.hasEnded) other.destroy()
        closed()
      })
    }
    this.update()
  }

  update(): void {
    this.#forth.update()
    this.#back.update()
  }

  reset(): void {
    this.#near.resetAndDestroy()
    this.#far.resetAndDestroy()
  }

  /** From the first byte on; nothing when that was too long ago. */
  kept(): Buffer {
    return this.#keptBytes > KEPT_BYTES_MAX ? Buffer.alloc(0) : Buffer.concat(this.#kept)
  }

  #keep(chunk: Buffer): void {
    this.#keptBytes += chunk.length
    if (this.#keptBytes > KEPT_BYTES_MAX) this.#kept = []
    else this.#kept.push(Buffer.from(chunk))
  }
}

type WayFaults = Omit<LinkFaults, 'isStalledForth' | 'isStalledBack'> & { isStalled: boolean }

/** One direction of a connection: chunks leave in order, each when its time has come. */
class Way {
  hasEnded = false
  onChunk: (chunk: Buffer) => void = () => {}
  readonly #from: Socket
  readonly #to: Socket
  readonly #faults: () => WayFaults
  readonly #queue: { readonly chunk: Buffer | undefined; readonly dueMs: number }[] = []
  /** When the last chunk leaves: later ones are not earlier. */
  #lastDueMs = 0
  #timer: NodeJS.Timeout | undefined
  #isOver = false

  constructor(from: Socket, to: Socket, faults: () => WayFaults) {
    this.#from = from
    this.#to = to
    this.#faults = faults
    from.on('data', (chunk: Buffer) => this.#take(chunk))
    to.on('drain', () => this.update())
  }

  /** The faults have changed, or the other side takes more. */
  update(): void {
    if (this.#isOver) return
    const { isStalled } = this.#faults()
    if (isStalled || this.#to.writableNeedDrain) this.#from.pause()
    else if (this.#from.isPaused()) this.#from.resume()
    this.#send()
  }

  end(): void {
    this.hasEnded = true
    this.#queue.push({ chunk: undefined, dueMs: this.#lastDueMs })
    this.#send()
  }

  stop(): void {
    if (this.hasEnded && this.#queue.length > 0) return // what is under way still arrives
    this.#isOver = true
    clearTimeout(this.#timer)
  }

  #take(chunk: Buffer): void {
    this.onChunk(chunk)
    const { delayMs, jitterMs, bytesPerSecond, corruptChance } = this.#faults()
    const nowMs = performance.now()
    const sendingMs = bytesPerSecond === 0 ? 0 : (chunk.length / bytesPerSecond) * 1000
    const earliestMs = nowMs + delayMs + Math.random() * jitterMs
    const dueMs = Math.max(earliestMs, this.#lastDueMs) + sendingMs
    this.#lastDueMs = dueMs
    if (corruptChance > 0 && Math.random() < corruptChance) {
      const at = Math.floor(Math.random() * chunk.length)
      chunk[at] = chunk[at]! ^ (1 << Math.floor(Math.random() * 8))
    }
    this.#queue.push({ chunk, dueMs })
    // A slow link takes no more than it can send.
    if (bytesPerSecond > 0 && dueMs > nowMs + delayMs + 1000) this.#from.pause()
    this.#send()
  }

  #send(): void {
    clearTimeout(this.#timer)
    const { isStalled } = this.#faults()
    if (isStalled || this.#isOver) return
    while (this.#queue.length > 0) {
      const { chunk, dueMs } = this.#queue[0]!
      const waitMs = dueMs - performance.now()
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#send(), waitMs)
        return
      }
      this.#queue.shift()
      if (chunk === undefined) this.#to.end()
      else this.#to.write(chunk)
    }
    if (!this.#to.writableNeedDrain && this.#from.isPaused()) this.#from.resume()
  }
}
