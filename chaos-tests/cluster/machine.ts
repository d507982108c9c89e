/**
 * What only root on Linux can do to a node: file systems of its own that lose power, control groups,
 * packet filters. Invariant: what is made here is removed at the latest when this process exits,
 * the youngest first; what the machine can't do is told with the reason, found by doing it.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import './processes.ts' // at the end it ends its processes first: they hold what is removed here

export const ABILITIES = ['mounts', 'cgroups', 'prlimit', 'faketime', 'packets'] as const
export type Ability = (typeof ABILITIES)[number]

const undo: (() => void)[] = []
process.on('exit', cleanUp)

/** Removes all that was made, the youngest first. */
export function cleanUp(): void {
  for (const step of undo.splice(0).reverse()) {
    try {
      step()
    } catch (error) {
      process.stderr.write(`not removed: ${(error as Error).message}\n`)
    }
  }
}

function run(command: string, ...parameters: readonly string[]): string {
  return execFileSync(command, parameters, { stdio: 'pipe', encoding: 'utf8' })
}

/** Undefined when this machine can; else why not. */
export function whyNot(ability: Ability): string | undefined {
  if (process.platform !== 'linux') return 'it is made on Linux only'
  if (ability !== 'faketime' && process.getuid?.() !== 0) return 'it is made by root only'
  try {
    PROBES[ability]()
    return undefined
  } catch (error) {
    return (error as Error).message.split('\n')[0]!
  }
}

