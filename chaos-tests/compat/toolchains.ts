/*
 * Prepares each ecosystem's clients from the lock files beside this file, in a cache directory
 * outside the work tree that is named after the lock file's hash. A toolchain that this machine
 * lacks is an expected outcome: the clients that need it are skipped with the reason.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The sources are read from the repository, not from `dist`: drivers in other languages. */
export const COMPAT_SOURCES = fileURLToPath(
  new URL('../../../chaos-tests/compat/', import.meta.url),
)
const PREPARE_LIMIT_MS = 9 * 60_000

/** A toolchain that is missing, said as the reason of a skip. */
export class Unavailable extends Error {}

export interface Output {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs a command to its end and gives what it printed. */
export async function run(
  command: string,
  commandArguments: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; limitMs?: number } = {},
): Promise<Output> {
  const child = spawn(command, commandArguments, {
    cwd: options.cwd ?? tmpdir(),
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), options.limitMs ?? PREPARE_LIMIT_MS)
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(127))
    child.once('close', resolve)
  })
  clearTimeout(timer)
  return { code, stdout: `${Buffer.concat(stdout)}`, stderr: `${Buffer.concat(stderr)}` }
}

async function mustRun(...args: Parameters<typeof run>): Promise<string> {
  const { code, stdout, stderr } = await run(...args)
  if (code === 0) return stdout
  const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-8).join('\n')
  throw new Unavailable(`because ${args[0]} ${args[1].slice(0, 3).join(' ')} failed: ${said}`)
}

export function hasCommand(name: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return folders.some((folder) => folder !== '' && existsSync(join(folder, name)))
}

function requireCommands(...names: string[]): void {
  for (const name of names) {
    if (!hasCommand(name)) throw new Unavailable(`because ${name} is not on this machine`)
  }
}

/** Makes the cache directory once; a half-made one is made again. */
async function cached(
  name: string,
  keyFiles: readonly string[],
  make: (directory: string) => Promise<void>,
): Promise<string> {
  const hash = createHash('sha256').update(process.version)
  for (const file of keyFiles) hash.update(readFileSync(join(COMPAT_SOURCES, file)))
  const root = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  const key = `${name}-${hash.digest('hex').slice(0, 16)}`
  const directory = join(root, 'odradek-interop', key)
  const marker = join(directory, '.ready')
  if (existsSync(marker)) return directory
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  await make(directory)
  writeFileSync(marker, `${new Date().toISOString()}\n`)
  return directory
}

/** Gives the interpreter that has the Python clients. */
export async function preparePython(): Promise<string> {
  requireCommands('python3')
  const lock = 'python/requirements.txt'
  const directory = await cached('python', [lock], async (target) => {
    await mustRun('python3', ['-m', 'venv', join(target, 'venv')])
    const options = ['--quiet', '--require-hashes', '--only-binary', ':all:']
    const file = join(COMPAT_SOURCES, lock)
    await mustRun(join(target, 'venv/bin/pip'), ['install', ...options, '-r', file])
  })
  return join(directory, 'venv/bin/python')
}

/** Gives the compiled Go driver. */
export async function prepareGo(): Promise<string> {
  requireCommands('go')
  const files = ['go/go.mod', 'go/go.sum', 'go/main.go', 'go/checks.go']
  const directory = await cached('go', files, async (target) => {
    const cwd = join(COMPAT_SOURCES, 'go')
    await mustRun('go', ['build', '-mod=readonly', '-o', join(target, 'driver'), '.'], { cwd })
  })
  return join(directory, 'driver')
}

/** Gives the directory of Apache Kafka's jars: broker, tools and clients. */
export async function prepareKafkaLibs(): Promise<string> {
  requireCommands('java', 'mvn')
  const directory = await cached('java', ['java/pom.xml'], async (target) => {
    // Maven writes beside the POM that it reads, so it reads a copy.
    copyFileSync(join(COMPAT_SOURCES, 'java/pom.xml'), join(target, 'pom.xml'))
    const output = `-DoutputDirectory=${join(target, 'libs')}`
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', output]
    await mustRun('mvn', ['-q', '-B', ...goal], { cwd: target })
  })
  return join(directory, 'libs')
}

export const JAVA_SOURCES = [
  'Interop.java',
  'ClientApi.java',
  'ClientChecks.java',
  'ToolChecks.java',
  'ClusterToolChecks.java',
  'Suite.java',
]

/** Gives the class path of the Java driver, compiled against the jars. */
export async function prepareJava(): Promise<string> {
  requireCommands('javac')
  const libs = await prepareKafkaLibs()
  const sources = JAVA_SOURCES.map((name) => `java/${name}`)
  const directory = await cached('java-driver', ['java/pom.xml', ...sources], async (target) => {
    const files = sources.map((name) => join(COMPAT_SOURCES, name))
    await mustRun('javac', ['-nowarn', '-cp', join(libs, '*'), '-d', target, ...files])
  })
  return `${directory}:${join(libs, '*')}`
}

const OLDER_SOURCES = [
  'ClientChecks.java',
  'Suite.java',
  'older/ClientApi.java',
  'older/InteropOlder.java',
]

/** Gives the class path of the checks with an older version of the Java clients. */
export async function prepareOlderJava(version: string): Promise<string> {
  requireCommands('java', 'javac', 'mvn')
  const sources = OLDER_SOURCES.map((name) => `java/${name}`)
  const keys = ['java/older/pom.xml', ...sources]
  const directory = await cached(`java-${version}`, keys, async (target) => {
    copyFileSync(join(COMPAT_SOURCES, 'java/older/pom.xml'), join(target, 'pom.xml'))
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime']
    const places = [`-Dclients.version=${version}`, `-DoutputDirectory=${join(target, 'libs')}`]
    await mustRun('mvn', ['-q', '-B', ...goal, ...places], { cwd: target })
    const files = sources.map((name) => join(COMPAT_SOURCES, name))
    const output = join(target, 'classes')
    mkdirSync(output)
    await mustRun('javac', ['-nowarn', '-cp', join(target, 'libs/*'), '-d', output, ...files])
  })
  return `${join(directory, 'classes')}:${join(directory, 'libs/*')}`
}

/** Gives a Node of at least 22.22 and the directory where @platformatic/kafka is installed. */
export async function prepareNode22(): Promise<{ node: string; directory: string }> {
  const files = ['node22/package.json', 'node22/package-lock.json', 'node22/driver.mjs']
  const directory = await cached('node22', files, async (target) => {
    for (const file of files) copyFileSync(join(COMPAT_SOURCES, file), join(target, file.slice(7)))
    const npm = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--engine-strict=false']
    await mustRun('npm', npm, { cwd: target })
  })
  const own = join(directory, `node_modules/node-${process.platform}-${process.arch}/bin/node`)
  if (existsSync(own)) return { node: own, directory }
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major! > 22 || (major === 22 && minor! >= 22)) return { node: process.execPath, directory }
  throw new Unavailable(`because there is no Node 22 for ${process.platform}-${process.arch}`)
}

/** kcat comes from the distribution; it is installed only when CI asks for everything. */
export async function prepareKcat(): Promise<void> {
  if (hasCommand('kcat')) return
  const isRoot = process.getuid?.() === 0
  if (process.env['CI'] !== 'true' || !isRoot || !hasCommand('apt-get')) {
    throw new Unavailable('because kcat is not on this machine (apt-get install kcat)')
  }
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  await mustRun('apt-get', ['update', '-qq'], { env })
  await mustRun('apt-get', ['install', '-y', '-qq', 'kcat'], { env })
}
