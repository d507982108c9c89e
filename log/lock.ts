/**
 * One operation on the files of a log at a time; the others wait for it.
 *
 * Invariant: when `settled` resolves, no operation is under way.
 */
export class Lock {
  #busy: Promise<void> | undefined = undefined

  get isBusy(): boolean {
    return this.#busy !== undefined
  }

  async run<T>(operation: () => Promise<T>): Promise<T> {
    // No await between the last look and the start, or two who waited would start together.
    while (this.#busy !== undefined) await this.#busy
    const running = operation()
    this.#busy = running.then(
      () => {},
      () => {},
    )
    try {
      return await running
    } finally {
      this.#busy = undefined
    }
  }

  async settled(): Promise<void> {
    while (this.#busy !== undefined) await this.#busy
  }
}
