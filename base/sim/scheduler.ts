/**
 * The event loop of a simulation: events in the order of (virtual time, sequence), and between two
 * events all promise code runs to its end. Virtual time is whole microseconds.
 *
 * Invariant: what runs, and in which order, depends on the seed alone. The trace hash folds each
 * event and each note, so two runs of one seed that differ anywhere differ in their hash.
 */
import { assert } from '../assert.ts'
import { hashText } from './random.ts'

/** How many events run before the real event loop gets a turn (test timeouts, rejections). */
const EVENTS_BETWEEN_REAL_TURNS = 512

export interface SimEvent {
  readonly atUs: number
  cancel(): void
}

class ScheduledEvent implements SimEvent {
  readonly atUs: number
  readonly sequence: number
  readonly label: string
  run: (() => void) | undefined
  constructor(atUs: number, sequence: number, label: string, run: () => void) {
    this.atUs = atUs
    this.sequence = sequence
    this.label = label
    this.run = run
  }
  cancel(): void {
    this.run = undefined
  }
}

export class Scheduler {
  /** Microseconds since the start of the simulation. */
  nowUs = 0
  /** Events that have run. */
  eventCount = 0
  readonly #heap: ScheduledEvent[] = []
  readonly #labels = new Map<string, number>()
  #sequence = 0
  #hashA = 0x811c9dc5 | 0
  #hashB = 0x01234567 | 0
  #isRunning = false

  get nowMs(): number {
    return this.nowUs / 1000
  }

  /** When something is due next; Infinity when nothing is. */
  get nextAtMs(): number {
    const event = this.#heap[0]
    return event === undefined ? Number.POSITIVE_INFINITY : event.atUs / 1000
  }

  /**
   * `run` is called at `atUs` (now at the earliest), after all that was scheduled for then before.
   */
  at(atUs: number, label: string, run: () => void): SimEvent {
    assert(Number.isSafeInteger(atUs), 'virtual time is whole microseconds')
    const event = new ScheduledEvent(Math.max(atUs, this.nowUs), this.#sequence++, label, run)
    this.#push(event)
    return event
  }

  after(delayUs: number, label: string, run: () => void): SimEvent {
    return this.at(this.nowUs + Math.max(0, Math.ceil(delayUs)), label, run)
  }

  /** Folds something that happened outside an event of its own into the trace hash. */
  note(label: string, value: number): void {
    this.#fold(this.#labelHash(label))
    this.#fold(value | 0)
  }

  /** Identifies everything that happened so far. */
  traceHash(): string {
    return hex(this.#hashA) + hex(this.#hashB)
  }

  /** Runs all events up to the virtual time `untilMs` since the start, and lets time pass to it. */
  async run(untilMs: number): Promise<void> {
    const untilUs = Math.ceil(untilMs * 1000)
    await this.#loop(untilUs, () => false)
    // What came in from outside meanwhile is due earlier, and comes first.
    const nextUs = this.#heap[0]?.atUs ?? untilUs
    this.nowUs = Math.max(this.nowUs, Math.min(untilUs, nextUs))
  }

  async runFor(durationMs: number): Promise<void> {
    await this.run(this.nowMs + durationMs)
  }

  /** Runs until `condition` holds; throws when it doesn't within `limitMs` of virtual time. */
  async runUntil(condition: () => boolean, limitMs: number): Promise<void> {
    if (await this.#loop(this.nowUs + Math.ceil(limitMs * 1000), condition)) return
    throw new Error(
      this.#heap.length === 0
        ? `no event is left at ${this.nowMs} ms, and the condition does not hold: ${condition}`
        : `not within ${limitMs} virtual ms: ${condition}`,
    )
  }

  /** Runs until `promise` settles, and returns or throws what it does. */
  async complete<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let isSettled = false
    promise.then(
      () => {
        isSettled = true
      },
      () => {
        isSettled = true
      },
    )
    await this.runUntil(() => isSettled, limitMs)
    return promise
  }

  /** True when the condition came true. Time never passes `untilUs`. */
  async #loop(untilUs: number, condition: () => boolean): Promise<boolean> {
    assert(!this.#isRunning, 'one run at a time')
    this.#isRunning = true
    try {
      await realTurn()
      let sinceRealTurn = 0
      while (!condition()) {
        const event = this.#heap[0]
        if (event === undefined || event.atUs > untilUs) return false
        this.#pop()
        const { run } = event
        if (run === undefined) continue
        event.run = undefined
        this.#begin(event)
        run()
        if (++sinceRealTurn < EVENTS_BETWEEN_REAL_TURNS) await microtasksDone()
        else {
          sinceRealTurn = 0
          await realTurn()
        }
      }
      return true
    } finally {
      this.#isRunning = false
      await realTurn() // promises that were rejected and not handled come to light here
    }
  }

  #begin(event: ScheduledEvent): void {
    assert(event.atUs >= this.nowUs, 'time goes forward')
    this.nowUs = event.atUs
    this.eventCount++
    this.#fold(event.atUs | 0)
    this.#fold(this.#labelHash(event.label))
  }

  #labelHash(label: string): number {
    let hash = this.#labels.get(label)
    if (hash === undefined) {
      hash = hashText(label, 0)
      this.#labels.set(label, hash)
    }
    return hash
  }

  #fold(value: number): void {
    this.#hashA = Math.imul(this.#hashA ^ value, 0x01000193)
    this.#hashB = (Math.imul(this.#hashB, 0x9e3779b1) + (value ^ (this.#hashA >>> 15))) | 0
  }

  #push(event: ScheduledEvent): void {
    const heap = this.#heap
    let index = heap.length
    heap.push(event)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (isBefore(heap[parent]!, event)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    const { length } = heap
    if (length === 0) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= length) break
      if (child + 1 < length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (isBefore(last, heap[child]!)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
  }
}

function isBefore(a: ScheduledEvent, b: ScheduledEvent): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.sequence < b.sequence)
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}

/** A tick that is queued from promise code runs when no promise code is left: the cheapest hop. */
function microtasksDone(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}

function realTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
