/**
 * Polices the repository: rules that a compiler can't know, each born from a way to go wrong. A
 * rule that must be bent is bent here, with its reason beside it.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..')
const LINE_LENGTH_MAX = 100
const FILE_LINES_MAX = 600
const FUNCTION_LINES_MAX = 70
const DEPENDENCIES_MAX = 15

/** Longer files, each with the reason why a cut would make it worse. */
const LONG_FILES: Readonly<Record<string, string>> = {
  'replication/partition.ts': 'the one door to a replica: its roles are elsewhere',
}

/** Files with longer functions. */
const LONG_FUNCTIONS: Readonly<Record<string, string>> = {
  'node/node.ts': 'the composition root: one part after the other',
}

/** Folders whose comments were written before lines were counted. To become empty. */
const LONG_LINES = ['bench/', 'chaos-tests/', 'deploy/', 'kafka/', 'log/', 'node/', 'replication/']

/** A file (or a folder, with '/'), what it may reach for itself, and why. '*' is everything. */
const AMBIENT: readonly (readonly [path: string, names: string, reason: string])[] = [
  ['base/real/', '*', 'the real world is made here'],
  ['base/harness.ts', '*', 'hooks of mocha, outside of any world'],
  ['base/mocha-reporter.ts', '*', 'run by mocha, outside of any world'],
  ['base/tidy.test.ts', '*', 'reads the repository'],
  ['base/ports.test.ts', 'node:os', 'temporary directories for the real implementations'],
  ['base/sim/scheduler.ts', 'setImmediate process.nextTick', 'drains promise code between events'],
  ['base/sim/world.test.ts', 'performance', 'compares virtual with real time'],
  ['base/suites/driver.ts', 'setTimeout performance', 'waits for the real world'],
  ['base/suites/clock-suite.ts', 'Date', 'what a clock is compared with'],
  ['base/crc32c.ts', 'node:module', 'a native module that may be missing'],
  ['log/compression.ts', 'node:module node:zlib', 'codecs: synchronous and pure'],
  ['log/model-driver.ts', 'setImmediate', 'runs only in tests: lets promises settle'],
  ['log/model-run.ts', '*', 'the entry point of a long run'],
  ['log/key-map.ts', 'node:crypto', 'a hash: pure'],
  ['kafka/wire/', 'node:buffer', 'isUtf8: pure'],
  ['kafka/wire/testing/golden.ts', 'node:fs', 'reads test data'],
  ['proto/load.ts', 'node:module node:url', 'loads the .proto files when they are first needed'],
  ['proto/certificates.ts', 'node:crypto Date', 'reads certificates and keys: pure'],
  ['proto/testing/', 'node:child_process node:os', 'certificates for tests, by openssl'],
  ['proto/generate.ts', '*', 'the entry point that writes the types of the messages'],
  ['node/node.test.ts', 'node:os', 'temporary directories for a real node'],
  ['node/families.test.ts', 'node:os', 'temporary directories for a real node'],
  ['node/families-source.ts', 'performance', 'how busy this process is: no simulated node asks'],
  ['node/admin.test.ts', 'node:net', 'speaks HTTP byte by byte'],
  ['kafka/api/fuzz-run.ts', '*', 'the entry point of a long run'],
  ['node/metrics.ts', 'node:fs/promises', 'counts open files: of this process, never simulated'],
  ['node/admin.ts', 'node:http node:net', 'HTTP is no port: nothing of it is simulated'],
  ['node/main.ts', '*', 'the entry point'],
  ['node/cli/', '*', 'commands: each is an entry point'],
  ['node/config/docs.ts', '*', 'the entry point that writes the page of settings'],
  ['deploy/grafana/write.ts', '*', 'the entry point that writes the dashboards'],
  ['bench/', '*', 'measures real processes'],
  ['deploy/', '*', 'programs that write and check what is deployed'],
  ['node/testing/cluster.test.ts', 'performance', 'waits for a real client'],
  ['chaos-tests/', '*', 'drives real processes'],
]

