/** One end of a simulated stream of messages between nodes. */
import { RpcError, type RpcStream, type RpcStreamHandler } from '../rpc.ts'
import { type Links, type Machine, type ProcessEnd, type SimProcess, Wire } from './machine.ts'
import type { Scheduler } from './scheduler.ts'

const WINDOW_BYTES = 1024 * 1024
/** A peer that falls silent is found out by its missing keep-alives after this. */
export const SILENCE_US = 900_000

const UNREACHED: RpcStreamHandler = { onMessage() {}, onDrain() {}, onClose() {} }

export interface StreamParts {
  readonly scheduler: Scheduler
  readonly links: Links
  /** All ends of all streams. */
  readonly ends: Set<StreamEnd>
}

export class StreamEnd implements RpcStream {
  readonly remote: string
  readonly #parts: StreamParts
  readonly #process: SimProcess
  readonly #to: Machine
  readonly #wire: Wire
  readonly #owner: Set<StreamEnd>
  readonly #forget: () => void
  #handler: RpcStreamHandler = UNREACHED
  #peer: StreamEnd | undefined
  #windowUsed = 0
  #needsDrain = false
  #isEndSent = false
  #isClosed = false

  /** `owner` holds the end while it is open: its server's or its peer's set. */
  constructor(
    parts: StreamParts,
    process: SimProcess,
    to: { readonly machine: Machine; readonly remote: string },
    owner: Set<StreamEnd>,
  ) {
    this.#parts = parts
    this.#process = process
    this.#to = to.machine
    this.remote = to.remote
    this.#owner = owner
    this.#wire = new Wire(
      parts,
      { from: process.machine, to: to.machine },
      { label: 'rpc', giveUpUs: SILENCE_US, onGiveUp: () => this.close(this.#unavailable()) },
    )
    this.#forget = process.atEnd((how) => this.#processEnded(how))
    parts.ends.add(this)
    owner.add(this)
  }

  attach(handler: RpcStreamHandler): void {
    this.#handler = handler
  }

  join(peer: StreamEnd): void {
    this.#peer = peer
  }

  /** `arrive` runs at the other machine, after all that was sent before. */
  transmit(arrive: () => void): void {
    this.#wire.send(arrive)
  }

  send(message: Uint8Array): boolean {
    if (this.#isClosed || this.#isEndSent) return false
    this.#windowUsed += message.length
    if (this.#parts.links.drawLoss()) {
      this.#wire.send(() => this.#peer?.close(this.#unavailable()))
      this.close(this.#unavailable())
      return false
    }
    this.#wire.send(() => this.#peer?.arrive(message), message.length)
    if (this.#windowUsed < WINDOW_BYTES) return true
    this.#needsDrain = true
    return false
  }

  end(): void {
    if (this.#isClosed || this.#isEndSent) return
    this.#isEndSent = true
    this.#wire.send(() => this.#peer?.arriveEnd())
  }

  cancel(): void {
    this.breakOff(new RpcError('cancelled', this.remote))
  }

  /** Both ends hear of it. */
  breakOff(error: RpcError): void {
    if (this.#isClosed) return
    this.#wire.send(() => this.#peer?.close(error))
    this.close(error)
  }

  /** True when this end belongs to a process that has not closed it. */
  isOf(process: SimProcess): boolean {
    return this.#process === process && !this.#isClosed
  }

  /** Looks at the bytes only now, so that a sender who changes them is found out. */
  arrive(message: Uint8Array): void {
    this.#process.run(() => {
      this.#peer?.left(message.length)
      if (this.#isClosed) return
      this.#parts.scheduler.note('rpc bytes', message.length)
      this.#handler.onMessage(Buffer.from(message))
    })
  }

  /** A message of ours has reached the other end. */
  left(sizeBytes: number): void {
    this.#windowUsed -= sizeBytes
    if (!this.#needsDrain || this.#windowUsed > WINDOW_BYTES / 2) return
    this.#needsDrain = false
    this.#later('rpc drain', () => {
      if (!this.#isClosed) this.#handler.onDrain()
    })
  }

  arriveEnd(): void {
    this.#process.run(() => {
      if (this.#isClosed) return
      this.end()
      this.close(undefined)
    })
  }

  breakIfSilent(): void {
    const { links } = this.#parts
    const own = this.#process.machine
    const isSilent =
      this.#wire.isStalled ||
      links.isCut(this.#to.name, own.name) ||
      (this.#peer !== undefined && !this.#peer.#answers)
    // A peer that was only frozen finds its stream reset when it goes on.
    if (isSilent) this.breakOff(this.#unavailable())
  }

  get #answers(): boolean {
    return this.#process.isAlive && !this.#process.isFrozen
  }

  /** Only this end hears of it. */
  close(error: RpcError | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#parts.ends.delete(this)
    this.#owner.delete(this)
    this.#forget()
    this.#later('rpc close', () => this.#handler.onClose(error))
  }

  #processEnded(how: ProcessEnd): void {
    if (this.#isClosed) return
    if (how === 'power') this.#wire.drop()
    else this.#wire.send(() => this.#peer?.close(this.#unavailable()))
    this.close(undefined)
  }

  #unavailable(): RpcError {
    return new RpcError('unavailable', this.remote)
  }

  #later(label: string, run: () => void): void {
    this.#parts.scheduler.after(0, label, () => this.#process.run(run))
  }
}
