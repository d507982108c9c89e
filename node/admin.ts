/**
 * HTTP on each node: health, metrics and the JSON that the command line reads. It answers from what
 * the node knows already; no request reaches the data path.
 *
 * A page in somebody's browser must not be able to read a node on the same machine: requests whose
 * Host is neither an IP address, nor localhost, nor a name that was configured, are refused.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import { UserError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import { CONTENT_TYPES, type Exposition } from './metrics.ts'

export interface Readiness {
  readonly isReady: boolean
  readonly state: string
  readonly reasons: readonly string[]
}

/** What the pages show. Every call is a read. */
export interface AdminSource {
  readiness(): Readiness
  metrics(exposition: Exposition): Promise<string>
  cluster(): unknown
  topics(): unknown
  topic(name: string): unknown | undefined
  groups(): unknown
  group(name: string): unknown | undefined
  throughput(): unknown
  config(): unknown
}

const PATH_LENGTH_MAX = 2048
const HEADERS_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 10_000

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

const json = (status: number, value: unknown): Answer => ({
  status,
  type: 'application/json; charset=utf-8',
  body: `${JSON.stringify(value, null, 2)}\n`,
})

const refusal = (status: number, message: string): Answer => json(status, { error: message })

export class AdminServer {
  readonly #source: AdminSource
  readonly #logger: Logger
  readonly #hosts: ReadonlySet<string>
  readonly #server: Server
  #port = 0

  /** `hosts`: names beside localhost and addresses under which people may open the pages. */
  constructor(source: AdminSource, logger: Logger, hosts: readonly string[]) {
    this.#source = source
    this.#logger = logger
    this.#hosts = new Set(['localhost', ...hosts.map((host) => host.toLowerCase())])
    this.#server = createServer(
      { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS },
      (request, response) => void this.#serve(request, response),
    )
    this.#server.maxConnections = 256
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  get port(): number {
    return this.#port
  }

  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        reject(new UserError(explain(error, host, port), 1, { cause: error }))
      })
      this.#server.listen(port, host, () => {
        const address = this.#server.address()
        this.#port = typeof address === 'object' && address !== null ? address.port : port
        resolve()
      })
    })
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: Answer
    try {
      answer = await this.#answer(request)
    } catch (error) {
      this.#logger.error('An HTTP request failed.', { path: request.url, error: String(error) })
      answer = refusal(500, 'internal error; the log of the node says more')
    }
    request.resume()
    response.writeHead(answer.status, {
      'content-type': answer.type,
      'content-length': Buffer.byteLength(answer.body),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    response.end(request.method === 'HEAD' ? undefined : answer.body)
  }

  #answer(request: IncomingMessage): Answer | Promise<Answer> {
    if (!this.#isKnownHost(request.headers.host)) {
      return refusal(421, 'unknown Host header: open this page by address or by localhost')
    }
    const url = request.url ?? '/'
    if (url.length > PATH_LENGTH_MAX) return refusal(414, 'the path is too long')
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return refusal(405, `${request.method} is not allowed here: these pages are read only`)
    }
    const path = url.split('?', 1)[0]!
    return this.#page(path, request.headers.accept ?? '')
  }

  #page(path: string, accept: string): Answer | Promise<Answer> {
    switch (path) {
      case '/livez':
        return json(200, { status: 'live' })
      case '/readyz': {
        const readiness = this.#source.readiness()
        return json(readiness.isReady ? 200 : 503, readiness)
      }
      case '/metrics':
        return this.#metrics(accept)
      case '/api/v1/cluster':
        return json(200, this.#source.cluster())
      case '/api/v1/topics':
        return json(200, this.#source.topics())
      case '/api/v1/groups':
        return json(200, this.#source.groups())
      case '/api/v1/throughput':
        return json(200, this.#source.throughput())
      case '/api/v1/config':
        return json(200, this.#source.config())
      default:
        return this.#named(path)
    }
  }

  #named(path: string): Answer {
    const match = /^\/api\/v1\/(topics|groups)\/([^/]+)$/.exec(path)
    const name = match === null ? undefined : decode(match[2]!)
    if (match === null || name === undefined) return refusal(404, 'there is no such page')
    const found = match[1] === 'topics' ? this.#source.topic(name) : this.#source.group(name)
    if (found !== undefined) return json(200, found)
    return refusal(404, `there is no ${match[1] === 'topics' ? 'topic' : 'group'} of that name`)
  }

  async #metrics(accept: string): Promise<Answer> {
    const exposition: Exposition = accept.includes('application/openmetrics-text')
      ? 'openmetrics'
      : 'prometheus'
    const body = await this.#source.metrics(exposition)
    return { status: 200, type: CONTENT_TYPES[exposition], body }
  }

  #isKnownHost(header: string | undefined): boolean {
    if (header === undefined) return false
    const name = header.replace(/:\d+$/, '').toLowerCase()
    return this.#hosts.has(name) || isIP(name.replace(/^\[|\]$/g, '')) !== 0
  }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): string {
  if (error.code === 'EADDRINUSE') {
    return `http.address ${host}:${port} is taken: another program listens there; choose another port`
  }
  if (error.code === 'EACCES') return `http.address ${host}:${port} may not be used by this user`
  return `http.address ${host}:${port} can't be opened: ${error.message}`
}
