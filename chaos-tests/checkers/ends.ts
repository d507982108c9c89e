/** The ends of partitions: never behind what was acknowledged, never back. */
import { entriesOf, type History, type Latest, type Violation } from './history.ts'
import { indexPartitions, isAcknowledgedByAll } from './log-index.ts'

/** An end that was asked for after an acknowledgement lies behind its records. */
export function staleLatest(history: History): Violation[] {
  const violations: Violation[] = []
  const partitions = indexPartitions(history)
  for (const [name, answers] of byPartition(history)) {
    const acked = (partitions.get(name)?.sends ?? [])
      .filter((send) => isAcknowledgedByAll(send) && send.offset !== undefined)
      .sort((a, b) => a.endMs! - b.endMs!)
    let highest = -1
    let ended = 0
    for (const answer of answers.toSorted((a, b) => a.startMs - b.startMs)) {
      for (; ended < acked.length && acked[ended]!.endMs! < answer.startMs; ended++) {
        highest = Math.max(highest, acked[ended]!.offset! + acked[ended]!.values.length - 1)
      }
      if (answer.offset > highest) continue
      const message = `${name}: ${answer.client} was told the end ${answer.offset} at ${answer.endMs} ms, after offset ${highest} was acknowledged`
      violations.push({ checker: 'stale-latest', message })
    }
  }
  return violations
}

/** One client that asks again is not told a lower end. */
export function endsThatGoBack(history: History): Violation[] {
  const violations: Violation[] = []
  for (const [name, answers] of byPartition(history)) {
    const last = new Map<string, Latest>()
    for (const answer of answers) {
      const before = last.get(answer.client)
      if (
        before !== undefined &&
        before.endMs! <= answer.startMs &&
        before.offset > answer.offset
      ) {
        const message = `${name}: ${answer.client} was told ${before.offset} at ${before.endMs} ms and ${answer.offset} at ${answer.endMs} ms`
        violations.push({ checker: 'end-goes-back', message })
      }
      last.set(answer.client, answer)
    }
  }
  return violations
}

/** The high watermark of one replica in one life of its process does not go back. */
export function watermarksThatGoBack(history: History): Violation[] {
  const violations: Violation[] = []
  const last = new Map<string, number>()
  for (const { scope, node, boot, offset, atMs } of entriesOf(history, 'watermark')) {
    const key = `${scope} on node ${node}, start ${boot}`
    const before = last.get(key)
    if (before !== undefined && before > offset) {
      const message = `${key}: ${before}, then ${offset} at ${atMs} ms`
      violations.push({ checker: 'watermark-goes-back', message })
    }
    last.set(key, offset)
  }
  return violations
}

function byPartition(history: History): Map<string, Latest[]> {
  const partitions = new Map<string, Latest[]>()
  for (const latest of entriesOf(history, 'latest')) {
    const name = `${latest.topic}-${latest.partition}`
    const row = partitions.get(name)
    if (row === undefined) partitions.set(name, [latest])
    else row.push(latest)
  }
  return partitions
}
