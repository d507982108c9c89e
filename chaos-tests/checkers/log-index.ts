/** What a history says about each partition's log, gathered once for the checkers of records. */
import { entriesOf, type History, type Poll, type Send } from './history.ts'

export const FINAL_SESSION = 'final'

export interface Sighting {
  readonly offset: number
  readonly value: string
  /** 'sent by p1' or 'read by c2', for messages. */
  readonly by: string
}

export class PartitionIndex {
  readonly name: string
  readonly sends: Send[] = []
  readonly polls: Poll[] = []
  /** The reading of the whole partition after everything, when there was one. */
  final: Poll | undefined
  readonly finalAt = new Map<number, string>()
  /** Values by offset as somebody was told; the first who saw it. */
  readonly seenAt = new Map<number, Sighting>()

  constructor(name: string) {
    this.name = name
  }
}

const indexed = new WeakMap<History, ReadonlyMap<string, PartitionIndex>>()

/** By 'topic-partition', in the order of appearance. The history must be complete. */
export function indexPartitions(history: History): ReadonlyMap<string, PartitionIndex> {
  let partitions = indexed.get(history)
  if (partitions === undefined) {
    partitions = makeIndex(history)
    indexed.set(history, partitions)
  }
  return partitions
}

function makeIndex(history: History): Map<string, PartitionIndex> {
  const partitions = new Map<string, PartitionIndex>()
  const of = (topic: string, partition: number) => {
    const name = `${topic}-${partition}`
    let index = partitions.get(name)
    if (index === undefined) {
      index = new PartitionIndex(name)
      partitions.set(name, index)
    }
    return index
  }
  for (const send of entriesOf(history, 'send')) of(send.topic, send.partition).sends.push(send)
  for (const poll of entriesOf(history, 'poll')) {
    const index = of(poll.topic, poll.partition)
    if (poll.session !== FINAL_SESSION) index.polls.push(poll)
    else {
      index.final = poll
      for (const [offset, value] of poll.records) index.finalAt.set(offset, value)
    }
  }
  for (const index of partitions.values()) {
    for (const sighting of sightings(index)) {
      if (!index.seenAt.has(sighting.offset)) index.seenAt.set(sighting.offset, sighting)
    }
  }
  return partitions
}

/**
 * Each pair of offset and value that somebody was told for good: what only the leader has
 * acknowledged may still be lost, and its offset given again.
 */
export function* sightings(index: PartitionIndex): Generator<Sighting> {
  for (const send of index.sends) {
    const { values, offset, producer } = send
    if (offset === undefined || !isAcknowledgedByAll(send)) continue
    for (let i = 0; i < values.length; i++) {
      yield { offset: offset + i, value: values[i]!, by: `sent by ${producer}` }
    }
  }
  const polls = index.final === undefined ? index.polls : [...index.polls, index.final]
  for (const { records, session } of polls) {
    for (const [offset, value] of records) yield { offset, value, by: `read by ${session}` }
  }
}

export const isAcknowledgedByAll = (send: Send): boolean =>
  send.outcome === 'ok' && send.acks === -1
