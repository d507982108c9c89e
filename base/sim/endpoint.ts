/**
 * One end of a simulated TCP connection. What was written leaves when the other side's window has
 * room; what has left arrives in order even if this end closes, unless the power went.
 */
import type { Connection, ConnectionHandler } from '../network.ts'
import { type Machine, type ProcessEnd, type SimProcess, Wire } from './machine.ts'
import type { Fabric } from './network.ts'

/** Bytes that may be on their way or wait at a receiver that doesn't read. */
const WINDOW_BYTES = 256 * 1024
const SEGMENT_BYTES_MAX = 64 * 1024
/** Beyond this a writer is told when all has left, as Node does. */
const HIGH_WATER_BYTES = 16 * 1024
const GIVE_UP_US = 15_000_000
const POISON = 0xdb

const slab = Buffer.alloc(SEGMENT_BYTES_MAX)

const UNREACHED: ConnectionHandler = { onBytes() {}, onDrain() {}, onClose() {} }

export class Endpoint implements Connection {
  readonly localPort: number
  remote = ''
  remoteAddress = ''
  readonly #fabric: Fabric
  readonly #process: SimProcess
  #peer: Endpoint | undefined
  #wire: Wire | undefined
  #handler: ConnectionHandler = UNREACHED
  /** Written, not yet on the wire. */
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #windowUsed = 0
  #received: Uint8Array[] = []
  #isStarted = false
  #isPaused = false
  #isEnding = false
  #isEndSent = false
  #isEndReceived = false
  #isClosed = false
  #needsDrain = false
  #isDelivering = false
  readonly #forget: () => void

  constructor(fabric: Fabric, process: SimProcess, localPort: number) {
    this.#fabric = fabric
    this.#process = process
    this.localPort = localPort
    this.#forget = process.atEnd((how) => this.#processEnded(how))
    fabric.endpoints.add(this)
  }

  get machine(): Machine {
    return this.#process.machine
  }

  /** True when this end belongs to a process that has not closed it. */
  isOf(process: SimProcess): boolean {
    return this.#process === process && !this.#isClosed
  }

  get peer(): Endpoint {
    return this.#peer!
  }

  join(peer: Endpoint, remotePort: number): void {
    this.#peer = peer
    this.remoteAddress = peer.machine.name
    this.remote = `${peer.machine.name}:${remotePort}`
    this.#wire = new Wire(
      this.#fabric,
      { from: this.machine, to: peer.machine },
      { label: 'tcp', giveUpUs: GIVE_UP_US, onGiveUp: () => this.#close(new Error('ETIMEDOUT')) },
    )
  }

  start(handler: ConnectionHandler): void {
    this.#handler = handler
    this.#isStarted = true
    this.#deliver()
  }

  /** The client lost interest before it was connected. */
  abandon(): void {
    this.#isStarted = true
    this.destroy()
  }

  write(buffers: readonly Uint8Array[]): void {
    if (this.#isClosed || this.#isEnding) return
    for (const buffer of buffers) {
      if (buffer.length === 0) continue
      this.#queue.push(buffer)
      this.#queuedBytes += buffer.length
    }
    if (this.#queuedBytes >= HIGH_WATER_BYTES) this.#needsDrain = true
    this.#pump()
  }

  queuedBytes(): number {
    return this.#queuedBytes
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#later('tcp resume', () => this.#deliver())
  }

  end(): void {
    if (this.#isClosed) return
    this.#isEnding = true
    this.#pump()
  }

  destroy(error?: Error): void {
    if (this.#isClosed) return
    this.#sendLast()
    this.#close(error)
  }

  /** Breaks now, and the other end when a part of what was on the wire has arrived there. */
  reset(): void {
    if (this.#isClosed || this.#wire === undefined) return
    this.#wire.drop(this.#fabric.links.random.below(this.#wire.underWay + 1))
    const { peer } = this
    this.#wire.send(() => peer.#close(new Error('ECONNRESET')))
    this.#close(new Error('ECONNRESET'))
  }

  #pump(): void {
    const { peer } = this
    while (this.#queue.length > 0 && this.#windowUsed < WINDOW_BYTES) {
      const segment = this.#takeSegment()
      this.#windowUsed += segment.length
      this.#wire?.send(() => peer.#arrive(segment), segment.length)
    }
    if (this.#needsDrain && this.#queuedBytes === 0) {
      this.#needsDrain = false
      this.#later('tcp drain', () => {
        if (!this.#isClosed) this.#handler.onDrain()
      })
    }
    if (this.#isEnding && !this.#isEndSent && this.#queue.length === 0) {
      this.#isEndSent = true
      this.#wire?.send(() => peer.#arriveEnd())
      if (this.#isEndReceived) this.#close(undefined)
    }
  }

  #takeSegment(): Uint8Array {
    const { random } = this.#fabric.links
    const first = this.#queue[0]!
    // Mostly as it was written, sometimes in small pieces.
    const limit = random.chance(0.1) ? 1 + random.below(100) : SEGMENT_BYTES_MAX
    // A copy, as the kernel takes one: what has left the process may change behind us.
    const segment = Buffer.from(first.subarray(0, limit))
    if (segment.length === first.length) this.#queue.shift()
    else this.#queue[0] = first.subarray(limit)
    this.#queuedBytes -= segment.length
    return segment
  }

  #arrive(segment: Uint8Array): void {
    if (!this.#process.isAlive) {
      this.peer.#close(new Error('ECONNRESET'))
      return
    }
    if (this.#isClosed) {
      this.peer.#windowUsed -= segment.length
      return
    }
    this.#received.push(segment)
    this.#process.run(() => this.#deliver())
  }

  #arriveEnd(): void {
    this.#isEndReceived = true
    this.#process.run(() => this.#deliver())
  }

  #deliver(): void {
    if (!this.#isStarted || this.#isDelivering || !this.#process.isAlive) return
    this.#isDelivering = true
    while (this.#received.length > 0 && !this.#isPaused && !this.#isClosed) {
      const segment = this.#received.shift()!
      this.peer.#windowUsed -= segment.length
      this.#lend(segment)
    }
    this.#isDelivering = false
    if (this.#isClosed) return
    if (!this.peer.#isClosed) this.peer.#pump()
    if (!this.#isEndReceived || this.#isPaused) return
    this.#isEnding = true
    if (this.#isEndSent) this.#close(undefined)
    else this.#pump()
  }

  #lend(segment: Uint8Array): void {
    const start = this.#fabric.links.random.below(SEGMENT_BYTES_MAX - segment.length + 1)
    const end = start + segment.length
    slab.set(segment, start)
    this.#fabric.scheduler.note('tcp bytes', segment.length)
    this.#handler.onBytes(slab, start, end)
    slab.fill(POISON, start, end)
  }

  /** What an operating system sends for a socket that is closed. */
  #sendLast(): void {
    const { peer } = this
    const isReset = this.#fabric.links.random.chance(0.5)
    this.#wire?.send(() => {
      if (isReset) peer.#close(new Error('ECONNRESET'))
      else peer.#arriveEnd()
    })
  }

  #processEnded(how: ProcessEnd): void {
    if (this.#isClosed) return
    if (how === 'kill') this.#sendLast()
    else this.#wire?.drop()
    this.#close(undefined)
  }

  #close(error: Error | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#queue = []
    this.#queuedBytes = 0
    this.#received = []
    this.#fabric.endpoints.delete(this)
    this.#forget()
    this.#later('tcp close', () => this.#handler.onClose(error))
  }

  #later(label: string, run: () => void): void {
    this.#fabric.scheduler.after(0, label, () => this.#process.run(run))
  }
}
