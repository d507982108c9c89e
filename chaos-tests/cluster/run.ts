/*
 * Real nodes under real faults: a workload of producers, readers and groups, and one fault after the
 * other. At the end everything is read, and the checkers of the simulation look at the history. Each
 * run leaves a folder: what was done, the history, the logs of the nodes, and a page.
 *
 *   npm run chaos:cluster -- --minutes 5 --faults kill,pause,restart [--seed S] [--nodes N]
 *   npm run chaos:cluster -- --preset mixes
 *   npm run chaos:cluster -- --help
 */
import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { checkAll } from '../checkers/all.ts'
import { entriesOf, serialize, type Violation } from '../checkers/history.ts'
import { reportPage } from '../sim/report.ts'
import { ClusterRun, TARGETS } from './cluster-run.ts'
import { CLUSTER_FAULTS, rulesFileOf, TIER_0_NAMES } from './faults.ts'
import { ABILITIES, type Ability, cleanUp, faketimeLibrary, LoopDisk, whyNot } from './machine.ts'
import { clockFileOf } from './machine-faults.ts'
import { ABOUT_PRESETS, PRESETS, runsOf } from './presets.ts'
import type { ServerProcess } from './processes.ts'
import { ABSENCE, lagging } from './progress.ts'
import { playRow } from './rows.ts'
import { ServerGroup } from './server-group.ts'
import type { ClusterFault } from './stage.ts'

const DISK_MEGABYTES = 768
const SHOWN = 20
/** Set in the process that runs in a network namespace of its own. */
const INSIDE = 'CHAOS_NAMESPACE'

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

function help(): void {
  print('usage: npm run chaos:cluster -- [--minutes M] [--count N] [--faults NAME,...|tier0|all]')
  print('  [--seed S] [--nodes N] [--targets leader,follower,controller,coordinator,any]')
  print('  [--groups N] [--stranger] [--out DIRECTORY] [--preset NAME]')
  print('--stranger: kafkajs works beside our own client')
  print('--parallel N: N runs of a preset at a time; --only K: its run K alone\n')
  print('A preset is a row of runs:')
  for (const name of PRESETS) print(`  ${name.padEnd(16)} ${ABOUT_PRESETS[name]}`)
  print('Faults:')
  const reasons = new Map(ABILITIES.map((ability) => [ability, whyNot(ability)]))
  for (const { name, about, needs } of CLUSTER_FAULTS) {
    const reason = needs === undefined ? undefined : reasons.get(needs)
    const tier = needs === undefined ? '' : ` (${needs})`
    print(
      `  ${name.padEnd(16)} ${about}${tier}${reason === undefined ? '' : `: not here: ${reason}`}`,
    )
  }
}

