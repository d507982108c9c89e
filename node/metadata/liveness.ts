/**
 * Who among the brokers lives, by what the controller has heard from them. Pure: time is passed in
 * (monotonic milliseconds), and nothing is decided here but who has been silent for too long.
 *
 * Kept: a heartbeat counts only for the registration that it names, and only when the broker's main
 * loop moved since the one before: a process whose loop hangs may still have bytes on their way.
 * What was learnt of a death holds for the registration that was in force then, not for a later one.
 */
import { assert } from '../../base/assert.ts'

/** A registered broker as the image has it. */
export interface LivenessBroker {
  readonly id: number
  readonly epoch: number
}

interface Contact {
  readonly epoch: number
  heardAtMs: number
  progress: number
  /** The metadata that it has applied; -1 not known. */
  metadataOffset: number
}

export class Liveness {
  readonly #sessionTimeoutMs: number
  readonly #contacts = new Map<number, Contact>()
  /** Broker -> the epoch whose process is known to be dead. */
  readonly #dead = new Map<number, number>()

  constructor(options: { readonly sessionTimeoutMs: number }) {
    assert(options.sessionTimeoutMs > 0, 'silence has a limit')
    this.#sessionTimeoutMs = options.sessionTimeoutMs
  }

  /**
   * This node begins to lead: nobody has been heard yet, and each gets a whole session from now on,
   * but `silent` ones, of whom is known how long they have said nothing. Deaths stay known.
   */
  begin(
    brokers: Iterable<LivenessBroker>,
    nowMs: number,
    silent: ReadonlyMap<number, number> = new Map(),
  ): void {
    this.#contacts.clear()
    for (const { id, epoch } of brokers) {
      const heardAtMs = nowMs - (silent.get(id) ?? 0)
      this.#contacts.set(id, { epoch, heardAtMs, progress: -1, metadataOffset: -1 })
    }
  }

  /** A registration is new: it counts as a sign of life. */
  registered({ id, epoch }: LivenessBroker, nowMs: number): void {
    const before = this.#contacts.get(id)
    assert(before === undefined || epoch >= before.epoch, 'broker epochs grow')
    if (before?.epoch === epoch) return
    this.#contacts.set(id, { epoch, heardAtMs: nowMs, progress: -1, metadataOffset: -1 })
    if (this.#dead.get(id) !== epoch) this.#dead.delete(id)
  }

  unregistered(id: number): void {
    this.#contacts.delete(id)
    this.#dead.delete(id)
  }

  /** A heartbeat; false when it proves nothing. `progress` -1: the sender does not say. */
  heard(broker: LivenessBroker, progress: number, metadataOffset: number, nowMs: number): boolean {
    const { id, epoch } = broker
    let contact = this.#contacts.get(id)
    if (contact === undefined) {
      contact = { epoch, heardAtMs: nowMs, progress: -1, metadataOffset: -1 }
      this.#contacts.set(id, contact)
    }
    if (contact.epoch !== epoch) return false
    if (progress !== -1 && progress <= contact.progress) return false
    contact.progress = progress
    contact.heardAtMs = Math.max(contact.heardAtMs, nowMs)
    contact.metadataOffset = Math.max(contact.metadataOffset, metadataOffset)
    this.#dead.delete(id)
    return true
  }

  /** Proof that the process of this registration is gone. Kept also while another node leads. */
  died({ id, epoch }: LivenessBroker): void {
    this.#dead.set(id, epoch)
  }

  /** Has it said something within the session, and is not known to be dead? */
  isAlive({ id, epoch }: LivenessBroker, nowMs: number): boolean {
    if (this.#dead.get(id) === epoch) return false
    const contact = this.#contacts.get(id)
    return contact?.epoch === epoch && nowMs - contact.heardAtMs < this.#sessionTimeoutMs
  }

  /** This node itself stood still for so long: what was said meanwhile may not be read yet. */
  forgive(pauseMs: number): void {
    assert(pauseMs >= 0, 'time goes on')
    for (const contact of this.#contacts.values()) contact.heardAtMs += pauseMs
  }

  /** Those of `brokers` that are to be fenced. */
  expired(brokers: Iterable<LivenessBroker>, nowMs: number): number[] {
    const ids: number[] = []
    for (const broker of brokers) if (!this.isAlive(broker, nowMs)) ids.push(broker.id)
    return ids
  }

  /** When the first of `brokers` will be silent for too long, if it says nothing more. */
  nextExpiryMs(brokers: Iterable<LivenessBroker>): number | undefined {
    let next: number | undefined
    for (const { id } of brokers) {
      const contact = this.#contacts.get(id)
      if (contact === undefined) continue
      const at = contact.heardAtMs + this.#sessionTimeoutMs
      if (next === undefined || at < next) next = at
    }
    return next
  }

  /** The metadata that the broker said it has applied; -1 not known. */
  metadataOffset(id: number): number {
    return this.#contacts.get(id)?.metadataOffset ?? -1
  }

  /** Milliseconds since the last sign of life; undefined: never heard here. */
  silenceMs(id: number, nowMs: number): number | undefined {
    const contact = this.#contacts.get(id)
    return contact === undefined ? undefined : nowMs - contact.heardAtMs
  }
}
