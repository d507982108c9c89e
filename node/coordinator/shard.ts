/**
 * One coordinator: the state that one partition's records make, and the only writer of that
 * partition. Operations decide on the spot; their records are replayed at once and appended
 * together at the end of the turn; answers leave when the watermark has passed their records.
 *
 * Invariants: the state is what replaying the log gives, plus what has not been appended yet; no
 * answer to a write, and no read that asks for it, leaves before all that it saw is replicated;
 * when appended records are lost the whole state is dropped and loaded again.
 */
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'
import type { Flushable, Turn } from '../../base/turn.ts'
import {
  COORDINATOR_LOAD_IN_PROGRESS,
  COORDINATOR_NOT_AVAILABLE,
  KAFKA_STORAGE_ERROR,
  MESSAGE_TOO_LARGE,
  NONE,
  NOT_COORDINATOR,
  NOT_ENOUGH_REPLICAS,
  NOT_LEADER_OR_FOLLOWER,
  RECORD_LIST_TOO_LARGE,
  REQUEST_TIMED_OUT,
  UNKNOWN_SERVER_ERROR,
} from '../../kafka/wire/errors.ts'
import { WireError } from '../../kafka/wire/reader.ts'
import { BATCH_HEADER_BYTES } from '../../log/batch.ts'
import { encodeBatch, type NewRecord } from '../../log/records.ts'
import type { Change, Decision } from './decision.ts'
import { LoadError, loadLog } from './load.ts'
import type { CoordinatorLog } from './log.ts'
import type { CoordinatorProbe } from './probe.ts'
import { Deadline, Timers } from './timers.ts'

export interface RecordBytes {
  readonly key: Buffer
  readonly value: Buffer | null
}

export interface RecordCodec<R> {
  encode(record: R): RecordBytes
  /** Undefined: not ours to understand. Throws WireError for bytes that belie their version. */
  decode(key: Buffer, value: Buffer | null): R | undefined
}

/** What a kind of coordinator does with its records. A fresh one is made for each term. */
export interface StateMachine<R> {
  /** The only place where durable state changes. */
  replay(record: R): void
  /** All records are replayed: deadlines begin. */
  activate(): void
  /** The term is over: whoever waits is answered with `error`. */
  deactivate(error: number): void
}

/** What a state machine gets from its shard. */
export interface ShardPort<R> {
  readonly partition: number
  readonly timers: Timers
  /** A change that no request asked for: of a timer. */
  apply(change: Change<R> | undefined): void
}

export interface ShardParts<S extends StateMachine<R>, R> {
  readonly clock: Clock
  readonly turn: Turn
  readonly logger: Logger
  readonly probe: CoordinatorProbe
  readonly codec: RecordCodec<R>
  /** Of writes: then the answer is COORDINATOR_NOT_AVAILABLE, and the records may still count. */
  readonly appendTimeoutMs: number
  /** In simulation: see `World`. */
  readonly maybe?: (name: string) => boolean
  makeState(port: ShardPort<R>): S
}

/** `unloaded`: not led here. `failed`: led here, but its log can't be read. */
export type Phase = 'unloaded' | 'loading' | 'active' | 'failed'

const RELOAD_FIRST_MS = 100
const RELOAD_MAX_MS = 5000
/** Per record beyond key and value: six varints at their longest, no headers. */
const RECORD_OVERHEAD_BYTES = 31

interface Waiting {
  settle(error: number): void
}

interface Batch {
  readonly waiting: Waiting[]
  readonly deadlineMs: number
  hasReplayed: boolean
  records: number
  bytes: number
}

export class Shard<S extends StateMachine<R>, R> implements Flushable, ShardPort<R> {
  readonly partition: number
  queued = false
  #parts: ShardParts<S, R>
  #phase: Phase = 'unloaded'
  #log: CoordinatorLog | undefined
  #epoch = -1
  #state: S | undefined
  #timers: Timers
  /** Counts the terms; what comes back for an earlier one is ignored. */
  #term = 0
  #records: NewRecord[] = []
  /** Of `#records`. */
  #gathered: Batch | undefined
  /** Appended, not replicated; in the order of the log. */
  readonly #inFlight: Batch[] = []
  #overdue: Deadline
  #reloadMs = RELOAD_FIRST_MS
  #deferred: ((state: S) => Change<R>)[] = []

  constructor(partition: number, parts: ShardParts<S, R>) {
    this.partition = partition
    this.#parts = parts
    this.#timers = new Timers(parts.clock)
    this.#overdue = new Deadline(() => this.#expire())
  }

