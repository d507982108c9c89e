/*
 * An idempotent producer for one partition over a raw socket, for suites that kill what it talks to.
 * It keeps five batches in flight, sends what is unanswered again in order over a new connection,
 * and remembers every acknowledged offset. Invariant: batches are sent in the order of their
 * sequence numbers, and a batch leaves the queue only when it is acknowledged.
 */
import { connect, type Socket } from 'node:net'
import {
  AnswerReader,
  initProducerIdFrame,
  produceError,
  produceFrame,
  recordBatch,
} from './frames.ts'
import { ask } from './wire.ts'

const IN_FLIGHT_MAX = 5
const RECONNECT_MS = 5
const INIT_RETRY_MS = 100
const INIT_ATTEMPTS_MAX = 100
const RECORDS_PER_BATCH = 3
/** Errors that a producer answers by sending again: the leader is away, or not ready yet. */
const RETRIABLE = new Set([3, 5, 6, 7, 13, 14, 15, 16, 19, 20, 56])
const DUPLICATE_SEQUENCE_NUMBER = 46

interface Batch {
  frame: Buffer
  first: number
}

export class IdempotentProducer {
  readonly #port: number
  readonly #topic: string
  readonly #partition: number
  /** Offset that the record of each number was acknowledged with; -1 for a known duplicate. */
  readonly ackedOffsets: number[] = []
  retryCount = 0
  failure: string | undefined
  #producerId = -1
  #producerEpoch = -1
  #nextNumber = 0
  #queue: Batch[] = []
  /** How many of the queue were sent on the present connection. */
  #sent = 0
  #socket: Socket | undefined
  #isStopping = false
  #rest: Buffer = Buffer.alloc(0)
  #ended: () => void = () => {}
  readonly ended: Promise<void>

  constructor(port: number, topic: string, partition: number) {
    this.#port = port
    this.#topic = topic
    this.#partition = partition
    this.ended = new Promise((resolve) => {
      this.#ended = resolve
    })
  }

  /** Gets a producer id and begins to send. */
  async start(): Promise<void> {
    for (let attempt = 1; this.#producerId < 0; attempt++) {
      const answer = await ask(this.#port, initProducerIdFrame())
      if (answer === undefined) throw new Error('InitProducerId got no answer')
      const error = this.#initialize(answer)
      if (error === 0) break
      if (!RETRIABLE.has(error) || attempt > INIT_ATTEMPTS_MAX) {
        throw new Error(`InitProducerId answered ${error}`)
      }
      await new Promise((resolve) => setTimeout(resolve, INIT_RETRY_MS))
    }
    this.#connect()
  }

  #initialize(answer: Buffer): number {
    const reader = new AnswerReader(answer, 4)
    reader.skipTags()
    reader.int32()
    const error = reader.int16()
    if (error !== 0) return error
    this.#producerId = reader.int64()
    this.#producerEpoch = reader.int16()
    return 0
  }

  /** No new batches; `ended` resolves when all that were sent are acknowledged. */
  stop(): void {
    this.#isStopping = true
    if (this.#queue.length === 0) this.#finish()
  }

  #finish(): void {
    this.#socket?.destroy()
    this.#ended()
  }

  #fail(reason: string): void {
    this.failure ??= `partition ${this.#partition}: ${reason}`
    this.#isStopping = true
    this.#queue = []
    this.#finish()
  }

  #connect(): void {
    this.#rest = Buffer.alloc(0)
    this.#sent = 0
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
    this.#socket = socket
    socket.on('connect', () => this.#fill())
    socket.on('data', (chunk: Buffer) => {
      if (socket === this.#socket) this.#receive(chunk)
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      if (socket !== this.#socket || this.#isDone) return
      this.retryCount++
      setTimeout(() => this.#connect(), RECONNECT_MS)
    })
  }

  get #isDone(): boolean {
    return this.#isStopping && this.#queue.length === 0
  }

  #fill(): void {
    while (this.#sent < IN_FLIGHT_MAX) {
      if (this.#sent === this.#queue.length) {
        if (this.#isStopping) return
        this.#queue.push(this.#nextBatch())
      }
      this.#socket?.write(this.#queue[this.#sent++]!.frame)
    }
  }

  #nextBatch(): Batch {
    const first = this.#nextNumber
    this.#nextNumber += RECORDS_PER_BATCH
    const values = Array.from({ length: RECORDS_PER_BATCH }, (_, i) =>
      Buffer.from(`${this.#partition}:${first + i}`),
    )
    const batch = recordBatch({
      values,
      producerId: this.#producerId,
      producerEpoch: this.#producerEpoch,
      baseSequence: first,
    })
    return { frame: produceFrame(this.#topic, this.#partition, batch, -1), first }
  }

  #receive(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readInt32BE(0)) {
      const { error, offset } = produceError(this.#rest, 4)
      this.#rest = this.#rest.subarray(4 + this.#rest.readInt32BE(0))
      if (RETRIABLE.has(error)) {
        // What follows in flight fails too: begin again from this batch on a new connection.
        this.#socket?.destroy()
        return
      }
      if (error !== 0 && error !== DUPLICATE_SEQUENCE_NUMBER) {
        this.#fail(`produce of ${this.#queue[0]?.first} answered error ${error}`)
        return
      }
      const { first } = this.#queue.shift()!
      this.#sent--
      for (let i = 0; i < RECORDS_PER_BATCH; i++) {
        this.ackedOffsets[first + i] = error === 0 && offset >= 0 ? offset + i : -1
      }
    }
    if (this.#isDone) this.#finish()
    else this.#fill()
  }
}
