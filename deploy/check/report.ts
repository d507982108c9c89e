/**
 * What a run of checks says: a line for each, and `N passed, N failed, N skipped` at the end. A check
 * that lacks a tool is skipped with the reason; one that fails does not keep the others from running.
 */
/** Thrown by a check that can't be made here; the message says what is missing. */
export class Skip extends Error {}

export class Report {
  #passed = 0
  #failed = 0
  #skipped = 0

  /** Runs one check; its result, if it is a text, is printed beside it. False: failed or skipped. */
  async check(title: string, work: () => Promise<string | undefined>): Promise<boolean> {
    const startedMs = performance.now()
    try {
      const detail = await work()
      this.#passed++
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
      print(`ok    ${title} (${seconds} s${detail === undefined ? '' : `; ${detail}`})`)
      return true
    } catch (error) {
      if (error instanceof Skip) this.skip(title, error.message)
      else {
        this.#failed++
        print(`FAIL  ${title}: ${error instanceof Error ? error.message : String(error)}`)
      }
      return false
    }
  }

  skip(title: string, reason: string): void {
    this.#skipped++
    print(`skip  ${title}: ${reason}`)
  }

  /** The exit code. */
  end(): number {
    print(`${this.#passed} passed, ${this.#failed} failed, ${this.#skipped} skipped`)
    return this.#failed === 0 ? 0 : 1
  }
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
