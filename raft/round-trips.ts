/** How long others take to answer a heartbeat, and what else is seen of messages as they leave. */
import { assert } from '../base/assert.ts'
import { Histogram, SECONDS_BUCKETS } from '../base/metrics.ts'
import type { Message } from './messages.ts'
import type { RaftProbe } from './probe.ts'

/** To one node; whoever is silent for longer is not measured. */
const UNANSWERED_MAX = 64

interface Sent {
  readonly round: number
  readonly atMs: number
}

export class RoundTrips {
  readonly #probe: RaftProbe
  /** Heartbeats to each node, since the last that it has answered; oldest first. */
  readonly #sent = new Map<number, Sent[]>()

  constructor(probe: RaftProbe) {
    this.#probe = probe
  }

  sent(message: Message, nowMs: number): void {
    if (message.type === 'heartbeat') {
      const sent = this.#sent.get(message.to) ?? []
      if (sent.length === 0) this.#sent.set(message.to, sent)
      sent.push({ round: message.round, atMs: nowMs })
      if (sent.length > UNANSWERED_MAX) sent.shift()
    } else if (message.type === 'snapshot') {
      const { position, data, snapshot } = message
      if (position + data.length === snapshot.sizeBytes) this.#probe.snapshotsSent++
    }
  }

  received(message: Message, nowMs: number): void {
    if (message.type !== 'heartbeat-response') return
    const sent = this.#sent.get(message.from) ?? []
    const at = sent.findIndex(({ round }) => round === message.round)
    if (at < 0) return
    const { atMs } = sent[at]!
    assert(nowMs >= atMs, 'an answer comes after its question')
    sent.splice(0, at + 1)
    let seconds = this.#probe.roundTrips.get(message.from)
    if (seconds === undefined) {
      seconds = new Histogram(SECONDS_BUCKETS)
      this.#probe.roundTrips.set(message.from, seconds)
    }
    seconds.observe((nowMs - atMs) / 1000)
  }
}