/** What every test may reach for. */
const AMBIENT_IN_TESTS: Readonly<Record<string, string>> = {
  'node:fs': 'test data',
  'node:module': 'the other side of a codec',
  'node:zlib': 'the other side of a codec',
  'node:crypto': 'digests of expected bytes',
  'node:path': 'test data',
  'node:url': 'test data',
  setImmediate: 'promises settle',
  'process.memoryUsage': 'limits of memory',
  'process.hrtime': 'a fresh seed, which is printed',
  'Math.random': 'a fresh seed, which is printed',
  'process.env': 'the seed of a run to repeat',
}

/** npm packages, and the only files that may import them. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  level: ['base/real/kv.ts'],
  pino: ['base/real/logger.ts'],
  '@node-rs/crc32': ['base/crc32c.ts'],
  '@grpc/grpc-js': ['proto/rpc.ts'],
  '@grpc/proto-loader': ['proto/load.ts'],
  'prom-client': ['node/metrics.ts'],
  snappy: ['log/compression.ts', 'log/compression.test.ts'],
  'lz4-napi': ['log/compression.ts'],
  commander: ['node/cli/'],
  picocolors: ['node/cli/'],
  'fast-check': ['.test.ts', 'testing/'],
  kafkajs: ['chaos-tests/', 'node/testing/cluster.test.ts'],
  publint: ['deploy/check/package.ts'],
}

/** Which folder may import which others: each tsconfig.json says the same. */
const GRAPH: Readonly<Record<string, readonly string[]>> = {
  base: [],
  proto: ['base'],
  log: ['base'],
  raft: ['base'],
  replication: ['base', 'log'],
  kafka: ['base', 'log'],
  streams: ['base', 'log', 'kafka'],
  node: ['base', 'proto', 'log', 'raft', 'replication', 'kafka'],
}

/** Folders that may import everything. */
const OUTERMOST: readonly string[] = ['chaos-tests', 'bench', 'deploy']

/** Packages of the runtime tree with an install script, which `ignore-scripts` leaves out. */
const INSTALL_SCRIPTS: Readonly<Record<string, string>> = {
  'classic-level': 'looks for the prebuilt binary that is in the package',
  protobufjs: 'warns of odd version ranges',
}

const AMBIENT_NAMES = new RegExp(
  String.raw`(?<![\w.#'])(?:(Date|performance|setTimeout|setInterval|setImmediate|WeakRef)\b` +
    String.raw`|(FinalizationRegistry|globalThis)\b|(Math\.random)\b` +
    String.raw`|(process\.(?:env|nextTick|hrtime|argv|stdin|stdout|stderr|exit|abort|kill|on|once` +
    String.raw`|memoryUsage|cpuUsage|uptime))\b)(?!\s*:)`,
  'g',
)
const IMPORTED =
  /(?:\bfrom |\bimport |\bimport\(|\bload\(|\bcreateRequire\([^)]*\)\()'([@.\w][\w./:-]*)'/g
const PURE_BUILTINS: ReadonlySet<string> = new Set(['node:assert', 'node:assert/strict'])
const FILE_NAME = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|suite))?\.ts$/
// Written in parts, so that this file obeys its own rule.
const UNFINISHED = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`)
const ONLY = new RegExp(`\\b(describe|it|context)\\.${'only'}\\(`)

interface SourceFile {
  readonly path: string
  readonly lines: readonly string[]
  /** Without comments and the content of strings. */
  readonly code: string
  /** Without comments. */
  readonly uncommented: string
}

function sources(): SourceFile[] {
  return trackedFiles()
    .filter((path) => path.endsWith('.ts') && existsSync(join(ROOT, path)))
    .map((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8')
      const uncommented = blanked(text, false)
      return { path, lines: text.split('\n'), code: blanked(text, true), uncommented }
    })
}

/** What git knows; everything, where there is no git. */
function trackedFiles(): string[] {
  const git = spawnSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' })
  if (git.status === 0) return git.stdout.split('\0').filter((path) => path !== '')
  return walk('').sort()
}

function walk(directory: string): string[] {
  const found: string[] = []
  for (const entry of readdirSync(join(ROOT, directory), { withFileTypes: true })) {
    if (['node_modules', 'dist', 'coverage'].includes(entry.name)) continue
    const path = posix.join(directory, entry.name)
    if (entry.isDirectory()) found.push(...walk(path))
    else found.push(path)
  }
  return found
}

/** Comments, and on demand strings, become spaces; lines stay where they are. */
function blanked(text: string, withStrings: boolean): string {
  const token =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[\s\S])*`/g
  return text.replace(token, (match) => {
    const isComment = match.startsWith('//') || match.startsWith('/*')
    return isComment || withStrings ? match.replace(/[^\n]/g, ' ') : match
  })
}

