/*
 * Real node processes for the suites of bad days: started with a few settings, watched, and ended.
 * Invariant: a process that was started here is ended by its own pid when the suite ends.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts } from '../cluster/processes.ts'

const PROGRAM = fileURLToPath(new URL('../../node/odradek.cjs', import.meta.url))
const START_LIMIT_MS = 20_000

export interface Ended {
  readonly code: number | null
  readonly stderr: string
}

/** Properties of a node of its own, on ports that are free. */
export async function propertiesOf(
  directory: string,
  more: Record<string, string> = {},
): Promise<Record<string, string>> {
  const [kafka, controller, http] = await freePorts(3)
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    listeners: `PLAINTEXT://127.0.0.1:${kafka},CONTROLLER://127.0.0.1:${controller}`,
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': directory,
    'http.address': `127.0.0.1:${http}`,
    ...more,
  }
}

export interface StartLimits {
  readonly logLevel?: 'warn' | 'silent'
  /** How many files the process may have open. */
  readonly openFiles?: number
}

/**
 * Runs `odradek start` for a node that should not start, and gives what it said. Throws when it
 * does not end.
 */
export async function failedStart(
  properties: Record<string, string> | string,
  { logLevel = 'silent', openFiles }: StartLimits = {},
): Promise<Ended> {
  const directory = mkdtempSync(join(tmpdir(), 'odradek-hardship-'))
  const file = join(directory, 'server.properties')
  const text = typeof properties === 'string' ? properties : linesOf(properties)
  writeFileSync(file, text)
  try {
    return await runMain(['start', file, '--log-level', logLevel], openFiles)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

export const linesOf = (properties: Record<string, string>): string =>
  Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')

export async function runMain(
  programArguments: readonly string[],
  openFiles?: number,
): Promise<Ended> {
  const command = [process.execPath, PROGRAM, ...programArguments]
  const limited = ['/bin/sh', '-c', `ulimit -n ${openFiles} && exec "$@"`, 'sh', ...command]
  const [file, ...rest] = openFiles === undefined ? command : limited
  const child = spawn(file!, rest, { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    child.kill('SIGKILL')
  }, START_LIMIT_MS)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  clearTimeout(timer)
  if (isLate) throw new Error(`the node did not end: ${stderr}`)
  return { code, stderr }
}

/** Looks again and again until it is so; throws with `what` when it takes too long. */
export async function until(
  what: string,
  isSo: () => Promise<boolean> | boolean,
  limitMs = 20_000,
): Promise<void> {
  const endMs = Date.now() + limitMs
  while (!(await isSo())) {
    if (Date.now() > endMs) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** One page of a node. */
export async function page(httpPort: number, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${httpPort}${path}`)
  return await response.text()
}

/** The sum of a family's series that hold these labels. */
export async function metric(httpPort: number, name: string, labels = ''): Promise<number> {
  let sum = 0
  for (const line of (await page(httpPort, '/metrics')).split('\n')) {
    if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) continue
    if (line.includes(labels)) sum += Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}
