/**
 * The reporter of the tests: one line per top-level suite while all is well, everything about what
 * failed, and one line at the end that a script can read: `N passed, N failed, N skipped`.
 */

const SLOW_TESTS_SHOWN = 3
const SLOW_TEST_MS = 1000

interface SuiteTally {
  passed: number
  failed: number
  skipped: number
  startedMs: number
}

interface Outcome {
  readonly test: Mocha.Runnable
  readonly error: unknown
}

class MochaReporter {
  readonly #failures: Outcome[] = []
  readonly #skipped: Mocha.Test[] = []
  readonly #slow: Mocha.Test[] = []
  #tally: SuiteTally = { passed: 0, failed: 0, skipped: 0, startedMs: 0 }
  #passed = 0

  constructor(runner: Mocha.Runner) {
    runner.on('suite', (suite) => {
      if (!isTopLevel(suite)) return
      this.#tally = { passed: 0, failed: 0, skipped: 0, startedMs: performance.now() }
    })
    runner.on('pass', (test) => {
      this.#passed++
      this.#tally.passed++
      if ((test.duration ?? 0) >= SLOW_TEST_MS) this.#slow.push(test)
    })
    runner.on('fail', (test, error: unknown) => {
      this.#tally.failed++
      this.#failures.push({ test, error })
    })
    runner.on('pending', (test) => {
      this.#tally.skipped++
      this.#skipped.push(test)
    })
    runner.on('suite end', (suite) => {
      if (isTopLevel(suite)) this.#suiteEnded(suite)
    })
    runner.on('end', () => this.#ended())
  }

  #suiteEnded(suite: Mocha.Suite): void {
    const { passed, failed, skipped, startedMs } = this.#tally
    const tookMs = Math.round(performance.now() - startedMs)
    let line = `${failed > 0 ? 'FAIL' : '  ok'}  ${suite.title}  ${passed}`
    if (failed > 0) line += `, ${failed} failed`
    if (skipped > 0) line += `, ${skipped} skipped`
    print(`${line}  ${tookMs} ms`)
  }

  #ended(): void {
    const slowest = this.#slow.sort((a, b) => (b.duration ?? 0) - (a.duration ?? 0))
    for (const test of slowest.slice(0, SLOW_TESTS_SHOWN)) {
      print(`slow: ${test.duration} ms  ${path(test)}`)
    }
    for (const test of this.#skipped) {
      print(`skipped: ${path(test)}: ${reasonOf(test) ?? 'no reason given'}`)
    }
    this.#failures.forEach(({ test, error }, index) => {
      print(`\n${index + 1}) ${path(test)}\n${indented(describeError(error))}`)
    })
    const { length: failed } = this.#failures
    print(`\n${this.#passed} passed, ${failed} failed, ${this.#skipped.length} skipped`)
  }
}

const skipReasons = new WeakMap<object, string>()

/** Skips the running test, or in `before` the whole suite, and says why in the report. */
export function skip(context: Mocha.Context, reason: string): never {
  const test: (Mocha.Runnable & { readonly type?: string }) | undefined = context.test
  if (test?.type === 'hook' && test.parent !== undefined) skipReasons.set(test.parent, reason)
  else if (test !== undefined) skipReasons.set(test, reason)
  return context.skip()
}

/** Its own, or that of a suite around it. */
function reasonOf(test: Mocha.Test): string | undefined {
  let reason = skipReasons.get(test)
  for (let suite = test.parent; reason === undefined && suite !== undefined; suite = suite.parent) {
    reason = skipReasons.get(suite)
  }
  return reason
}

function isTopLevel(suite: Mocha.Suite): boolean {
  return suite.parent?.root === true
}

function path(test: Mocha.Runnable): string {
  return test.titlePath().join(' > ')
}

/** The stack of the error and of each of its causes. */
function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const stack = error.stack ?? ''
  const text = stack.includes(error.message) ? stack : `${error.name}: ${error.message}\n${stack}`
  if (error.cause === undefined) return text
  return `${text}\ncause: ${describeError(error.cause)}`
}

function indented(text: string): string {
  return text
    .split('\n')
    .filter((line) => !line.includes('node_modules/mocha/'))
    .map((line) => `   ${line}`)
    .join('\n')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

// biome-ignore lint/style/noDefaultExport: mocha takes the default export of a reporter's module
export default MochaReporter
