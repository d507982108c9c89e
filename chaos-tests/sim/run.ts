/*
 * The cluster in simulation, one seed after the other:
 *
 *   npm run chaos -- [--seeds N] [--from S] [--hours H] [--seed S] [--plan FILE] [--nodes N]
 *
 * One line for each failure: the seed, the commit, the broken promise. `--seed S` runs one seed
 * twice, compares the hashes, and makes the schedule of a failure smaller. What a failure leaves
 * behind is a folder with its plan, history and logs.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { serialize } from '../checkers/history.ts'
import { FAULT_NAMES, type FaultName, type Plan } from './plan.ts'
import { reportPage } from './report.ts'
import { describePlan, planOfSeed } from './run-seed.ts'
import { shrink } from './shrink.ts'
import { type RunResult, runPlan as runWhole } from './sim-run.ts'
import { missedIn, reachedIn } from './sometimes.ts'

const HOUR_MS = 3_600_000
const DEFAULT_SEEDS = 20
const SEEDS_A_LINE = 50

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    hours: { type: 'string' },
    nodes: { type: 'string' },
    seconds: { type: 'string' },
    faults: { type: 'string' },
    plan: { type: 'string' },
    out: { type: 'string', default: 'dist/chaos' },
    coverage: { type: 'boolean', default: false },
    failures: { type: 'string', default: '20' },
    ignore: { type: 'string', default: '' },
    shrink: { type: 'string', default: '200' },
    verbose: { type: 'boolean', default: false },
  },
})

const print = (line: string) => process.stdout.write(`${line}\n`)

/** Of this process: what a run costs, also on a machine that others use. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** Without the violations that nobody wants to hear of now. */
async function runPlan(plan: Plan): Promise<RunResult> {
  const result = await runWhole(plan)
  const ignored = values.ignore.split(',')
  return {
    ...result,
    violations: result.violations.filter(({ checker }) => !ignored.includes(checker)),
  }
}

function planOf(seed: number): Plan {
  return planOfSeed(seed, {
    ...(values.nodes === undefined ? {} : { nodes: Number(values.nodes) }),
    ...(values.seconds === undefined ? {} : { safetyMs: Number(values.seconds) * 1000 }),
    ...(values.faults === undefined ? {} : { faults: faultNames(values.faults) }),
  })
}

function faultNames(list: string): FaultName[] {
  return list.split(',').map((name) => {
    const found = FAULT_NAMES.find((known) => known === name)
    if (found === undefined)
      throw new Error(`no fault ${name}; there are ${FAULT_NAMES.join(', ')}`)
    return found
  })
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return 'unknown'
  }
}

function report(result: RunResult): void {
  const { plan, violations } = result
  const [first] = violations
  const folder = join(values.out, `seed-${plan.seed}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'plan.json'), `${JSON.stringify(plan, null, 1)}\n`)
  writeFileSync(join(folder, 'history.jsonl'), serialize(result.history))
  for (const [node, log] of result.logs) writeFileSync(join(folder, `${node}.log`), log)
  writeFileSync(
    join(folder, 'violations.txt'),
    violations.map(({ checker, message }) => `${checker}: ${message}\n`).join(''),
  )
  const title = `seed ${plan.seed}: ${describePlan(plan)}`
  const { history } = result
  writeFileSync(join(folder, 'report.html'), reportPage({ title, history, violations }))
  const summary = first?.message.split('\n')[0]?.slice(0, 200)
  print(
    `FAIL seed ${plan.seed} commit ${commit()} ${first?.checker}: ${summary} [${violations.length}, ${folder}]`,
  )
}

/** What a row of seeds has come to. */
class Tally {
  readonly reached = new Set<string>()
  failures = 0
  seeds = 0
  virtualMs = 0
  #events = 0
  #acknowledged = 0
  readonly #startedMs = cpuMs()

  add(result: RunResult): void {
    this.seeds++
    this.virtualMs += result.virtualMs
    this.#events += result.eventCount
    this.#acknowledged += result.acknowledged
    for (const name of reachedIn(result)) this.reached.add(name)
    if (result.violations.length > 0) this.failures++
  }

  line(): string {
    const realMs = cpuMs() - this.#startedMs
    const ratio = (this.virtualMs / realMs).toFixed(0)
    const cost = ((realMs * 1000) / this.#events).toFixed(1)
    return (
      `${this.seeds} seeds, ${this.failures} failures, ` +
      `${(this.virtualMs / HOUR_MS).toFixed(2)} virtual hours, ` +
      `${this.#acknowledged} records acknowledged, ${ratio} x real time on one core, ` +
      `${cost} us an event`
    )
  }
}