  get phase(): Phase {
    return this.#phase
  }

  get timers(): Timers {
    return this.#timers
  }

  /** Undefined unless active. For reads that need not wait. */
  get state(): S | undefined {
    return this.#phase === 'active' ? this.#state : undefined
  }

  /** This node leads the partition from now on. The same epoch twice is one term. */
  lead(log: CoordinatorLog): void {
    assert(log.leaderEpoch >= 0, 'a leader has an epoch')
    if (this.#log !== undefined) {
      if (log.leaderEpoch < this.#epoch) return
      if (log.leaderEpoch === this.#epoch && this.#phase !== 'failed') return
      this.#drop(NOT_COORDINATOR, 'unloaded')
    }
    this.#log = log
    this.#epoch = log.leaderEpoch
    this.#reloadMs = RELOAD_FIRST_MS
    this.#startLoad()
  }

  /** This node leads it no longer. */
  resign(): void {
    this.#drop(NOT_COORDINATOR, 'unloaded')
    this.#log = undefined
    this.#deferred = []
  }

  /** 0 when active, else the error for whoever asks. */
  get refusal(): number {
    if (this.#phase === 'active') return NONE
    return this.#phase === 'loading' ? COORDINATOR_LOAD_IN_PROGRESS : NOT_COORDINATOR
  }

  /** Decides now, answers when the records are replicated; at once when there are none. */
  perform<T>(decide: (state: S) => Decision<T, R>, refuse: (error: number) => T): Promise<T> | T {
    if (this.#phase !== 'active') return refuse(this.refusal)
    const decision = decide(this.#state!)
    if (decision.records.length === 0) return decision.response
    return new Promise((resolve) => {
      this.#write(decision, (error) => resolve(error === NONE ? decision.response : refuse(error)))
    })
  }

  /** As `perform`, for what is answered in another way; `refuse` is called when it is not done. */
  change(decide: (state: S) => Change<R>, refuse: (error: number) => void): void {
    if (this.#phase === 'active') this.apply(decide(this.#state!))
    else refuse(this.refusal)
  }

  /** The answer holds for ever: it waits until all that it may show is replicated. */
  read<T>(look: (state: S) => T, refuse: (error: number) => T): Promise<T> | T {
    if (this.#phase !== 'active') return refuse(this.refusal)
    if (!this.#log!.holdsLease) return refuse(NOT_COORDINATOR)
    const response = look(this.#state!)
    const last = this.#gathered ?? this.#inFlight.at(-1)
    if (last === undefined) return response
    if (last.deadlineMs <= this.#parts.clock.monotonicMs()) return refuse(COORDINATOR_NOT_AVAILABLE)
    return new Promise((resolve) => {
      last.waiting.push({ settle: (error) => resolve(error === NONE ? response : refuse(error)) })
    })
  }

  apply(change: Change<R> | undefined): void {
    if (change === undefined || change.records.length === 0) return
    assert(this.#phase === 'active', 'only an active coordinator changes')
    this.#write(change, () => {})
  }

  /** Now, or as soon as the shard has loaded; not at all when it is led elsewhere. */
  defer(decide: (state: S) => Change<R>): void {
    if (this.#phase === 'active') this.apply(decide(this.#state!))
    else if (this.#phase === 'loading') this.#deferred.push(decide)
  }

  #write<T>(decision: Decision<T, R>, done: (error: number) => void): void {
    const log = this.#log
    assert(log !== undefined && decision.records.length > 0, 'there is something to write')
    const encoded = decision.records.map((record) => this.#parts.codec.encode(record))
    const refusal = log.refusal() === NONE ? sizeError(decision, encoded, log) : log.refusal()
    if (refusal !== NONE) {
      const error = coordinatorError(refusal)
      this.#parts.probe.appendsFailed++
      this.apply(decision.settled?.(error))
      done(error)
      return
    }
    const isReplayed = decision.isReplayed !== false
    const nowMs = this.#parts.clock.nowMs()
    const term = this.#term
    if (isAtomic(decision)) this.#makeRoom(sum(encoded), log)
    for (let i = 0; i < encoded.length; i++) {
      this.#makeRoom(sizeOf(encoded[i]!), log)
      // A full batch was appended, and refused: the state is gone, and with it this decision.
      if (this.#term !== term) {
        done(NOT_COORDINATOR)
        return
      }
      this.#gather(encoded[i]!, nowMs, isReplayed)
      if (isReplayed) this.#state!.replay(decision.records[i]!)
    }
    this.#gathered!.waiting.push({
      settle: (error) => {
        if (this.#term === term) this.apply(decision.settled?.(error))
        done(error)
      },
    })
  }

  #gather(record: RecordBytes, nowMs: number, isReplayed: boolean): void {
    assert(this.#phase === 'active', 'only an active coordinator writes')
    if (this.#gathered === undefined) {
      const deadlineMs = this.#parts.clock.monotonicMs() + this.#parts.appendTimeoutMs
      this.#gathered = { waiting: [], deadlineMs, hasReplayed: false, records: 0, bytes: 0 }
      this.#parts.turn.stores(this)
    }
    this.#records.push({ timestampMs: nowMs, key: record.key, value: record.value })
    this.#gathered.bytes += sizeOf(record)
    this.#gathered.records++
    if (isReplayed) this.#gathered.hasReplayed = true
  }

  /** Appends what is gathered when `bytes` more would not fit into the batch. */
  #makeRoom(bytes: number, log: CoordinatorLog): void {
    const gathered = this.#gathered
    if (gathered === undefined) return
    const isFull = BATCH_HEADER_BYTES + gathered.bytes + bytes > log.maxBatchBytes
    if (isFull || this.#parts.maybe?.('coordinator.batch') === true) this.#append(log)
  }

  /** The end of the turn. */
  flush(): void {
    if (this.#gathered !== undefined) this.#append(this.#log!)
  }

  #append(log: CoordinatorLog): void {
    const batch = this.#gathered!
    assert(this.#records.length === batch.records, 'the batch has what was gathered')
    const encoded = encodeBatch(this.#records)
    assert(encoded.length <= log.maxBatchBytes, 'a batch is within its limit')
    this.#gathered = undefined
    this.#records = []
    const { error, lastOffset } = log.append(encoded)
    this.#inFlight.push(batch)
    if (error !== NONE) {
      this.#lose(batch, error)
      return
    }
    assert(lastOffset + 1 === log.logEndOffset, 'nobody else appends')
    const { probe } = this.#parts
    probe.batchesAppended++
    probe.recordsAppended += batch.records
    this.#await(batch, lastOffset, log)
  }

  #await(batch: Batch, lastOffset: number, log: CoordinatorLog): void {
    const term = this.#term
    if (!this.#overdue.isSet) this.#timers.set(this.#overdue, this.#parts.appendTimeoutMs)
    log.whenReplicated(lastOffset, (error) => {
      if (this.#term !== term) return
      if (error !== NONE) {
        this.#lose(batch, error)
        return
      }
      this.#reloadMs = RELOAD_FIRST_MS
      // Callbacks come in order, but a batch that was refused may have left in between.
      assert(this.#inFlight[0] === batch, 'batches are replicated in order')
      this.#inFlight.shift()
      for (const waiting of batch.waiting.splice(0)) waiting.settle(NONE)
    })
  }

  #expire(): void {
    const nowMs = this.#parts.clock.monotonicMs()
    for (const batch of this.#inFlight) {
      if (batch.deadlineMs > nowMs) {
        this.#timers.set(this.#overdue, batch.deadlineMs - nowMs)
        return
      }
      const error = coordinatorError(REQUEST_TIMED_OUT)
      for (const waiting of batch.waiting.splice(0)) waiting.settle(error)
    }
  }

  /** Records are gone that the state may have: begin again from the log. */
  #lose(batch: Batch, error: number): void {
    const { probe, logger } = this.#parts
    probe.appendsFailed++
    logger.warn('A coordinator lost records before they were replicated.', {
      partition: this.partition,
      error,
    })
    const isLed = error !== NOT_LEADER_OR_FOLLOWER
    const at = this.#inFlight.indexOf(batch)
    assert(at >= 0, 'a batch is lost once')
    if (isLed && !batch.hasReplayed && at === this.#inFlight.length - 1) {
      this.#inFlight.pop()
      for (const waiting of batch.waiting.splice(0)) waiting.settle(coordinatorError(error))
      return
    }
    this.#drop(coordinatorError(error), isLed ? 'loading' : 'unloaded')
    if (isLed) this.#reload()
  }

  /** Ends the term: all that waits is answered, the state is forgotten. */
  #drop(error: number, phase: 'unloaded' | 'loading'): void {
    this.#term++
    this.#phase = phase
    const lost = [...this.#inFlight.splice(0), this.#gathered]
    this.#gathered = undefined
    this.#records = []
    for (const batch of lost) for (const waiting of batch?.waiting ?? []) waiting.settle(error)
    this.#timers.close()
    this.#timers = new Timers(this.#parts.clock)
    this.#overdue = new Deadline(() => this.#expire())
    const state = this.#state
    this.#state = undefined
    state?.deactivate(NOT_COORDINATOR)
  }

  /** Not at once: while a disk is full, each commit would load the whole log. */
  #reload(): void {
    const delayMs = this.#reloadMs
    this.#reloadMs = Math.min(2 * delayMs, RELOAD_MAX_MS)
    this.#timers.set(new Deadline(() => this.#startLoad()), delayMs)
  }

  #startLoad(): void {
    assert(this.#state === undefined && this.#inFlight.length === 0, 'a load begins from nothing')
    this.#phase = 'loading'
    this.#state = this.#parts.makeState(this)
    const term = ++this.#term
    const log = this.#log!
    const startedMs = this.#parts.clock.monotonicMs()
    loadLog({
      log,
      clock: this.#parts.clock,
      isWanted: () => this.#term === term,
      replay: (key, value) => this.#replay(key, value),
    }).then(
      (records) => {
        if (this.#term === term) this.#awaitEnd(records, startedMs)
      },
      (error: unknown) => {
        if (this.#term === term) this.#failLoad(error)
      },
    )
  }

  #replay(key: Buffer, value: Buffer | null): void {
    let record: R | undefined
    try {
      record = this.#parts.codec.decode(key, value)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#parts.logger.error('A coordinator record can not be read and is left out.', {
        partition: this.partition,
        error: error.message,
      })
    }
    if (record === undefined) this.#parts.probe.recordsSkipped++
    else this.#state!.replay(record)
  }

  /** The end of the log may be above the watermark: nobody is to see what may still be lost. */
  #awaitEnd(records: number, startedMs: number): void {
    const log = this.#log!
    const term = this.#term
    if (log.logEndOffset === log.logStartOffset) {
      this.#activate(records, startedMs)
      return
    }
    log.whenReplicated(log.logEndOffset - 1, (error) => {
      if (this.#term !== term) return
      if (error === NONE) this.#activate(records, startedMs)
      else this.#failLoad(new LoadError(`its end was not replicated (error ${error})`))
    })
  }

  #activate(records: number, startedMs: number): void {
    const { probe, clock, logger } = this.#parts
    const seconds = (clock.monotonicMs() - startedMs) / 1000
    assert(this.#phase === 'loading' && this.#state !== undefined, 'it has loaded')
    this.#phase = 'active'
    probe.loads++
    probe.recordsLoaded += records
    probe.loadSeconds.observe(seconds)
    logger.debug('A coordinator is loaded.', { partition: this.partition, records, seconds })
    this.#state.activate()
    for (const decide of this.#deferred.splice(0)) this.defer(decide)
  }

  #failLoad(error: unknown): void {
    if (!(error instanceof LoadError)) throw error
    this.#parts.probe.loadsFailed++
    this.#parts.logger.error('A coordinator could not be loaded.', {
      partition: this.partition,
      error: error.message,
    })
    this.#term++
    this.#phase = 'failed'
    this.#state = undefined
    this.#reload()
  }
}

function sizeOf(record: RecordBytes): number {
  return RECORD_OVERHEAD_BYTES + record.key.length + (record.value?.length ?? 0)
}

function sum(records: readonly RecordBytes[]): number {
  return records.reduce((bytes, record) => bytes + sizeOf(record), 0)
}

function sizeError<R>(
  decision: Decision<unknown, R>,
  encoded: readonly RecordBytes[],
  log: CoordinatorLog,
): number {
  const limit = log.maxBatchBytes - BATCH_HEADER_BYTES
  if (encoded.some((record) => sizeOf(record) > limit)) return MESSAGE_TOO_LARGE
  return isAtomic(decision) && sum(encoded) > limit ? RECORD_LIST_TOO_LARGE : NONE
}

/** Records that change no state at once are lost or kept together. */
function isAtomic<R>(decision: Decision<unknown, R>): boolean {
  return decision.isAtomic === true || decision.isReplayed === false
}

/** How clients of a coordinator are told of an error of its log. */
export function coordinatorError(error: number): number {
  switch (error) {
    case NOT_LEADER_OR_FOLLOWER:
    case KAFKA_STORAGE_ERROR:
      return NOT_COORDINATOR
    case NOT_ENOUGH_REPLICAS:
    case REQUEST_TIMED_OUT:
      return COORDINATOR_NOT_AVAILABLE
    case MESSAGE_TOO_LARGE:
    case RECORD_LIST_TOO_LARGE:
      return UNKNOWN_SERVER_ERROR
    default:
      return error
  }
}
