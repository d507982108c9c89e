/** A real API server of Kubernetes beside its etcd, for the checks: it says what it takes. No pod ever runs. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Skip } from './report.ts'
import { eventually, find, freePorts, must, need, ROOT } from './tools.ts'

const START_MS = 90_000
const ASK_MS = 30_000
const SAID_CHARS = 1500
/** Of one user, who may do everything. */
const TOKEN = 'check'

export interface ApiAnswer {
  readonly status: number
  readonly text: string
  /** What the server says beside its answer, such as that a pod would break a policy. */
  readonly warnings: string
}

export class ApiServer {
  readonly #directory: string
  readonly #port: number
  readonly #children: ChildProcess[] = []

  private constructor(directory: string, port: number) {
    this.#directory = directory
    this.#port = port
  }

  /** Throws Skip when kube-apiserver, etcd or openssl is not here. */
  static async start(): Promise<ApiServer> {
    const program = process.env['KUBE_APISERVER'] ?? find('kube-apiserver')
    if (program === undefined) throw new Skip('kube-apiserver is not installed (see .ci/tools)')
    const etcd = need('etcd')
    need('openssl')
    const directory = mkdtempSync(join(tmpdir(), 'odradek-kubernetes-'))
    const [port, store, peer] = await freePorts(3)
    const server = new ApiServer(directory, port!)
    try {
      await server.#makeKeys()
      server.#spawn(etcd, etcdFlags(directory, store!, peer!))
      server.#spawn(program, apiFlags(directory, port!, store!))
      await eventually('the API server is ready', START_MS, () => server.#isReady())
    } catch (error) {
      await server.close()
      throw error
    }
    return server
  }

  /** For Helm. */
  get kubeconfig(): string {
    return join(this.#directory, 'kubeconfig')
  }

  /** A body is YAML, or JSON, which is YAML too. */
  ask(method: string, path: string, body?: string): Promise<ApiAnswer> {
    const type = method === 'PATCH' ? 'application/apply-patch+yaml' : 'application/yaml'
    const options = {
      method,
      path,
      port: this.#port,
      host: '127.0.0.1',
      agent: false,
      timeout: ASK_MS,
      rejectUnauthorized: false, // it has just made its certificate
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': type },
    }
    return new Promise((resolve, reject) => {
      const asked = request(options, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const warnings = String(response.headers['warning'] ?? '')
          resolve({ status: response.statusCode ?? 0, text: `${Buffer.concat(chunks)}`, warnings })
        })
      })
      asked.on('timeout', () => asked.destroy(new Error(`${path}: no answer in ${ASK_MS} ms`)))
      asked.on('error', reject)
      asked.end(body)
    })
  }

  /** Throws when the server refuses. */
  async mustTake(method: string, path: string, body: string): Promise<ApiAnswer> {
    const answer = await this.ask(method, path, body)
    if (answer.status < 300) return answer
    throw new Error(`${method} ${path} is answered ${answer.status}: ${answer.text.slice(0, 500)}`)
  }

  async close(): Promise<void> {
    for (const child of this.#children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = new Promise((resolve) => child.once('exit', resolve))
      if (child.kill('SIGKILL')) await ended
    }
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #makeKeys(): Promise<void> {
    const key = join(this.#directory, 'accounts.key')
    await must('openssl', ['genrsa', '-out', key, '2048'])
    writeFileSync(join(this.#directory, 'tokens.csv'), `${TOKEN},check,check,"system:masters"\n`)
    const cluster = {
      server: `https://127.0.0.1:${this.#port}`,
      'insecure-skip-tls-verify': true,
    }
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'check',
      contexts: [{ name: 'check', context: { cluster: 'check', user: 'check' } }],
      clusters: [{ name: 'check', cluster }],
      users: [{ name: 'check', user: { token: TOKEN } }],
    }
    writeFileSync(this.kubeconfig, JSON.stringify(config), { mode: 0o600 })
  }

  #spawn(program: string, flags: readonly string[]): void {
    const log = openSync(join(this.#directory, `log-${this.#children.length}`), 'w')
    this.#children.push(spawn(program, flags, { cwd: ROOT, stdio: ['ignore', log, log] }))
  }

  async #isReady(): Promise<true | undefined> {
    this.#children.forEach((child, k) => {
      if (child.exitCode === null) return
      const said = readFileSync(join(this.#directory, `log-${k}`), 'utf8').slice(-SAID_CHARS)
      throw new Error(`${child.spawnfile} has ended: ${said}`)
    })
    const answer = await this.ask('GET', '/readyz').catch(() => undefined) // not listening yet
    return answer?.status === 200 ? true : undefined
  }
}

function etcdFlags(directory: string, port: number, peerPort: number): string[] {
  const client = `http://127.0.0.1:${port}`
  const peer = `http://127.0.0.1:${peerPort}`
  return [
    `--data-dir=${directory}/etcd`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
  ]
}

function apiFlags(directory: string, port: number, etcdPort: number): string[] {
  return [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    `--cert-dir=${directory}/certificates`,
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${directory}/accounts.key`,
    `--service-account-signing-key-file=${directory}/accounts.key`,
    `--token-auth-file=${directory}/tokens.csv`,
    '--authorization-mode=AlwaysAllow',
    '--service-cluster-ip-range=10.96.0.0/16',
  ]
}
