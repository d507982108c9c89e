/**
 * A real TCP port in front of a listener inside a simulation: every connection from outside gets a
 * twin inside, and bytes go to and fro. When the twin breaks, so does the real one.
 */
import type { Connection, ConnectionHandler, Listener, Network } from '../../base/network.ts'

export interface BridgeParts {
  readonly real: Network
  /** Of a machine outside the cluster, in the simulation. */
  readonly inside: Network
  /** Where the twin connects to. */
  readonly target: { readonly host: string; readonly port: number }
  /** The simulation has something to do. */
  wake(): void
}

const HOST = '127.0.0.1'
const CONNECT_TIMEOUT_MS = 5000
/** More on its way to the slower end stops the reading of the other one. */
const QUEUED_BYTES_MAX = 1024 * 1024

export class Bridge {
  readonly #parts: BridgeParts
  readonly #pipes = new Set<Pipe>()
  #listener: Listener | undefined
  #port = 0

  constructor(parts: BridgeParts) {
    this.#parts = parts
  }

  /** The same from the first opening on. */
  get port(): number {
    return this.#port
  }

  async open(): Promise<void> {
    this.#listener = await this.#parts.real.listen({ host: HOST, port: this.#port }, (outside) => {
      const pipe = new Pipe(this.#parts, outside, () => this.#pipes.delete(pipe))
      this.#pipes.add(pipe)
      return pipe.outer
    })
    this.#port = this.#listener.port
  }

  /** New connections are refused, and those that are open break. */
  async close(): Promise<void> {
    for (const pipe of [...this.#pipes]) pipe.break()
    await this.#listener?.close()
    this.#listener = undefined
  }
}

class Pipe {
  /** Of the real connection. */
  readonly outer: ConnectionHandler
  readonly #parts: BridgeParts
  readonly #outside: Connection
  readonly #onEnd: () => void
  #inside: Connection | undefined
  /** What came before the twin was connected. */
  #early: Buffer[] = []
  #isOver = false

  constructor(parts: BridgeParts, outside: Connection, onEnd: () => void) {
    this.#parts = parts
    this.#outside = outside
    this.#onEnd = onEnd
    this.outer = {
      onBytes: (slab, start, end) => this.#fromOutside(Buffer.from(slab.subarray(start, end))),
      onDrain: () => this.#inside?.resume(),
      onClose: () => this.#end(),
    }
    const { host, port } = parts.target
    const options = { host, port, timeoutMs: CONNECT_TIMEOUT_MS }
    parts.inside.connect(options, (inside) => this.#connected(inside)).catch(() => this.break())
    parts.wake()
  }

  break(): void {
    this.#outside.destroy()
    this.#end()
  }

  #connected(inside: Connection): ConnectionHandler {
    this.#inside = inside
    if (this.#isOver) inside.destroy()
    else if (this.#early.length > 0) inside.write(this.#early.splice(0))
    return {
      onBytes: (slab, start, end) => this.#fromInside(Buffer.from(slab.subarray(start, end))),
      onDrain: () => this.#outside.resume(),
      onClose: (error) => {
        if (error === undefined) this.#outside.end()
        else this.#outside.destroy()
        this.#onEnd()
      },
    }
  }

  #fromOutside(bytes: Buffer): void {
    if (this.#inside === undefined) this.#early.push(bytes)
    else {
      this.#inside.write([bytes])
      if (this.#inside.queuedBytes() > QUEUED_BYTES_MAX) this.#outside.pause()
    }
    this.#parts.wake()
  }

  #fromInside(bytes: Buffer): void {
    this.#outside.write([bytes])
    if (this.#outside.queuedBytes() > QUEUED_BYTES_MAX) this.#inside?.pause()
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#inside?.destroy()
    this.#onEnd()
    this.#parts.wake()
  }
}
