/* Prints the checks of the interop suite as they end, then the failures in full and one line of totals. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DriverLine } from './driver.ts'

interface Failure {
  client: string
  check: string
  detail: string
}

export class Report {
  readonly #directory: string
  readonly #failures: Failure[] = []
  #passed = 0
  #skipped = 0

  /** Logs of the run are kept in `directory`. */
  constructor(directory: string) {
    this.#directory = directory
  }

  get failedCount(): number {
    return this.#failures.length
  }

  add(client: string, line: DriverLine): void {
    const name = line.check ?? ''
    if (line.skip !== undefined) {
      this.skip(client, name, line.skip)
    } else if (line.ok === true) {
      this.#passed++
      const detail = line.detail ? `: ${line.detail.split('\n')[0]!.slice(0, 80)}` : ''
      print(`ok   ${client}: ${name} (${line.ms ?? 0} ms)${detail}`)
    } else {
      this.#failures.push({ client, check: name, detail: line.detail ?? '' })
      print(`FAIL ${client}: ${name} (${line.ms ?? 0} ms)`)
    }
  }

  fail(client: string, check: string, detail: string): void {
    this.add(client, { check, ok: false, ms: 0, detail })
  }

  skip(client: string, check: string, reason: string): void {
    this.#skipped++
    print(`skip ${client}: ${check}, skipped: ${reason}`)
  }

  /** The failures in full and the totals, which are the last line. */
  finish(): void {
    for (const { client, check, detail } of this.#failures) {
      print(`\nFAIL ${client}: ${check}\n${detail.trimEnd()}`)
    }
    if (this.#failures.length > 0) {
      const text = this.#failures.map((f) => `${f.client}: ${f.check}\n${f.detail}\n`).join('\n')
      writeFileSync(join(this.#directory, 'failures.txt'), text)
      print(`\nlogs are kept in ${this.#directory}`)
    }
    print(`${this.#passed} passed, ${this.#failures.length} failed, ${this.#skipped} skipped`)
  }
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
