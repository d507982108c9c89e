/** Replicas hold the same batches below the watermark that all of them know. */
import { entriesOf, type History, type Replica, type Violation } from './history.ts'

export function divergedReplicas(history: History): Violation[] {
  const violations: Violation[] = []
  const partitions = new Map<string, Replica[]>()
  for (const replica of entriesOf(history, 'replica')) {
    const name = `${replica.topic}-${replica.partition}`
    const row = partitions.get(name)
    if (row === undefined) partitions.set(name, [replica])
    else row.push(replica)
  }
  for (const [name, replicas] of partitions) {
    const [first, ...others] = replicas
    for (const other of others) {
      const start = Math.max(first!.logStartOffset, other.logStartOffset)
      const end = Math.min(first!.highWatermark, other.highWatermark)
      const difference = firstDifference(within(first!, start, end), within(other, start, end))
      if (difference === undefined) continue
      const message = `${name}: nodes ${first!.node} and ${other.node} differ below ${end}: ${difference}`
      violations.push({ checker: 'replica-divergence', message })
    }
  }
  return violations
}

type Batch = Replica['batches'][number]

/** Logs may begin at different offsets; from the later start on they are the same. */
function within(replica: Replica, start: number, end: number): Batch[] {
  return replica.batches.filter(([, lastOffset]) => lastOffset >= start && lastOffset < end)
}

function firstDifference(left: Batch[], right: Batch[]): string | undefined {
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const [one, other] = [left[i], right[i]]
    if (one?.join() !== other?.join()) {
      return `${one?.join('/') ?? 'nothing'} and ${other?.join('/') ?? 'nothing'}`
    }
  }
  return undefined
}
