/**
 * Many deadlines, one timer: a heap of entries, of which the earliest holds the clock's timer. To
 * push a deadline back, as each heartbeat does, costs one field: the entry keeps its place in the
 * heap until it comes up, and is then put where it belongs.
 *
 * Invariant: no entry lies in the heap behind its deadline, so none runs late because of its place.
 */
import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/clock.ts'

/** Deadlines of a second and more are rounded up to this, so that many run in one go. */
const GRAIN_MS = 50
const COARSE_FROM_MS = 1000
const UNSET = -1

/** Made once per member or group, set and cancelled at will. Belongs to one Timers. */
export class Deadline {
  readonly run: () => void
  /** Monotonic; when `run` is due. */
  atMs = UNSET
  /** Where it lies in the heap, and by which time it was put there. Only Timers writes them. */
  place = UNSET
  placedMs = 0

  constructor(run: () => void) {
    this.run = run
  }

  get isSet(): boolean {
    return this.atMs !== UNSET
  }
}

export class Timers {
  readonly #clock: Clock
  readonly #heap: Deadline[] = []
  #timer: Timer | undefined
  #timerMs = 0
  #isClosed = false
  #isRunning = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Entries that wait. */
  get size(): number {
    return this.#heap.length
  }

  /** Runs `deadline.run` once, `delayMs` from now; an earlier setting is void. */
  set(deadline: Deadline, delayMs: number): void {
    assert(delayMs >= 0, 'a delay is not negative')
    if (this.#isClosed) return
    let atMs = this.#clock.monotonicMs() + delayMs
    if (delayMs >= COARSE_FROM_MS) atMs = Math.ceil(atMs / GRAIN_MS) * GRAIN_MS
    assert(Number.isFinite(atMs), 'a deadline is a time')
    deadline.atMs = atMs
    if (deadline.place === UNSET) {
      deadline.placedMs = atMs
      this.#heap.push(deadline)
      this.#up(this.#heap.length - 1)
    } else if (atMs < deadline.placedMs) {
      deadline.placedMs = atMs
      this.#up(deadline.place)
    }
    this.#arm()
  }

  cancel(deadline: Deadline): void {
    deadline.atMs = UNSET
    if (deadline.place !== UNSET) this.#remove(deadline)
  }

  /** No entry runs from now on, none can be set. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#timer = undefined
    for (const deadline of this.#heap) {
      deadline.atMs = UNSET
      deadline.place = UNSET
    }
    this.#heap.length = 0
  }

  #arm(): void {
    if (this.#isRunning || this.#isClosed) return
    const first = this.#heap[0]
    if (first === undefined) return
    if (this.#timer !== undefined) {
      if (this.#timerMs <= first.placedMs) return
      this.#timer.cancel()
    }
    this.#timerMs = first.placedMs
    const delayMs = Math.max(0, first.placedMs - this.#clock.monotonicMs())
    this.#timer = this.#clock.after(delayMs, () => this.#fire())
  }

  #fire(): void {
    this.#timer = undefined
    this.#isRunning = true
    const nowMs = this.#clock.monotonicMs()
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.placedMs > nowMs) break
      if (first.atMs > nowMs) {
        first.placedMs = first.atMs
        this.#down(0)
        continue
      }
      assert(first.isSet, 'what is in the heap waits')
      this.#remove(first)
      first.atMs = UNSET
      first.run()
    }
    this.#isRunning = false
    this.#arm()
  }

  #remove(deadline: Deadline): void {
    const at = deadline.place
    assert(this.#heap[at] === deadline, 'an entry lies where it says')
    assert(deadline.placedMs <= deadline.atMs || !deadline.isSet, 'none lies behind its deadline')
    const last = this.#heap.pop()!
    deadline.place = UNSET
    if (last === deadline) return
    this.#heap[at] = last
    last.place = at
    this.#up(at)
    this.#down(last.place)
  }

  #up(from: number): void {
    const heap = this.#heap
    const moved = heap[from]!
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent]!.placedMs <= moved.placedMs) break
      heap[at] = heap[parent]!
      heap[at]!.place = at
      at = parent
    }
    heap[at] = moved
    moved.place = at
  }

  #down(from: number): void {
    const heap = this.#heap
    const moved = heap[from]!
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]!.placedMs < heap[child]!.placedMs) child++
      if (heap[child]!.placedMs >= moved.placedMs) break
      heap[at] = heap[child]!
      heap[at]!.place = at
      at = child
    }
    heap[at] = moved
    moved.place = at
  }
}
