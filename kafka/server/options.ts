/** The settings of the server, under Kafka's names where Kafka has them. */
import { FORWARD_BYTES_MAX } from '../forward.ts'

export interface ServerOptions {
  /** `socket.request.max.bytes` */
  readonly requestBytesMax: number
  /** The same for what is not Produce: no more than what may be passed on to the controller. */
  readonly otherRequestBytesMax: number
  /** `connections.max.idle.ms` */
  readonly idleMs: number
  /** `max.connections` */
  readonly connectionsMax: number
  /** `max.connections.per.ip` */
  readonly connectionsPerAddressMax: number
  /** Requests of one connection that may wait for their answer; then it is not read. */
  readonly unansweredMax: number
  /**
   * Bytes of answers of one connection that may wait, with what its fetches of many partitions take
   * on the heap; then it is not read.
   */
  readonly waitingAnswerBytesMax: number
  /**
   * A client that takes none of the bytes it was sent, or stops inside a request, is closed after
   * this.
   */
  readonly stallMs: number
  /** For frames and answers of all connections together. */
  readonly memoryBytes: number
  /** `max.incremental.fetch.session.cache.slots` */
  readonly fetchSessionsMax: number
  /** A fetch session that was not used for so long makes room for another. */
  readonly fetchSessionIdleMs: number
  /** `fetch.max.bytes` */
  readonly fetchBytesMax: number
  /** At a stop: how long answers have to leave. */
  readonly drainMs: number
  /** Overwrite buffers that were given back: tests see a use after that. */
  readonly poisonsBuffers: boolean
}

export const DEFAULT_SERVER_OPTIONS: ServerOptions = {
  requestBytesMax: 104_857_600,
  otherRequestBytesMax: FORWARD_BYTES_MAX,
  idleMs: 600_000,
  connectionsMax: 2_147_483_647,
  connectionsPerAddressMax: 2_147_483_647,
  unansweredMax: 100,
  waitingAnswerBytesMax: 4 * 1024 * 1024,
  stallMs: 60_000,
  memoryBytes: 256 * 1024 * 1024,
  fetchSessionsMax: 1000,
  fetchSessionIdleMs: 120_000,
  fetchBytesMax: 57_671_680,
  drainMs: 5000,
  poisonsBuffers: false,
}