function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || /\/(testing|suites)\//.test(path)
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}

function mayReach(path: string, name: string): boolean {
  if (isTest(path) && name in AMBIENT_IN_TESTS) return true
  return AMBIENT.some(([where, names]) => {
    const isThere = where.endsWith('/') ? path.startsWith(where) : path === where
    return isThere && (names === '*' || names.split(' ').includes(name))
  })
}

function imports({ uncommented }: SourceFile): { name: string; line: number }[] {
  return [...uncommented.matchAll(IMPORTED)].map((match) => {
    return { name: match[1]!, line: lineOf(uncommented, match.index) }
  })
}

function assertNone(findings: readonly string[]): void {
  assert.equal(findings.length, 0, `\n${findings.join('\n')}`)
}

describe('base/tidy', () => {
  let files: readonly SourceFile[] = []
  before(() => {
    files = sources()
  })
  const findings = (look: (file: SourceFile) => string[]) => assertNone(files.flatMap(look))

  codeTests(findings)
  importTests(findings, () => files)
  shapeTests(findings)
  packageTests()
})

type Findings = (look: (file: SourceFile) => string[]) => void

function codeTests(findings: Findings): void {
  it('takes time, randomness and I/O through the constructor', () => {
    findings((file) => {
      const { path, code } = file
      const used = [...code.matchAll(AMBIENT_NAMES)].map((match) => {
        const name = match.slice(1).find((group) => group !== undefined)!
        return { name, line: lineOf(code, match.index) }
      })
      const builtins = imports(file).filter(({ name }) => name.startsWith('node:'))
      return [...used, ...builtins]
        .filter(({ name }) => !PURE_BUILTINS.has(name) && !mayReach(path, name))
        .map(({ name, line }) => `${path}:${line}: ${name}: take it from World`)
    })
  })

  it('has no unfinished work and runs all tests', () => {
    findings(({ path, lines }) =>
      lines.flatMap((line, index) =>
        UNFINISHED.test(line) || ONLY.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [],
      ),
    )
  })

  it('exports by name', () => {
    findings(({ path, code }) => {
      const isAllowed = path === 'base/mocha-reporter.ts' // mocha wants it so
      return /\bexport default\b/.test(code) && !isAllowed ? [`${path}: a default export`] : []
    })
  })
}

function importTests(findings: Findings, files: () => readonly SourceFile[]): void {
  it('goes through the doors to npm packages', () => {
    findings((file) => {
      const { path } = file
      return imports(file).flatMap(({ name, line }) => {
        if (name.startsWith('.') || name.startsWith('node:')) return []
        const parts = name.split('/')
        const packageName = name.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]!
        const doors = DOORS[packageName]
        if (doors === undefined) return [`${path}:${line}: ${packageName} has no door`]
        const isOpen = doors.some((door) => path.startsWith(door) || path.endsWith(door))
        const isOpenFolder = doors.some((door) => door === 'testing/' && path.includes('/testing/'))
        return isOpen || isOpenFolder ? [] : [`${path}:${line}: ${packageName} is for ${doors}`]
      })
    })
  })

  it('writes relative imports with .ts', () => {
    findings((file) =>
      imports(file)
        .filter(({ name }) => name.startsWith('.') && !/\.(ts|json)$/.test(name))
        .map(({ name, line }) => `${file.path}:${line}: ${name}`),
    )
  })

  it('says the import graph in each tsconfig.json', () => {
    const hasConfig = (folder: string) => existsSync(join(ROOT, folder, 'tsconfig.json'))
    const folders = new Set([...Object.keys(GRAPH), ...OUTERMOST].filter(hasConfig))
    for (const { path } of files()) folders.add(path.split('/')[0]!)
    for (const folder of folders) {
      const config = JSON.parse(readFileSync(join(ROOT, folder, 'tsconfig.json'), 'utf8'))
      const references: string[] = config.references.map(({ path }: { path: string }) =>
        path.replace('../', ''),
      )
      const allowed = OUTERMOST.includes(folder) ? [...folders] : GRAPH[folder]
      assert.ok(allowed !== undefined, `${folder} has no place in the import graph`)
      for (const reference of references) {
        assert.ok(allowed.includes(reference), `${folder} may not import ${reference}`)
      }
      if (OUTERMOST.includes(folder)) continue
      const missing = allowed.filter((name) => folders.has(name) && !references.includes(name))
      assert.deepEqual(missing, [], `${folder} lacks references`)
    }
  })

  it('keeps metadata and coordinator apart, and away from sockets', () => {
    const forbidden = [
      ['node/metadata/', /^(base\/(real\/|network)|kafka\/(server|client)\/|node\/coordinator\/)/],
      ['node/coordinator/', /^(base\/(real\/|network)|kafka\/(server|client)\/|node\/metadata\/)/],
    ] as const
    findings((file) =>
      imports(file).flatMap(({ name, line }) => {
        const target = posix.join(posix.dirname(file.path), name)
        const isForbidden = forbidden.some(
          ([folder, targets]) => file.path.startsWith(folder) && targets.test(target),
        )
        return isForbidden ? [`${file.path}:${line}: ${target}`] : []
      }),
    )
  })
}

