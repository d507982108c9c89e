/** The partitions that a fetch asks for, in the order in which they may fill the answer. */
import { assert } from '../../base/assert.ts'
import type { ReadPlan } from '../../log/partition-log.ts'
import type { PartitionPort, TopicPort } from '../broker.ts'

export class FetchEntry {
  /** Name, or id where the request uses ids. */
  topicKey = ''
  index = 0
  fetchOffset = 0
  maxBytes = 0
  /** -1: not given. */
  leaderEpoch = -1
  /** -1: not given (KIP-320). */
  lastFetchedEpoch = -1

  // What the client was told last, in a session.
  toldHighWatermark = -1
  toldLogStartOffset = -1
  /** Of a topic that is asked for by id, once it is known. */
  topicName = ''

  // Of the answer that is being made.
  topic: TopicPort | undefined = undefined
  partition: PartitionPort | undefined = undefined
  error = 0
  /** Bytes of records to put into the answer. */
  wantedBytes = 0
  limitOffset = 0
  divergingEpoch = -1
  divergingEndOffset = -1
  /** KIP-392: the node to ask instead; -1: this one is right. */
  preferredReplica = -1
  /** Made when there is something to read for the first time. */
  plan: ReadPlan | undefined = undefined
  /** Where the fetch waits for data. */
  waitingOn: PartitionPort | undefined = undefined

  previous: FetchEntry | undefined = undefined
  next: FetchEntry | undefined = undefined

  /** As a new one: nothing was told. */
  reset(topicKey: string, index: number): void {
    this.topicKey = topicKey
    this.index = index
    this.toldHighWatermark = -1
    this.toldLogStartOffset = -1
    this.topicName = ''
    this.forget()
  }

  /** Lets go of what belongs to an answer. */
  forget(): void {
    assert(this.waitingOn === undefined, 'waits no more')
    this.topic = undefined
    this.partition = undefined
    if (this.plan !== undefined) this.plan.segment = undefined
  }
}

export class EntryList {
  first: FetchEntry | undefined
  last: FetchEntry | undefined
  size = 0

  append(entry: FetchEntry): void {
    entry.previous = this.last
    entry.next = undefined
    if (this.last === undefined) this.first = entry
    else this.last.next = entry
    this.last = entry
    this.size++
  }

  remove(entry: FetchEntry): void {
    if (entry.previous === undefined) this.first = entry.next
    else entry.previous.next = entry.next
    if (entry.next === undefined) this.last = entry.previous
    else entry.next.previous = entry.previous
    entry.previous = undefined
    entry.next = undefined
    this.size--
    assert(this.size >= 0)
  }

  /** Those that got records give way to the others in the next answer. */
  moveToEnd(entry: FetchEntry): void {
    if (entry === this.last) return
    this.remove(entry)
    this.append(entry)
  }
}