async function runSeeds(): Promise<number> {
  const from = Number(values.from)
  const most = (option: string | undefined) =>
    option === undefined ? Number.POSITIVE_INFINITY : Number(option)
  const hours = most(values.hours)
  const seeds = most(values.seeds)
  const count = Number.isFinite(seeds) || Number.isFinite(hours) ? seeds : DEFAULT_SEEDS
  const tally = new Tally()
  while (tally.seeds < count && tally.virtualMs < hours * HOUR_MS) {
    const result = await runPlan(planOf(from + tally.seeds))
    const { plan, traceHash, violations } = result
    tally.add(result)
    if (values.verbose) print(`seed ${plan.seed} ${traceHash} ${describePlan(plan)}`)
    if (violations.length > 0) report(result)
    if (tally.failures >= Number(values.failures)) break
    if (tally.seeds % SEEDS_A_LINE === 0 && tally.seeds < count) print(tally.line())
  }
  print(tally.line())
  const missed = missedIn(tally.reached)
  if (missed.length > 0) print(`not reached: ${missed.join(', ')}`)
  return tally.failures + (values.coverage ? missed.length : 0)
}

async function runOne(plan: Plan): Promise<number> {
  const startedMs = cpuMs()
  const result = await runPlan(plan)
  const ratio = result.virtualMs / (cpuMs() - startedMs)
  const again = await runPlan(plan)
  const isSame = result.traceHash === again.traceHash
  print(
    `seed ${plan.seed} ${result.traceHash} ${describePlan(plan)}, ${result.acknowledged} records ` +
      `acknowledged, ${result.eventCount} events, ${ratio.toFixed(0)} x real time on one core`,
  )
  if (!isSame) print(`FAIL seed ${plan.seed}: the second run is another one: ${again.traceHash}`)
  if (result.violations.length > 0) report(result)
  for (const { checker, message } of result.violations.slice(0, 10)) print(`${checker}: ${message}`)
  if (result.violations.length > 0 && Number(values.shrink) > 0) await makeSmaller(result)
  return result.violations.length + (isSame ? 0 : 1)
}

async function makeSmaller({ plan, violations }: RunResult): Promise<void> {
  const wanted = violations[0]!.checker
  const small = await shrink(plan, {
    runsMax: Number(values.shrink),
    fails: async (smaller) => {
      const found = (await runPlan(smaller)).violations
      return found.some(({ checker }) => checker === wanted)
    },
    progress: (smaller, runs) => {
      if (values.verbose) print(`after ${runs} runs: ${describePlan(smaller)}`)
    },
  })
  const file = join(values.out, `seed-${plan.seed}`, 'small.json')
  writeFileSync(file, `${JSON.stringify(small, null, 1)}\n`)
  print(`smaller: ${describePlan(small)}, ${small.safetyMs} ms; run it with --plan ${file}`)
  for (const { name, target, atMs, forMs } of small.faults) {
    print(`  ${atMs} ms: ${name} of ${target} for ${forMs} ms`)
  }
}

async function main(): Promise<number> {
  if (values.plan !== undefined)
    return runOne(JSON.parse(readFileSync(values.plan, 'utf8')) as Plan)
  if (values.seed !== undefined) return runOne(planOf(Number(values.seed)))
  return runSeeds()
}

process.exitCode = (await main()) === 0 ? 0 : 1
