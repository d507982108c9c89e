/**
 * The runs of a preset in processes of their own, some at a time: a run waits more than it works.
 * What a run says comes line by line, with its number before it.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface RowOptions {
  /** Of each run, in their order: what it is started with, and the folder that it leaves. */
  readonly runs: readonly { readonly words: readonly string[]; readonly folder: string }[]
  readonly atOnce: number
  readonly program: string
  print(line: string): void
}

export interface Sum {
  passed: number
  failed: number
  records: number
  faults: number
}

/** Resolves when all have ended, the failed ones too. After SIGINT or SIGTERM none begins. */
export async function playRow({ runs, atOnce, program, print }: RowOptions): Promise<Sum> {
  const sum: Sum = { passed: 0, failed: 0, records: 0, faults: 0 }
  let next = 0
  const end = () => {
    next = runs.length
  }
  process.on('SIGINT', end).on('SIGTERM', end)
  const playSome = async () => {
    for (let at = next++; at < runs.length; at = next++) {
      const { words, folder } = runs[at]!
      const code = await play([program, ...words], (line) => print(`run ${at + 1}: ${line}`))
      if (code === 0) sum.passed++
      else sum.failed++
      const { records, faults } = told(folder)
      sum.records += records
      sum.faults += faults
    }
  }
  await Promise.all(Array.from({ length: atOnce }, playSome))
  process.off('SIGINT', end).off('SIGTERM', end)
  return sum
}

/** Its exit code; null when a signal ended it. */
async function play(words: readonly string[], print: (line: string) => void) {
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  const forward = (signal: NodeJS.Signals) => child.kill(signal)
  process.on('SIGINT', forward).on('SIGTERM', forward)
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', print)
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  process.off('SIGINT', forward).off('SIGTERM', forward)
  return code
}

/** What a run wrote of itself; a run that did not begin wrote nothing. */
function told(folder: string): { readonly records: number; readonly faults: number } {
  const file = join(folder, 'run.json')
  if (!existsSync(file)) return { records: 0, faults: 0 }
  const { records, schedule } = JSON.parse(readFileSync(file, 'utf8')) as {
    records: number
    schedule: unknown[]
  }
  return { records, faults: schedule.length }
}