function parseFlags(words: readonly string[]) {
  const { values } = parseArgs({
    args: [...words],
    options: {
      preset: { type: 'string' },
      parallel: { type: 'string' },
      only: { type: 'string' },
      minutes: { type: 'string', default: '1' },
      count: { type: 'string', default: '1000000' },
      faults: { type: 'string', default: 'kill,pause,restart' },
      targets: { type: 'string', default: TARGETS.join(',') },
      nodes: { type: 'string', default: '3' },
      groups: { type: 'string', default: '1' },
      stranger: { type: 'boolean', default: false },
      out: { type: 'string' },
      seed: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const { chosen, skipped } = choose(values.faults)
  const seed = Number(values.seed ?? Date.now() % 1_000_000)
  return {
    faults: chosen,
    skipped,
    targets: values.targets.split(',').map((name) => known(TARGETS, name, 'target')),
    minutes: Number(values.minutes),
    count: Number(values.count),
    nodes: Number(values.nodes),
    groups: Number(values.groups),
    hasStranger: values.stranger,
    seed,
    out: values.out,
    folder: values.out ?? join('dist', 'chaos', `cluster-${seed}`),
    isHelp: values.help,
    words,
    preset: values.preset === undefined ? undefined : known(PRESETS, values.preset, 'preset'),
    parallel: Number(values.parallel ?? '0'),
    only: values.only === undefined ? undefined : Number(values.only),
  }
}
type Flags = ReturnType<typeof parseFlags>

function known<T extends string>(all: readonly T[], name: string, what: string): T {
  const found = all.find((one) => one === name)
  if (found === undefined) throw new Error(`there is no ${what} ${name}; known: ${all.join()}`)
  return found
}

/** By name, or a whole tier; what the machine can't do is left out with the reason. */
function choose(text: string): { chosen: ClusterFault[]; skipped: Map<string, string> } {
  const all = CLUSTER_FAULTS.map(({ name }) => name)
  const names = text.split(',').flatMap((name) => {
    if (name === 'all') return all
    return name === 'tier0' ? TIER_0_NAMES : [known(all, name, 'fault')]
  })
  const reasons = new Map<Ability, string | undefined>()
  const skipped = new Map<string, string>()
  const chosen = CLUSTER_FAULTS.filter(({ name, needs }) => {
    if (!names.includes(name)) return false
    if (needs === undefined) return true
    if (!reasons.has(needs)) reasons.set(needs, whyNot(needs))
    const reason = reasons.get(needs)
    if (reason !== undefined) skipped.set(name, reason)
    return reason === undefined
  })
  return { chosen, skipped }
}

function environmentFor(faults: readonly ClusterFault[]) {
  const hasClocks = faults.some(({ needs }) => needs === 'faketime')
  return (directory: string): Record<string, string> => {
    const storage = { STORAGE_FAULTS: rulesFileOf({ directory }) }
    if (!hasClocks) return storage
    const file = clockFileOf({ directory })
    writeFileSync(file, '+0')
    return {
      ...storage,
      LD_PRELOAD: faketimeLibrary()!,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }
  }
}

/** File systems of the nodes, mounted where their data goes. */
function makeDisks(group: ServerGroup, flags: Flags): Map<ServerProcess, LoopDisk> {
  const disks = new Map<ServerProcess, LoopDisk>()
  if (!flags.faults.some(({ needs }) => needs === 'mounts')) return disks
  for (const node of group.nodes) {
    const image = join(node.directory, 'image')
    disks.set(node, new LoopDisk(image, node.dataDirectory, DISK_MEGABYTES))
  }
  return disks
}

function commit(): string {
  const git = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' })
  return git.status === 0 ? git.stdout.trim() : 'unknown'
}

interface Outcome {
  readonly run: ClusterRun
  readonly group: ServerGroup
  readonly violations: readonly Violation[]
}

function leave(flags: Flags, { run, group, violations }: Outcome): void {
  const { folder, seed } = flags
  const { entries } = run.recorder
  mkdirSync(folder, { recursive: true })
  const told = {
    seed,
    commit: commit(),
    flags: flags.words,
    skipped: Object.fromEntries(flags.skipped),
    ...recordsOf(run),
    schedule: run.schedule,
    violations,
  }
  writeFileSync(join(folder, 'run.json'), `${JSON.stringify(told, null, 2)}\n`)
  writeFileSync(join(folder, 'history.jsonl'), serialize(entries))
  const title = `Real nodes, seed ${seed}, commit ${told.commit}`
  writeFileSync(
    join(folder, 'report.html'),
    reportPage({ title, history: entries, violations: violations.slice(0, SHOWN) }),
  )
  for (const [at, node] of group.nodes.entries()) {
    if (existsSync(node.logFile)) copyFileSync(node.logFile, join(folder, `node-${at + 1}.log`))
  }
}

function recordsOf(run: ClusterRun): { batches: number; records: number } {
  const sends = entriesOf(run.recorder.entries, 'send').filter(({ outcome }) => outcome === 'ok')
  const records = sends.reduce((sum, send) => sum + send.values.length, 0)
  return { batches: sends.length, records }
}

function summary(run: ClusterRun): string {
  const { batches, records } = recordsOf(run)
  const counts = new Map<string, number>()
  for (const { name } of run.schedule) counts.set(name, (counts.get(name) ?? 0) + 1)
  const faults = [...counts].map(([name, count]) => `${count} x ${name}`).join(', ')
  const wholeMs = run.schedule.map(({ wholeAfterMs }) => wholeAfterMs ?? 0)
  const longest = Math.max(0, ...wholeMs)
  return (
    `${faults}; ${records} records acknowledged in ${batches} batches; ` +
    `whole again after ${longest} ms at most`
  )
}

/** Told after each fault: when, how many records so far, what it was. */
function progressLine(run: ClusterRun, line: string): string {
  const seconds = `${(run.recorder.nowMs / 1000).toFixed(0)} s`.padStart(6)
  return `${seconds} ${String(recordsOf(run).records).padStart(8)} records · ${line}`
}

interface Played {
  readonly violations: readonly Violation[]
  readonly records: number
  readonly faults: number
}

async function play(flags: Flags): Promise<Played> {
  const group = await ServerGroup.prepare({
    count: flags.nodes,
    peer: 'odradek',
    isLinked: true,
    environmentOf: environmentFor(flags.faults),
  })
  const names = flags.faults.map(({ name }) => name).join(', ')
  print(`seed ${flags.seed}, ${flags.nodes} nodes, ${flags.minutes} min at most of ${names}`)
  const violations: Violation[] = []
  try {
    const disks = makeDisks(group, flags)
    await group.start()
    const onProgress = (line: string) => print(progressLine(run, line))
    const run: ClusterRun = new ClusterRun(group, { ...flags, disks, onProgress })
    try {
      await run.play()
      violations.push(...checkAll(run.recorder.entries))
      const { sentence, violations: late } = lagging(run.recorder.entries)
      if (sentence !== '') print(sentence)
      // Beside other faults, or on a machine that does other things, the share says little.
      if (flags.faults.every(({ name }) => name === ABSENCE)) violations.push(...late)
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
      violations.push({ checker: 'run', message })
    }
    print(summary(run))
    leave(flags, { run, group, violations })
    await run.close()
    for (const { checker, message } of violations.slice(0, SHOWN)) {
      print(`FAIL seed ${flags.seed} ${checker}: ${message}`)
    }
    print(join(flags.folder, 'report.html'))
    return { violations, records: recordsOf(run).records, faults: run.schedule.length }
  } finally {
    await Promise.all(group.nodes.map((node) => node.kill()))
    cleanUp()
    await group.remove()
  }
}

function notStarted(error: unknown): Played {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  print(`FAIL the run did not begin: ${message}`)
  return { violations: [{ checker: 'run', message }], records: 0, faults: 0 }
}

/** The runs of a preset, or the one that the flags tell. */
function runs(flags: Flags): Flags[] {
  const { preset, seed, words } = flags
  if (preset === undefined) return [flags]
  const all = new Map(CLUSTER_FAULTS.map((fault) => [fault.name, fault.needs]))
  const reasons = new Map(ABILITIES.map((ability) => [ability, whyNot(ability)]))
  const canDo = (name: string) => {
    const needs = all.get(name)
    return needs === undefined || reasons.get(needs) === undefined
  }
  if (preset === 'mixes') {
    for (const [name, needs] of all) {
      if (!canDo(name)) print(`skipped ${name}: ${reasons.get(needs!)}`)
    }
  }
  return runsOf(preset, seed, canDo).map((first, at) => {
    const own = parseFlags([...first, ...words, '--seed', String(seed + at)])
    // A folder for each run.
    return { ...own, folder: own.out === undefined ? own.folder : join(own.out, `run-${at + 1}`) }
  })
}

/** Each in a process of its own, which is told the row, and which of it is its own. */
async function mainOfMany(first: Flags, all: readonly Flags[]): Promise<number> {
  const seed = ['--seed', String(first.seed), '--parallel', '0']
  const sum = await playRow({
    runs: all.map(({ folder }, at) => {
      return { words: [...first.words, ...seed, '--only', String(at + 1)], folder }
    }),
    atOnce: first.parallel,
    program: process.argv[1]!,
    print,
  })
  print(`${sum.faults} faults, ${sum.records} records acknowledged`)
  print(`${sum.passed} passed, ${sum.failed} failed`)
  return sum.failed === 0 ? 0 : 1
}

async function main(all: readonly Flags[]): Promise<number> {
  const count = { passed: 0, failed: 0, skipped: 0, records: 0, faults: 0 }
  for (const flags of all) {
    for (const [name, reason] of flags.skipped) print(`skipped ${name}: ${reason}`)
    if (flags.faults.length === 0) {
      count.skipped++
      continue
    }
    const { violations, records, faults } = await play(flags).catch(notStarted)
    count.records += records
    count.faults += faults
    if (violations.length === 0) count.passed++
    else count.failed++
  }
  const { passed, failed, skipped, records, faults } = count
  if (all.length > 1) print(`${faults} faults, ${records} records acknowledged`)
  const left = skipped === 0 ? '' : `, ${skipped} skipped`
  print(`${passed} passed, ${failed} failed${left}`)
  return failed === 0 ? 0 : 1
}

/** The same program in a network namespace of its own, which ends with it. */
async function inside(): Promise<number> {
  const program = [process.execPath, ...process.argv.slice(1)]
  const script = 'ip link set lo up && exec "$@"'
  const child = spawn('unshare', ['--net', 'sh', '-c', script, 'sh', ...program], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: '1' },
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  return await new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)))
}

const flags = parseFlags(process.argv.slice(2))
if (flags.isHelp) help()
else {
  const row = runs(flags)
  if (flags.parallel > 0 && row.length > 1) process.exit(await mainOfMany(flags, row))
  const all = flags.only === undefined ? row : row.slice(flags.only - 1, flags.only)
  const needsNamespace = all.some(({ faults }) => faults.some(({ needs }) => needs === 'packets'))
  if (needsNamespace && process.env[INSIDE] === undefined) process.exit(await inside())
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
  process.exit(await main(all))
}
