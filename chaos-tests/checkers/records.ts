/**
 * Records: what was acknowledged is there, once, where it was said to be, in order; nothing else
 * is. Names of anomalies as in the analyses of Jepsen.
 */
import type { History, Send, Violation } from './history.ts'
import {
  indexPartitions,
  isAcknowledgedByAll,
  type PartitionIndex,
  sightings,
} from './log-index.ts'

/** Of one kind in one partition; the first few tell the story. */
const SHOWN_MAX = 3

type Rule = (index: PartitionIndex) => Iterable<string>

function checkerOf(checker: string, rule: Rule) {
  return (history: History): Violation[] => {
    const violations: Violation[] = []
    for (const index of indexPartitions(history).values()) {
      let shown = 0
      for (const message of rule(index)) {
        if (shown++ < SHOWN_MAX) violations.push({ checker, message: `${index.name}: ${message}` })
      }
      if (shown > SHOWN_MAX) {
        const message = `${index.name}: and ${shown - SHOWN_MAX} more`
        violations.push({ checker, message })
      }
    }
    return violations
  }
}

/** Two values at one offset. */
export const inconsistentOffsets = checkerOf('inconsistent-offsets', function* (index) {
  for (const { offset, value, by } of sightings(index)) {
    const first = index.seenAt.get(offset)!
    if (first.value !== value) {
      yield `offset ${offset} is ${first.value} (${first.by}) and ${value} (${by})`
    }
  }
})

/** One value at two offsets, by a producer whose retries are recognised. */
export const duplicates = checkerOf('duplicate', function* (index) {
  const idempotent = new Set<string>()
  for (const send of index.sends) {
    if (send.isIdempotent) for (const value of send.values) idempotent.add(value)
  }
  const offsets = new Map<string, number>()
  for (const [offset, { value }] of index.seenAt) {
    const other = offsets.get(value)
    if (other !== undefined && idempotent.has(value)) {
      yield `${value} is at offsets ${other} and ${offset}`
    }
    offsets.set(value, offset)
  }
})

/** Acknowledged by all, passed over by the final reading. */
export const lostWrites = checkerOf('lost-write', function* (index) {
  if (index.final === undefined) return
  const { fromOffset, toOffset } = index.final
  for (const send of index.sends) {
    if (!isAcknowledgedByAll(send) || send.offset === undefined) continue
    for (const [i, value] of send.values.entries()) {
      const offset = send.offset + i
      if (offset < fromOffset || offset >= toOffset || index.finalAt.has(offset)) continue
      yield `${value} was acknowledged at ${offset} (${at(send)}) and is gone`
    }
  }
})

/** Acknowledged by all, and the log ends before it. Where it begins: see `lostStarts`. */
export const unseenWrites = checkerOf('unseen', function* (index) {
  if (index.final === undefined) return
  const { fromOffset, toOffset } = index.final
  for (const send of index.sends) {
    if (!isAcknowledgedByAll(send) || send.offset === undefined) continue
    for (const [i, value] of send.values.entries()) {
      const offset = send.offset + i
      if (offset < toOffset) continue
      yield `${value} was acknowledged at ${offset} (${at(send)}); the log is ${fromOffset} to ${toOffset}`
    }
  }
})

/** Read once, and not there in the end: it was shown before it was safe. */
export const vanishedReads = checkerOf('vanished-read', function* (index) {
  if (index.final === undefined) return
  for (const { records, session, endMs } of index.polls) {
    for (const [offset, value] of records) {
      if (index.finalAt.has(offset) || offset < index.final.fromOffset) continue
      yield `${value} was read at ${offset} by ${session} (${endMs} ms) and is gone`
    }
  }
})

/** A value that nobody wrote to this partition, or that was refused; a damaged one too. */
export const unwrittenReads = checkerOf('unwritten-read', function* (index) {
  const senders = new Map<string, Send>()
  for (const send of index.sends) for (const value of send.values) senders.set(value, send)
  const polls = index.final === undefined ? index.polls : [...index.polls, index.final]
  for (const { records, session } of polls) {
    for (const [offset, value] of records) {
      const sender = senders.get(value)
      if (sender === undefined) yield `nobody wrote ${value}, read at ${offset} by ${session}`
      else if (sender.outcome === 'refused') {
        yield `${value} was refused, and read at ${offset} by ${session}`
      }
    }
  }
})

/** Acknowledged sends of one producer lie in the order in which they were made. */
export const producerOrder = checkerOf('producer-order', function* (index) {
  const last = new Map<string, Send>()
  for (const send of index.sends) {
    if (send.outcome !== 'ok' || send.offset === undefined || !send.isIdempotent) continue
    const before = last.get(send.producer)
    if (before !== undefined && before.offset! >= send.offset) {
      yield `${before.values[0]} was sent before ${send.values[0]}, and is at ${before.offset} behind ${send.offset}`
    }
    last.set(send.producer, send)
  }
})

/** A send that was acknowledged before another began has the lower offset. */
export const realtimeInversions = checkerOf('realtime-inversion', function* (index) {
  const acked = index.sends.filter((send) => isAcknowledgedByAll(send) && send.offset !== undefined)
  const byEnd = acked.toSorted((a, b) => a.endMs! - b.endMs!)
  let highest: Send | undefined
  let ended = 0
  for (const send of acked.toSorted((a, b) => a.startMs - b.startMs)) {
    for (; ended < byEnd.length && byEnd[ended]!.endMs! < send.startMs; ended++) {
      if (highest === undefined || byEnd[ended]!.offset! > highest.offset!) highest = byEnd[ended]
    }
    if (highest !== undefined && highest.offset! > send.offset!) {
      yield `${highest.values[0]} was acknowledged at ${highest.offset} (${at(highest)}) before ${send.values[0]} was sent (${at(send)}), which got ${send.offset}`
    }
  }
})

const at = ({ startMs, endMs }: Send): string =>
  `${startMs.toFixed(1)} to ${endMs?.toFixed(1) ?? '?'} ms`
