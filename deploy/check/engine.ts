/**
 * A Docker engine for the checks: the one that is there, or one of our own, which needs root, touches
 * no firewall, and leaves nothing behind.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Skip } from './report.ts'
import { eventually, find, must, need, type RunOptions, run } from './tools.ts'

const START_MS = 60_000
const STOP_MS = 60_000
/** Paths of Unix sockets are short, so not in a long temporary directory. */
const WORK = '/tmp/odradek-check-'

export class Engine {
  readonly #host: string | undefined
  readonly #own: { child: ChildProcess; directory: string } | undefined

  private constructor(host: string | undefined, own?: { child: ChildProcess; directory: string }) {
    this.#host = host
    this.#own = own
  }

  /** Throws Skip when there is none and none can be started. */
  static async open(): Promise<Engine> {
    need('docker')
    const { code } = await run('docker', ['info'], { limitMs: 20_000 })
    if (code === 0) return new Engine(undefined)
    const dockerd = find('dockerd')
    if (process.platform !== 'linux' || process.getuid?.() !== 0 || dockerd === undefined) {
      throw new Skip('no Docker engine answers, and starting one takes dockerd, Linux and root')
    }
    return Engine.#start(dockerd)
  }

  static async #start(dockerd: string): Promise<Engine> {
    const directory = mkdtempSync(WORK)
    const log = openSync(join(directory, 'log'), 'w')
    const host = `unix://${directory}/docker.sock`
    const flags = ['--iptables=false', '--ip6tables=false', '--bridge=none', '-H', host]
    const folders = ['--data-root', `${directory}/data`, '--exec-root', `${directory}/exec`]
    const child = spawn(dockerd, [...flags, ...folders, '-p', `${directory}/docker.pid`], {
      stdio: ['ignore', log, log],
    })
    const engine = new Engine(host, { child, directory })
    try {
      await eventually('dockerd answers', START_MS, async () => {
        if (child.exitCode !== null) {
          throw new Error(readFileSync(join(directory, 'log'), 'utf8').slice(-1500))
        }
        const { code } = await engine.try(['info'], { limitMs: 10_000 })
        return code === 0 ? true : undefined
      })
    } catch (error) {
      await engine.close()
      throw new Skip(`dockerd does not run here: ${(error as Error).message}`)
    }
    return engine
  }

  get isOwn(): boolean {
    return this.#own !== undefined
  }

  /** For programs that look for the engine themselves. The classic builder needs no plug-in. */
  get environment(): NodeJS.ProcessEnv {
    const host = this.#host === undefined ? {} : { DOCKER_HOST: this.#host }
    return { ...host, DOCKER_BUILDKIT: '0', COMPOSE_DOCKER_CLI_BUILD: '0' }
  }

  /** Runs `docker` with these arguments; its standard output. Throws when it fails. */
  docker(args: readonly string[], options: RunOptions = {}): Promise<string> {
    return must('docker', args, { ...options, env: { ...this.environment, ...options.env } })
  }

  try(args: readonly string[], options: RunOptions = {}) {
    return run('docker', args, { ...options, env: { ...this.environment, ...options.env } })
  }

  async close(): Promise<void> {
    if (this.#own === undefined) return
    const { child, directory } = this.#own
    if (child.exitCode === null) {
      child.kill('SIGTERM')
      await eventually('dockerd ends', STOP_MS, async () =>
        child.exitCode === null ? undefined : 1,
      )
    }
    const { stdout } = await run('findmnt', ['-rno', 'TARGET'])
    for (const target of stdout.split('\n').reverse()) {
      if (target.startsWith(`${directory}/`)) await run('umount', [target])
    }
    rmSync(directory, { recursive: true, force: true })
  }
}
