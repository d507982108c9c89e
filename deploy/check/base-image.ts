/**
 * The images that the Dockerfile starts from. Node's own image where a registry can be asked; else
 * Debian by debootstrap with the Node and npm of this machine.
 */
import { copyFileSync, cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from './engine.ts'
import { Skip } from './report.ts'
import { must, need, run } from './tools.ts'

export interface Bases {
  /** With npm. */
  readonly build: string
  readonly runtime: string
  /** Of these, those that we made. */
  readonly made: readonly string[]
}

const STOCK = 'node:22-bookworm-slim'
const PULL_MS = 60_000
const SUITE = 'bookworm'
/** Documentation, translations and package lists: no program of ours reads them. */
const NEEDLESS = [
  'usr/share/doc',
  'usr/share/info',
  'usr/share/locale',
  'usr/share/man',
  'var/cache/apt',
  'var/cache/debconf',
  'var/lib/apt/lists',
  'var/log',
]

/** `name` is for what is made. Throws Skip when there is no way to an image. */
export async function findBases(engine: Engine, name: string): Promise<Bases> {
  const given = process.env['BASE']
  if (given !== undefined) {
    return { build: given, runtime: process.env['RUNTIME'] ?? given, made: [] }
  }
  const isThere = (await engine.try(['image', 'inspect', STOCK])).code === 0
  const isPulled = isThere || (await engine.try(['pull', STOCK], { limitMs: PULL_MS })).code === 0
  if (isPulled) return { build: STOCK, runtime: STOCK, made: [] }
  if (process.getuid?.() !== 0) {
    throw new Skip(`${STOCK} can't be pulled, and debootstrap takes root; set BASE to an image`)
  }
  need('debootstrap', `is not installed, and ${STOCK} can't be pulled; set BASE to an image`)
  return bootstrap(engine, name)
}

async function bootstrap(engine: Engine, name: string): Promise<Bases> {
  const root = mkdtempSync(join(tmpdir(), 'odradek-base-'))
  try {
    const { code, stderr } = await run('debootstrap', ['--variant=minbase', SUITE, root])
    if (code !== 0) throw new Skip(`debootstrap finds no packages: ${stderr.slice(-300)}`)
    for (const path of NEEDLESS) rmSync(join(root, path), { recursive: true, force: true })
    copyFileSync(process.execPath, join(root, 'usr/local/bin/node'))
    const runtime = `${name}-runtime`
    await importRoot(engine, root, runtime, [])
    const build = `${name}-base`
    await importRoot(engine, root, build, await addNpm(root))
    return { build, runtime, made: [runtime, build] }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** npm, and how it reaches its registry from here; gives environment variables. */
async function addNpm(root: string): Promise<string[]> {
  const modules = (await must('npm', ['root', '--global'])).trim()
  cpSync(join(modules, 'npm'), join(root, 'usr/local/lib/node_modules/npm'), { recursive: true })
  const bin = '../lib/node_modules/npm/bin/npm-cli.js'
  symlinkSync(bin, join(root, 'usr/local/bin/npm'))
  const registry = (await must('npm', ['config', 'get', 'registry'])).trim()
  const environment = [`NPM_CONFIG_REGISTRY=${registry}`]
  const authorities = process.env['NODE_EXTRA_CA_CERTS']
  if (authorities !== undefined) {
    copyFileSync(authorities, join(root, 'etc/authorities.pem'))
    environment.push('NODE_EXTRA_CA_CERTS=/etc/authorities.pem')
  }
  return environment
}

async function importRoot(
  engine: Engine,
  root: string,
  image: string,
  environment: readonly string[],
): Promise<void> {
  const path = 'ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'
  const changes = [path, ...environment.map((text) => `ENV ${text}`)]
  const flags = changes.flatMap((change) => ['--change', change])
  const archive = `${root}.tar`
  try {
    await must('tar', ['-C', root, '-cf', archive, '.'])
    await engine.docker(['import', ...flags, archive, image])
  } finally {
    rmSync(archive, { force: true })
  }
}
