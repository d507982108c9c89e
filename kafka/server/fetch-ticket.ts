/** A fetch between its request and its answer: what it asks for and what it waits for. */
import type { DataWaiter, Isolation } from '../broker.ts'
import { EntryList, FetchEntry } from './fetch-entries.ts'
import type { PartitionSink } from './fetch-request.ts'
import type { FetchSession, SessionUser } from './fetch-session.ts'
import type { MemoryWaiter } from './memory.ts'
import { Ticket } from './ticket.ts'

/** Entries that a ticket keeps for its next request. */
const KEPT_ENTRIES_MAX = 64

/** Who answers fetches, as their tickets see it. */
export interface FetchLooker {
  /** Something changed for a fetch that waits. */
  lookAgain(ticket: FetchTicket): void
  onSuperseded(ticket: FetchTicket): void
  /** The connection went. */
  onAbandoned(ticket: FetchTicket): void
  onRecycled(ticket: FetchTicket): void
}

export class FetchTicket
  extends Ticket
  implements DataWaiter, MemoryWaiter, SessionUser, PartitionSink
{
  readonly #handler: FetchLooker
  /** Own entries, when there is no session. */
  readonly own = new EntryList()
  readonly #spare: FetchEntry[] = []
  session: FetchSession | undefined
  /** The session's epoch while this request is its latest. */
  sessionEpoch = 0
  isFull = true
  usesTopicIds = false
  isolation: Isolation = 'uncommitted'
  rack = ''
  refusal = 0
  maxBytes = 0
  minBytes = 0
  waitsUntilMs = 0
  isWaiting = false
  /** In the handler's list of those to look at again. */
  isListed = false
  /** Being answered by reads that take time. */
  isReading = false
  /** No more waiting for data: answer with what there is. */
  isDue = false
  partitionError = 0

  constructor(handler: FetchLooker) {
    super()
    this.#handler = handler
  }

  get isIncremental(): boolean {
    return this.session !== undefined
  }

  get entries(): EntryList {
    return this.session?.entries ?? this.own
  }

  addPartition(
    topicKey: string,
    index: number,
    leaderEpoch: number,
    fetchOffset: number,
    lastFetchedEpoch: number,
    maxBytes: number,
  ): void {
    let entry: FetchEntry
    if (this.session !== undefined) entry = this.session.open(topicKey, index)
    else {
      entry = this.#spare.pop() ?? new FetchEntry()
      entry.reset(topicKey, index)
      this.own.append(entry)
    }
    entry.leaderEpoch = leaderEpoch
    entry.fetchOffset = fetchOffset
    entry.lastFetchedEpoch = lastFetchedEpoch
    entry.maxBytes = maxBytes
  }

  onData(): void {
    this.#handler.lookAgain(this)
  }

  onMemory(): void {
    this.#handler.lookAgain(this)
  }

  override onDeadline(): void {
    this.hurry()
  }

  override hurry(): void {
    this.isDue = true
    this.#handler.lookAgain(this)
  }

  onSuperseded(): void {
    this.#handler.onSuperseded(this)
  }

  override onAbandon(): void {
    this.#handler.onAbandoned(this)
  }

  override onRecycled(): void {
    for (let entry = this.own.first; entry !== undefined; entry = this.own.first) {
      this.own.remove(entry)
      entry.forget()
      if (this.#spare.length < KEPT_ENTRIES_MAX) this.#spare.push(entry)
    }
    this.session = undefined
    this.#handler.onRecycled(this)
  }
}