const PROBES: Readonly<Record<Ability, () => void>> = {
  mounts: () => {
    const folder = mkdtempSync(join(tmpdir(), 'odradek-probe-'))
    try {
      const disk = new LoopDisk(join(folder, 'image'), join(folder, 'mounted'), 16)
      try {
        disk.powerOff()
      } finally {
        disk.remove()
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
  cgroups: () => new ControlGroup('probe').remove(),
  prlimit: () => void run('prlimit', '--version'),
  faketime: () => {
    if (faketimeLibrary() === undefined) throw new Error('libfaketime is not installed')
  },
  packets: () => {
    // In a namespace that ends with the command.
    const rules =
      'add table inet probe; add chain inet probe c { type filter hook input priority 0; }'
    run('unshare', '--net', 'nft', rules)
  },
}

const FAKETIME = 'faketime/libfaketimeMT.so.1'

/** To be loaded before a program. */
export function faketimeLibrary(): string | undefined {
  const folders = ['/usr/lib', '/usr/lib64', '/usr/local/lib']
  if (existsSync('/usr/lib')) {
    folders.push(...readdirSync('/usr/lib').map((name) => join('/usr/lib', name)))
  }
  return folders.map((folder) => join(folder, FAKETIME)).find((path) => existsSync(path))
}

const FS_IOC_SHUTDOWN = '0x8004587d'
/** The log of the file system is not written either. */
const NO_LOG_FLUSH = 2
const SHUT_DOWN = `open(my $file, '<', $ARGV[0]) or die "$!";
my $flags = pack('L', ${NO_LOG_FLUSH});
ioctl($file, ${FS_IOC_SHUTDOWN}, $flags) or die "shutdown: $!"`

/** A file system in a file, which can lose its power. */
export class LoopDisk {
  readonly image: string
  readonly directory: string
  #isMounted = false

  constructor(image: string, directory: string, sizeMegabytes: number) {
    this.image = image
    this.directory = directory
    mkdirSync(directory, { recursive: true })
    run('truncate', '-s', `${sizeMegabytes}M`, image)
    run('mkfs.ext4', '-q', '-F', image)
    undo.push(() => this.remove())
    this.mount()
  }

  mount(): void {
    run('mount', '-o', 'loop', this.image, this.directory)
    this.#isMounted = true
    writeFileSync(join(this.directory, POWER_FILE), '')
  }

  /** From now on every call fails, and what was not synced is gone. */
  powerOff(): void {
    run('perl', '-e', SHUT_DOWN, join(this.directory, POWER_FILE))
  }

  /** When no process uses it any more. */
  unmount(): void {
    if (!this.#isMounted) return
    run('umount', this.directory)
    this.#isMounted = false
  }

  /** Until `free`: nothing is left. */
  fill(): void {
    const { bsize, bavail } = statfsSync(this.directory)
    run('fallocate', '-l', String(bsize * bavail), join(this.directory, FILLER))
  }

  free(): void {
    rmSync(join(this.directory, FILLER), { force: true })
  }

  remove(): void {
    if (this.#isMounted) {
      // A process that was killed just now may hold it for a moment.
      for (let attempt = 0; spawnSync('umount', [this.directory]).status !== 0; attempt++) {
        if (attempt === UNMOUNTS_MAX) throw new Error(`${this.directory} is still in use`)
        spawnSync('sleep', ['0.1'])
      }
      this.#isMounted = false
    }
    rmSync(this.image, { force: true })
  }
}

/** What the order to lose power is given to. */
export const POWER_FILE = '.power'
const FILLER = '.filler'
const UNMOUNTS_MAX = 50
const GROUPS = '/sys/fs/cgroup'
const CPU_PERIOD_US = 100_000

/** Limits for one process: version 1 or 2 of control groups, whichever is there. */
export class ControlGroup {
  readonly #name: string
  readonly #folders: readonly string[]
  readonly #isUnified: boolean

  constructor(name: string) {
    this.#name = `odradek-${process.pid}-${name}`
    this.#isUnified = existsSync(join(GROUPS, 'cgroup.controllers'))
    this.#folders = this.#isUnified
      ? [join(GROUPS, this.#name)]
      : ['freezer', 'cpu', 'memory'].map((kind) => join(GROUPS, kind, this.#name))
    for (const folder of this.#folders) mkdirSync(folder)
    undo.push(() => this.remove())
  }

  #write(kind: string, file: string, value: string): void {
    const folder = this.#isUnified
      ? this.#folders[0]!
      : this.#folders.find((one) => one.includes(`/${kind}/`))!
    writeFileSync(join(folder, file), value)
  }

  add(pid: number): void {
    for (const folder of this.#folders) writeFileSync(join(folder, 'cgroup.procs'), String(pid))
  }

  freeze(): void {
    if (this.#isUnified) this.#write('', 'cgroup.freeze', '1')
    else this.#write('freezer', 'freezer.state', 'FROZEN')
  }

  thaw(): void {
    if (this.#isUnified) this.#write('', 'cgroup.freeze', '0')
    else this.#write('freezer', 'freezer.state', 'THAWED')
  }

  /** Of one core. */
  limitCpu(share: number): void {
    const quotaUs = Math.round(share * CPU_PERIOD_US)
    if (this.#isUnified) this.#write('', 'cpu.max', `${quotaUs} ${CPU_PERIOD_US}`)
    else this.#write('cpu', 'cpu.cfs_quota_us', String(quotaUs))
  }

  /** A process that takes more is ended by the system. */
  limitMemory(megabytes: number): void {
    const bytes = String(megabytes * 1024 * 1024)
    if (this.#isUnified) this.#write('', 'memory.max', bytes)
    else this.#write('memory', 'memory.limit_in_bytes', bytes)
  }

  /** Its processes go back to where all are. Idempotent. */
  remove(): void {
    for (const folder of this.#folders) {
      if (!existsSync(folder)) continue
      for (const pid of run('cat', join(folder, 'cgroup.procs')).split('\n')) {
        if (pid !== '')
          spawnSync('sh', ['-c', `echo ${pid} > ${join(folder, '..', 'cgroup.procs')}`])
      }
      run('rmdir', folder)
    }
  }
}

/** Open files that a running process may have from now on. */
export function limitFiles(pid: number, count: number): void {
  run('prlimit', '--pid', String(pid), `--nofile=${count}:`)
}

export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Rules for packets to and from ports of this machine. Needs a network namespace of our own. */
export class PacketFilter {
  constructor() {
    run('nft', 'add table inet odradek')
    run('nft', 'add chain inet odradek input { type filter hook input priority 0; }')
    undo.push(() => this.remove())
  }

  /** `what`: 'drop', 'reject with tcp reset', ... for packets that go to the port. */
  toPort(port: number, what: string): void {
    run('nft', `add rule inet odradek input tcp dport ${port} ${what}`)
  }

  /** For packets that come from the port. */
  fromPort(port: number, what: string): void {
    run('nft', `add rule inet odradek input tcp sport ${port} ${what}`)
  }

  heal(): void {
    run('nft', 'flush chain inet odradek input')
  }

  remove(): void {
    spawnSync('nft', ['delete', 'table', 'inet', 'odradek'])
  }
}
