/** Runs the programs that the checks need, and finds out whether they are there. */
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { existsSync } from 'node:fs'
import { get } from 'node:http'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { planNodes } from '../../node/cli/dev-node.ts'
import { Skip } from './report.ts'

/** Compiled, this file is in dist/deploy/check. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
/** Places where an administrator's tools are, though not in everybody's PATH. */
const MORE_FOLDERS = ['/usr/sbin', '/sbin', '/usr/local/bin']
const LIMIT_MS = 600_000
const ASK_MS = 2000
const SAID_LINES = 12
const DEV_PORTS = { from: 20_000, to: 31_000 }
const DEV_PORT_ATTEMPTS = 100

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly input?: string
  readonly limitMs?: number
}

export interface Output {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export function find(command: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...MORE_FOLDERS]
  return folders.map((folder) => join(folder, command)).find((path) => existsSync(path))
}

/** Throws Skip when it is not installed. */
export function need(command: string, why = 'is not installed'): string {
  const path = find(command)
  if (path === undefined) throw new Skip(`${command} ${why}`)
  return path
}

/** To its end; code 127 when it could not be started, 124 when it took too long. */
export function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Output> {
  const child = spawn(command, args, {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  child.stdin.on('error', () => undefined) // it does not want to read: its exit code says more
  child.stdin.end(options.input ?? '')
  return new Promise((resolve) => {
    let late = false
    const timer = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, options.limitMs ?? LIMIT_MS)
    const end = (code: number) => {
      clearTimeout(timer)
      resolve({ code, stdout: `${Buffer.concat(stdout)}`, stderr: `${Buffer.concat(stderr)}` })
    }
    child.once('error', () => end(127))
    child.once('close', (code) => end(late ? 124 : (code ?? 1)))
  })
}

/** Its standard output. Throws, with the end of what it said, when its exit code is not 0. */
export async function must(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options)
  if (code === 0) return stdout
  const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-SAID_LINES).join('\n')
  throw new Error(`${command} ${args.join(' ').slice(0, 200)} ended with ${code}:\n${said}`)
}

/** Waits until `look` gives something. Throws when that takes longer than `limitMs`. */
export async function eventually<T>(
  what: string,
  limitMs: number,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const deadlineMs = performance.now() + limitMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${limitMs} ms`)
    await pause(50)
  }
}

export const pause = (delayMs: number) => new Promise((resolve) => setTimeout(resolve, delayMs))

/** Free at this moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/**
 * A first port for `count` nodes of `odradek dev`, all of whose ports are free. They lie away from the
 * usual ones, and below those that systems give out, so that nobody is given one meanwhile.
 */
export async function freeDevPort(count: number): Promise<number> {
  for (let attempt = 0; attempt < DEV_PORT_ATTEMPTS; attempt++) {
    const first = randomInt(DEV_PORTS.from, DEV_PORTS.to)
    const plans = planNodes('', count, first)
    const addresses = plans.flatMap(({ kafka, cluster }) => [kafka, cluster])
    const ports = addresses.map((address) => Number(address.split(':')[1]))
    const areFree = await Promise.all([...ports, ...plans.map((one) => one.httpPort)].map(isFree))
    if (!areFree.includes(false)) return first
  }
  throw new Error('no free ports for nodes were found')
}

function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Whether a page answers 200. Not by `fetch`, which does not keep this process alive meanwhile. */
export function isOk(url: string): Promise<true | undefined> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: ASK_MS }, (response) => {
      response.resume()
      resolve(response.statusCode === 200 ? true : undefined)
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(undefined)) // not listening yet
  })
}
