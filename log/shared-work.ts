/**
 * Work that serves all who ask for it: one run at a time, and one more for everybody who asked
 * while it was under way.
 *
 * Invariant: what `request` returns resolves when a run that began at or after the call has ended.
 */
export class SharedWork {
  readonly #run: () => Promise<void>
  #running: Promise<void> | undefined = undefined
  #next: Promise<void> | undefined = undefined

  constructor(run: () => Promise<void>) {
    this.#run = run
  }

  /** The run that is under way or waits; undefined when there is none. */
  get current(): Promise<void> | undefined {
    return this.#next ?? this.#running
  }

  /** Rejects as the run does. */
  request(): Promise<void> {
    if (this.#next !== undefined) return this.#next
    if (this.#running === undefined) return this.#start()
    const start = () => this.#start()
    this.#next = this.#running.then(start, start)
    return this.#next
  }

  #start(): Promise<void> {
    this.#next = undefined
    this.#running = this.#run().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }
}
