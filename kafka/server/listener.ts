/**
 * The server: listens for clients, keeps count of their connections, and owns what they share.
 *
 * Invariant: after `close` no request is taken, no timer is left and every connection has ended.
 */
import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'
import type { Connection, ConnectionHandler, Listener, Network } from '../../base/network.ts'
import type { Random } from '../../base/random.ts'
import type { Turn } from '../../base/turn.ts'
import type { Api } from '../api/define.ts'
import type { Broker } from '../broker.ts'
import { FrameHeader } from '../wire/frame.ts'
import { Reader } from '../wire/reader.ts'
import { AnswerWriter } from './answer-writer.ts'
import { KafkaConnection } from './connection.ts'
import { DeadlineWheel } from './deadlines.ts'
import { FetchHandler } from './fetch.ts'
import { FetchSessionCache } from './fetch-session.ts'
import { BufferPool, MemoryAccountant } from './memory.ts'
import { Misdirected } from './misdirected.ts'
import { DEFAULT_SERVER_OPTIONS, type ServerOptions } from './options.ts'
import type { ServerParts } from './parts.ts'
import { ServerProbe } from './probe.ts'
import { ProduceHandler } from './produce.ts'
import { SlowRequests } from './slow-requests.ts'

const FREE_BUFFERS_BYTES = 32 * 1024 * 1024
const SESSION_PARTITIONS_MAX = 500_000
const SWEEP_MS_MIN = 50
const SWEEP_MS_MAX = 5000
/** An answer may be larger than the records in it by the fields of many partitions. */
const ANSWER_BYTES_MARGIN = 64 * 1024 * 1024

export interface KafkaServerParts {
  readonly network: Network
  readonly clock: Clock
  readonly turn: Turn
  readonly logger: Logger
  readonly random: Random
}

export class KafkaServer {
  readonly probe = new ServerProbe()
  readonly memory: MemoryAccountant
  readonly pool: BufferPool
  readonly sessions: FetchSessionCache
  readonly options: ServerOptions
  readonly #world: KafkaServerParts
  readonly #parts: ServerParts
  readonly #wheel: DeadlineWheel
  readonly #writer: AnswerWriter
  readonly #listeners: Listener[] = []
  readonly #connections = new Set<KafkaConnection>()
  readonly #perAddress = new Map<string, number>()
  #nextConnectionId = 1
  #sweep: Timer | undefined
  #isClosing = false
  #onEmpty: (() => void) | undefined

