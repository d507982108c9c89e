/*
 * Requests at a fixed pace over raw sockets, one connection for each port, with the errors and times of
 * all answers. Nothing is tried again: what a client would have to retry counts as failed.
 */
import { connect, type Socket } from 'node:net'
import { produceError, produceFrame } from '../chaos-tests/cluster/frames.ts'

const PERIOD_MS = 5

/** A partition, and the port of the node that leads it. */
export interface PacedTarget {
  readonly port: number
  readonly topic: string
  readonly partition: number
}

interface Line {
  readonly socket: Socket
  readonly sentAtMs: number[]
  rest: Buffer
}

export class PacedSender {
  /** Of each answer, in milliseconds. */
  latencies: number[] = []
  failed = 0
  readonly #lines = new Map<number, Line>()
  readonly #timer: NodeJS.Timeout
  #next = 0

  /** `batch` to the targets in turn, acks=all. */
  constructor(targets: readonly PacedTarget[], batch: Buffer) {
    const frames = targets.map(({ topic, partition }) => produceFrame(topic, partition, batch, -1))
    for (const { port } of targets) {
      if (!this.#lines.has(port)) this.#lines.set(port, this.#open(port))
    }
    let dueMs = performance.now()
    this.#timer = setInterval(() => {
      for (; dueMs <= performance.now(); dueMs += PERIOD_MS) {
        const at = this.#next++ % targets.length
        const line = this.#lines.get(targets[at]!.port)!
        line.sentAtMs.push(performance.now())
        line.socket.write(frames[at]!)
      }
    }, PERIOD_MS)
  }

  #open(port: number): Line {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const line: Line = { socket, sentAtMs: [], rest: Buffer.alloc(0) }
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.#receive(line, chunk))
    socket.on('close', () => {
      this.failed += line.sentAtMs.length
    })
    return line
  }

  #receive(line: Line, chunk: Buffer): void {
    let bytes = line.rest.length === 0 ? chunk : Buffer.concat([line.rest, chunk])
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) {
      this.latencies.push(performance.now() - line.sentAtMs.shift()!)
      if (produceError(bytes, 4).error !== 0) this.failed++
      bytes = bytes.subarray(4 + bytes.readInt32BE(0))
    }
    line.rest = bytes
  }

  /** The latencies so far; what comes later is counted anew. */
  take(): number[] {
    const taken = this.latencies
    this.latencies = []
    return taken
  }

  /** Sends no more, and waits for the answers that are due. */
  async stop(withinMs: number): Promise<void> {
    clearInterval(this.#timer)
    const untilMs = performance.now() + withinMs
    const isWaiting = () => [...this.#lines.values()].some(({ sentAtMs }) => sentAtMs.length > 0)
    while (isWaiting() && performance.now() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, PERIOD_MS))
    }
    for (const { socket, sentAtMs } of this.#lines.values()) {
      this.failed += sentAtMs.length
      sentAtMs.length = 0
      socket.destroy()
    }
  }
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}
