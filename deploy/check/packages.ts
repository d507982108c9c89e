/** Types that others publish: installed for a check, and compiled against. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Skip } from './report.ts'
import { must, pause, ROOT, run } from './tools.ts'

const INSTALL_MS = 120_000
const ATTEMPTS_MAX = 3
const BETWEEN_MS = 5000
const TSC = join(ROOT, 'node_modules/.bin/tsc')
const FLAGS = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--types', '']

/** Into the directory. Throws Skip when that can't be done here. */
export async function installPackages(
  directory: string,
  packages: readonly string[],
): Promise<void> {
  writeFileSync(join(directory, 'package.json'), '{"private":true}')
  const flags = ['--prefix', directory, '--ignore-scripts', '--no-audit', '--no-fund']
  for (let attempt = 1; ; attempt++) {
    const options = { limitMs: INSTALL_MS, cwd: directory }
    const { code, stderr } = await run('npm', ['install', ...flags, ...packages], options)
    if (code === 0) return
    if (attempt === ATTEMPTS_MAX) {
      throw new Skip(`npm can't install ${packages.join(', ')}: ${stderr.slice(0, 200)}`)
    }
    await pause(BETWEEN_MS)
  }
}

export async function compiles(directory: string, file: string): Promise<void> {
  await must(TSC, [...FLAGS, join(directory, file)], { cwd: directory })
}

export async function doesNotCompile(directory: string, file: string): Promise<void> {
  const { code } = await run(TSC, [...FLAGS, join(directory, file)], { cwd: directory })
  if (code === 0) throw new Error('a misspelt field is not found')
}