  /** `apis`: those that are served, when not all (for tests). */
  constructor(
    parts: KafkaServerParts,
    broker: Broker,
    options: Partial<ServerOptions> = {},
    apis?: readonly Api[],
  ) {
    const { clock, turn, logger } = parts
    this.options = { ...DEFAULT_SERVER_OPTIONS, ...options }
    this.#world = parts
    this.memory = new MemoryAccountant(turn, this.options.memoryBytes)
    this.pool = new BufferPool(this.memory, {
      freeBytesMax: FREE_BUFFERS_BYTES,
      poisons: this.options.poisonsBuffers,
    })
    this.sessions = new FetchSessionCache({
      sessionsMax: this.options.fetchSessionsMax,
      partitionsMax: SESSION_PARTITIONS_MAX,
      idleMs: this.options.fetchSessionIdleMs,
      random: parts.random,
    })
    this.#wheel = new DeadlineWheel(clock)
    const answerBytesMax = this.options.fetchBytesMax + ANSWER_BYTES_MARGIN
    this.#writer = new AnswerWriter(this.pool, answerBytesMax)
    const { data } = broker
    const slow = new SlowRequests(broker, clock, apis)
    for (const api of slow.apis) this.probe.register(api.key, api.name)
    this.#parts = {
      clock,
      turn,
      logger,
      options: this.options,
      memory: this.memory,
      pool: this.pool,
      probe: this.probe,
      misdirected: new Misdirected(clock, logger),
      produce: new ProduceHandler({ data, clock, writer: this.#writer, probe: this.probe }),
      fetch: new FetchHandler({
        data,
        clock,
        turn,
        pool: this.pool,
        probe: this.probe,
        wheel: this.#wheel,
        sessions: this.sessions,
        writer: this.#writer,
        answerBytesMax,
        fetchBytesMax: this.options.fetchBytesMax,
      }),
      slow,
      header: new FrameHeader(),
      reader: new Reader(Buffer.alloc(0), 0, 0),
      hot: { apiVersion: 0, correlationId: 0, receivedMs: 0, requestBytes: 0 },
    }
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /** Rejects with a UserError when the address can't be had. Port 0: a free one, see the result. */
  async listen(listenerName: string, host: string, port: number): Promise<Listener> {
    assert(!this.#isClosing, 'a closed server does not listen')
    const listener = await this.#world.network.listen({ host, port }, (connection) =>
      this.#accept(listenerName, connection),
    )
    this.#listeners.push(listener)
    return listener
  }

  #accept(listener: string, connection: Connection): ConnectionHandler {
    const address = connection.remoteAddress
    const sameAddress = this.#perAddress.get(address) ?? 0
    const { connectionsMax, connectionsPerAddressMax } = this.options
    if (
      this.#isClosing ||
      this.#connections.size >= connectionsMax ||
      sameAddress >= connectionsPerAddressMax
    ) {
      return this.#turnAway(listener, connection)
    }
    this.#perAddress.set(address, sameAddress + 1)
    const accepted = new KafkaConnection({
      connectionId: this.#nextConnectionId++,
      listener,
      connection,
      parts: this.#parts,
      onGone: (gone) => this.#onGone(gone, address),
    })
    this.#connections.add(accepted)
    this.#sweep ??= this.#startSweep()
    return accepted
  }

  #turnAway(listener: string, connection: Connection): ConnectionHandler {
    const reason = this.#isClosing ? 'stopping' : 'limit'
    this.probe.onRefused(listener, reason)
    if (reason === 'limit') {
      this.#world.logger.warn('A connection was refused: there are too many.', {
        remote: connection.remote,
        listener,
      })
    }
    connection.destroy()
    return { onBytes() {}, onDrain() {}, onClose() {} }
  }

  #onGone(connection: KafkaConnection, address: string): void {
    const wasThere = this.#connections.delete(connection)
    assert(wasThere, 'a connection goes once')
    const left = this.#perAddress.get(address)! - 1
    if (left > 0) this.#perAddress.set(address, left)
    else this.#perAddress.delete(address)
    if (this.#connections.size > 0) return
    this.#sweep?.cancel()
    this.#sweep = undefined
    this.#onEmpty?.()
  }

  /** One coarse timer for the idle times of all connections. */
  #startSweep(): Timer {
    const { idleMs, stallMs } = this.options
    const periodMs = Math.max(SWEEP_MS_MIN, Math.min(SWEEP_MS_MAX, Math.min(idleMs, stallMs) / 4))
    return this.#world.clock.after(periodMs, () => {
      this.#sweep = undefined
      const nowMs = this.#world.clock.monotonicMs()
      for (const connection of this.#connections) connection.sweep(nowMs)
      if (this.#connections.size > 0) this.#sweep = this.#startSweep()
    })
  }

  /**
   * Stops accepting, lets answers leave for a while, ends what is left. Resolves when all is ended.
   */
  async close(): Promise<void> {
    if (this.#isClosing) return
    this.#isClosing = true
    await Promise.all(this.#listeners.map((listener) => listener.close()))
    await this.#drain()
    this.#wheel.close()
    this.#writer.close()
  }

  #drain(): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = this.#world.clock.after(this.options.drainMs, () => {
        for (const connection of this.#connections) connection.close('stopping')
      })
      this.#onEmpty = () => {
        timer.cancel()
        resolve()
      }
      for (const connection of this.#connections) connection.drain()
    })
  }
}
