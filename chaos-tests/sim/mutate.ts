/*
 * The tests are tested: `npm run chaos:bugs -- [--seeds N] [--bug PART-OF-NAME,...]` makes each
 * deliberate bug in a copy of dist/, runs seeds until one fails that passes without it, and prints
 * the table for docs/testing.md.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { BUGS, type Bug } from './bugs.ts'

const DIST = join(dirname(fileURLToPath(import.meta.url)), '../..')

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    bug: { type: 'string', default: '' },
  },
})

/** The product has changed under the table of bugs. */
class OutOfDate extends Error {
  override readonly name = 'OutOfDate'
}

interface Finding {
  readonly seed: number
  readonly checker: string
}

/** The first seed that fails in the copy. */
function firstFailure(copy: string, bug: Bug, from: number, seeds: number): Finding | undefined {
  const script = join(copy, 'dist/chaos-tests/sim/run.js')
  const nodes = `${bug.nodes ?? 3}`
  const options = ['--nodes', nodes, '--seconds', '8', '--from', `${from}`, '--seeds', `${seeds}`]
  if (bug.faults !== undefined) options.push('--faults', bug.faults)
  const { stdout } = spawnSync(process.execPath, [script, ...options, '--failures', '1'], {
    cwd: copy,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  const match = /^FAIL seed (\d+) commit \S+ ([\w-]+):/m.exec(stdout)
  return match === null ? undefined : { seed: Number(match[1]), checker: match[2]! }
}

function plant(copy: string, bug: Bug): string {
  const path = join(copy, 'dist', bug.file)
  const text = readFileSync(path, 'utf8')
  const count = text.split(bug.find).length - 1
  if (count !== 1) throw new OutOfDate(`its line is ${count} times in ${bug.file}`)
  writeFileSync(
    path,
    text.replace(bug.find, () => bug.replace),
  )
  return text
}

/** Seeds that fail anyway prove nothing. */
function find(copy: string, bug: Bug): Finding | undefined {
  const from = Number(values.from)
  const end = from + Number(values.seeds)
  for (let next = from; next < end; ) {
    const sound = plant(copy, bug)
    const finding = firstFailure(copy, bug, next, end - next)
    writeFileSync(join(copy, 'dist', bug.file), sound)
    if (finding === undefined) return undefined
    if (firstFailure(copy, bug, finding.seed, 1) === undefined) return finding
    next = finding.seed + 1
  }
  return undefined
}

function rowOf(copy: string, bug: Bug): { by: string; seeds: string } {
  try {
    const finding = find(copy, bug)
    if (finding === undefined) return { by: `nothing within ${values.seeds} seeds`, seeds: '-' }
    return { by: finding.checker, seeds: `${finding.seed - Number(values.from) + 1}` }
  } catch (error) {
    if (error instanceof OutOfDate) return { by: error.message, seeds: '-' }
    throw error
  }
}

function main(): number {
  const copy = mkdtempSync(join(tmpdir(), 'odradek-bugs-'))
  const parts = values.bug.split(',')
  let missed = 0
  try {
    cpSync(DIST, join(copy, 'dist'), { recursive: true })
    symlinkSync(join(DIST, '../node_modules'), join(copy, 'node_modules'))
    cpSync(join(DIST, '../proto'), join(copy, 'proto'), { recursive: true })
    writeFileSync(join(copy, 'package.json'), '{"type":"module"}\n')
    process.stdout.write('| bug | found by | seeds |\n|---|---|---|\n')
    for (const bug of BUGS.filter(({ name }) => parts.some((part) => name.includes(part)))) {
      const row = rowOf(copy, bug)
      if (row.seeds === '-') missed++
      process.stdout.write(`| ${bug.name} | ${row.by} | ${row.seeds} |\n`)
    }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
  return missed
}

process.exitCode = main() === 0 ? 0 : 1
