/**
 * Metadata is linearizable: for each topic there is one order of all changes and readings that
 * agrees with real time and with every answer. Found by a search (Wing and Gong, with the memory of
 * Lowe): try what may come next, remember where that led, go back.
 */
import { type Admin, entriesOf, type History, type Violation } from './history.ts'

/** Beyond this many steps a topic counts as not decided; said, never passed over. */
const STEPS_MAX = 200_000

/** Partitions of the topic; 0: it is not there. */
type State = number

export function metadataOrder(history: History): Violation[] {
  const violations: Violation[] = []
  const topics = new Map<string, Admin[]>()
  for (const entry of entriesOf(history, 'admin')) {
    if (entry.action === 'configure') continue
    const row = topics.get(entry.topic)
    if (row === undefined) topics.set(entry.topic, [entry])
    else row.push(entry)
  }
  for (const [topic, entries] of topics) {
    const message = new Search(entries).complaint()
    if (message === undefined) continue
    violations.push({ checker: 'metadata-not-linear', message: `topic ${topic}: ${message}` })
  }
  return violations
}

class Search {
  /** Answered ones in the order of their start; those without effect are left out. */
  readonly #entries: readonly Admin[]
  readonly #seen = new Set<string>()
  #steps = 0
  #furthest = 0

  constructor(entries: readonly Admin[]) {
    this.#entries = entries
      .filter(({ action, outcome }) => action !== 'read' || outcome === 'ok')
      .map((entry) => ({ ...entry, startMs: entry.startMs - (entry.staleMs ?? 0) }))
      .sort((a, b) => a.startMs - b.startMs)
  }

  complaint(): string | undefined {
    const isFound = this.#search(new Set(), 0)
    if (this.#steps > STEPS_MAX) return `not decided after ${STEPS_MAX} steps`
    if (isFound) return undefined
    const stuck = this.#entries[this.#furthest]
    return `no order fits the answers, from ${JSON.stringify(stuck)} on`
  }

  /** `placed` holds the indexes of those that came before. */
  #search(placed: ReadonlySet<number>, state: State): boolean {
    if (++this.#steps > STEPS_MAX) return false
    const entries = this.#entries
    const done = new Set(placed)
    const view = this.#placeIdle(done, state)
    if (view === undefined) return true
    const { first, limitMs } = view
    this.#furthest = Math.max(this.#furthest, Math.min(first, entries.length - 1))
    const key = `${state}:${[...done].filter((i) => i > first).sort((a, b) => a - b)}:${first}`
    if (this.#seen.has(key)) return false
    this.#seen.add(key)
    for (let i = first; i < entries.length && entries[i]!.startMs <= limitMs; i++) {
      if (done.has(i)) continue
      const next = step(entries[i]!, state)
      // One that is unknown and would change nothing is as good as never placed.
      if (next === undefined || next === state) continue
      if (this.#search(new Set([...done, i]), next)) return true
    }
    return false
  }

  /**
   * Places whatever may come now and leaves the state as it is: it can't be wrong to have it early,
   * since no other answer depends on it. Returns what may be placed next; undefined when all is.
   */
  #placeIdle(done: Set<number>, state: State): { first: number; limitMs: number } | undefined {
    const entries = this.#entries
    for (;;) {
      let first = 0
      while (done.has(first)) first++
      // Whoever ended before another began comes first; an unknown one may come any time, or never.
      const left = entries.flatMap(({ outcome, endMs }, i) =>
        done.has(i) || outcome === 'unknown' ? [] : [endMs!],
      )
      if (left.length === 0) return undefined
      const limitMs = Math.min(...left)
      const count = done.size
      for (let i = first; i < entries.length && entries[i]!.startMs <= limitMs; i++) {
        const entry = entries[i]!
        if (done.has(i) || entry.outcome === 'unknown') continue
        if (step(entry, state) === state) done.add(i)
      }
      if (done.size === count) return { first, limitMs }
    }
  }
}

/** The state after it; undefined when its answer does not fit. */
function step(entry: Admin, state: State): State | undefined {
  const { action, partitions = 0, outcome } = entry
  const isDone = changes(entry, state)
  if (action === 'read') return partitions === state ? state : undefined
  if (outcome === 'refused') return isDone ? undefined : state
  if (outcome === 'ok' && !isDone) return undefined
  if (!isDone) return state
  return action === 'delete' ? 0 : partitions
}

/** Would it be carried out? */
function changes({ action, partitions = 0 }: Admin, state: State): boolean {
  if (action === 'create') return state === 0
  if (action === 'grow') return state > 0 && partitions > state
  return state > 0
}