function shapeTests(findings: Findings): void {
  it('names files in kebab-case, and has no barrels', () => {
    findings(({ path }) => {
      const name = posix.basename(path)
      if (name === 'index.ts') return [`${path}: import from the file that has it`]
      return FILE_NAME.test(name) ? [] : [path]
    })
  })

  it('keeps lines, functions and files short', () => {
    findings(({ path, lines, code }) => {
      const mayBeLong = LONG_LINES.some((folder) => path.startsWith(folder))
      const found = lines.flatMap((line, index) => {
        const { length } = [...line]
        const isLong = length > LINE_LENGTH_MAX && !mayBeLong
        return isLong ? [`${path}:${index + 1}: ${length} columns`] : []
      })
      if (lines.length > FILE_LINES_MAX && LONG_FILES[path] === undefined) {
        found.push(`${path}: ${lines.length} lines`)
      }
      if (isTest(path) || LONG_FUNCTIONS[path] !== undefined) return found
      for (const { line, length } of longFunctions(code)) {
        found.push(`${path}:${line}: a function of ${length} lines`)
      }
      return found
    })
  })
}

/** By indentation, which the formatter guarantees. */
function longFunctions(code: string): { line: number; length: number }[] {
  const lines = code.split('\n')
  const found: { line: number; length: number }[] = []
  lines.forEach((line, index) => {
    const isFunction = /(\)(: [^=]*)?|=>) \{$/.test(line) && !NO_FUNCTION.test(line)
    if (!isFunction) return
    const indentation = /^ */.exec(line)![0]
    const end = lines.findIndex((other, at) => at > index && other.startsWith(`${indentation}}`))
    const length = end - index + 1
    if (length > FUNCTION_LINES_MAX) found.push({ line: index + 1, length })
  })
  return found
}

const NO_FUNCTION = /^ *(\} else |if|for|while|switch|describe|suite)\b/

function packageTests(): void {
  interface LockedPackage {
    readonly dev?: boolean
    readonly hasInstallScript?: boolean
  }

  it('depends on few packages, none of which runs a script when it is installed', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const names = Object.keys(manifest.dependencies)
    assert.ok(names.length <= DEPENDENCIES_MAX, `${names.length} packages`)
    for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) {
      assert.equal(manifest.scripts[script], undefined, `our own ${script}`)
    }
    const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))
    const packages = Object.entries<LockedPackage>(lock.packages)
    const scripted = packages
      .filter(([path, entry]) => path !== '' && !entry.dev && entry.hasInstallScript === true)
      .map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length))
    assert.deepEqual(scripted.sort(), Object.keys(INSTALL_SCRIPTS).sort())
    assert.match(readFileSync(join(ROOT, '.npmrc'), 'utf8'), /^ignore-scripts=true$/m)
  })

  it('puts the .proto files into the package', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const hasProto = readdirSync(join(ROOT, 'proto')).some((name) => name.endsWith('.proto'))
    if (hasProto) assert.ok(manifest.files.includes('proto/*.proto'), 'package.json "files"')
  })
}
