/** What the server counts: plain fields, read when somebody scrapes. */
import { BYTES_BUCKETS, Histogram, SECONDS_BUCKETS } from '../../base/metrics.ts'
import type { Ticket } from './ticket.ts'

export type CloseReason =
  | 'client' // the other end closed
  | 'broken' // the stream broke
  | 'malformed' // bytes that are no request
  | 'unsupported' // an API or version that is not served
  | 'idle'
  | 'stalled' // sends and never reads, or stops inside a frame
  | 'produce_error' // acks=0 has no other way to hear of it
  | 'failed' // a handler failed
  | 'limit' // too many connections
  | 'stopping'

/** One API's counters. */
export class ApiCounters {
  readonly name: string
  succeeded = 0
  failed = 0
  /** Accepted, and never answered because the connection went. */
  dropped = 0
  /** Count by error code. */
  readonly errors = new Map<number, number>()
  /** Seconds from the receipt of the whole request until its answer is handed to the socket. */
  readonly seconds = new Histogram(SECONDS_BUCKETS)
  /** Of one request in 17: until the node's own part was done, and from then on to the answer. */
  readonly localSeconds = new Histogram(SECONDS_BUCKETS)
  readonly waitSeconds = new Histogram(SECONDS_BUCKETS)
  readonly requestBytes = new Histogram(BYTES_BUCKETS)
  readonly responseBytes = new Histogram(BYTES_BUCKETS)

  constructor(name: string) {
    this.name = name
  }
}

const SOFTWARE_NAMES_MAX = 20
/** Odd, so that requests that alternate are both seen. */
const PHASES_EVERY = 17
const OTHER = 'other'

export class ServerProbe {
  inFlight = 0
  bytesIn = 0
  bytesOut = 0
  /** By listener. */
  readonly openConnections = new Map<string, number>()
  readonly openedConnections = new Map<string, number>()
  /** By listener, then by reason. */
  readonly closedConnections = new Map<string, Map<CloseReason, number>>()
  /** Open connections by 'name version' (KIP-511): the first 20 kinds, the rest as 'other'. */
  readonly softwareConnections = new Map<string, number>()
  /** Fetches that wait for data. */
  waitingFetches = 0
  readonly apis: (ApiCounters | undefined)[] = []

  #untimed = 0

  /** True for one request in 17: a look at the clock is not free. */
  timesPhases(): boolean {
    this.#untimed = (this.#untimed + 1) % PHASES_EVERY
    return this.#untimed === 0
  }

  /** Makes an API's counters; `name` as in the protocol. */
  register(key: number, name: string): void {
    this.apis[key] = new ApiCounters(name)
  }

  onAnswered(ticket: Ticket, nowMs: number): void {
    this.inFlight--
    const api = this.apis[ticket.apiKey]
    if (api === undefined) return
    if (ticket.error === 0) api.succeeded++
    else {
      api.failed++
      increment(api.errors, ticket.error)
    }
    api.seconds.observe((nowMs - ticket.receivedMs) / 1000)
    if (ticket.localMs > 0) {
      api.localSeconds.observe((ticket.localMs - ticket.receivedMs) / 1000)
      api.waitSeconds.observe(Math.max(0, nowMs - ticket.localMs) / 1000)
    }
    api.requestBytes.observe(ticket.requestBytes)
    if (ticket.chunk !== undefined) api.responseBytes.observe(ticket.end - ticket.start)
  }

  onUnanswered(ticket: Ticket): void {
    this.inFlight--
    const api = this.apis[ticket.apiKey]
    if (api !== undefined) api.dropped++
  }

  onOpened(listener: string): void {
    increment(this.openConnections, listener)
    increment(this.openedConnections, listener)
  }

  onClosed(listener: string, reason: CloseReason): void {
    this.openConnections.set(listener, (this.openConnections.get(listener) ?? 0) - 1)
    this.onRefused(listener, reason)
  }

  /** A connection that was never counted as open. */
  onRefused(listener: string, reason: CloseReason): void {
    let reasons = this.closedConnections.get(listener)
    if (reasons === undefined) {
      reasons = new Map()
      this.closedConnections.set(listener, reasons)
    }
    increment(reasons, reason)
  }

  /** Connections that ended for this reason, on all listeners. */
  closedBy(reason: CloseReason): number {
    let count = 0
    for (const reasons of this.closedConnections.values()) count += reasons.get(reason) ?? 0
    return count
  }

  /** Returns the row that the connection is counted in, for `onSoftwareGone`. */
  onSoftware(name: string, version: string): string {
    const kind = `${name} ${version}`
    const isKnown = this.softwareConnections.has(kind)
    const row = isKnown || this.softwareConnections.size < SOFTWARE_NAMES_MAX ? kind : OTHER
    increment(this.softwareConnections, row)
    return row
  }

  onSoftwareGone(row: string): void {
    const left = (this.softwareConnections.get(row) ?? 0) - 1
    if (left > 0) this.softwareConnections.set(row, left)
    else this.softwareConnections.delete(row)
  }
}

function increment<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
