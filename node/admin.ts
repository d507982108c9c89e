/**
 * HTTP on each node: health, metrics and the JSON that the command line reads. It answers from what
 * the node knows already; no request reaches the data path.
 *
 * A page in somebody's browser must not be able to read a node on the same machine: requests whose
 * Host is neither an IP address, nor localhost, nor a name that was configured, are refused. Whoever
 * is slow, sends what is not asked for, or does not read, costs a bounded amount and is cut off.
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

/** What the pages show. All but `drain` are reads. */
export interface AdminSource {
  readiness(): Readiness
  metrics(exposition: Exposition): Promise<readonly Buffer[]>
  kafkaMetrics(exposition: Exposition): Promise<readonly Buffer[]>
  cluster(): unknown
  quorum(): unknown
  topics(): unknown
  topic(name: string): unknown | undefined
  groups(): unknown
  group(name: string): unknown | undefined
  /** Of the whole cluster. */
  throughput(): Promise<unknown>
  config(): unknown
  /** Moves all that the node leads to others; false when that was not done in time. */
  drain(timeoutMs: number): Promise<boolean>
}

const PATH_LENGTH_MAX = 2048
export const DRAIN_PATH = '/api/v1/drain'
export const DRAIN_HEADER = 'x-odradek-drain'
const DRAIN_MAX_MS = 600_000
const HEADER_BYTES_MAX = 8192
/** How long a request may take to arrive; its headers half of that. */
const REQUEST_TIMEOUT_MS = 10_000
/** In one request's time, how often it is looked at. */
const CHECKS = 10
/** Neither a byte in nor a byte out. */
const SILENCE_MS = 15_000
const KEEP_ALIVE_MS = 5_000
const CONNECTIONS_MAX = 256
const REQUESTS_PER_CONNECTION_MAX = 1_000
/** Answers that were made and not read yet, in all. */
const UNSENT_BYTES_MAX = 64 * 1024 * 1024

interface Answer {
  readonly status: number
  readonly type: string
  readonly pieces: readonly Buffer[]
  readonly headers?: Readonly<Record<string, string>>
}

const json = (status: number, value: unknown): Answer => ({
  status,
  type: 'application/json; charset=utf-8',
  pieces: [Buffer.from(`${JSON.stringify(value, null, 2)}\n`)],
})

const refusal = (
  status: number,
  message: string,
  headers: Record<string, string> = {},
): Answer => ({
  ...json(status, { error: message }),
  headers,
})

const STARTING: Readiness = { isReady: false, state: 'starting', reasons: ['starting'] }

export class AdminServer {
  readonly #logger: Logger
  readonly #hosts: ReadonlySet<string>
  readonly #server: Server
  #source: AdminSource | undefined
  #port = 0
  #unsentBytes = 0

  /** `hosts`: names beside localhost and addresses under which people may open the pages. */
  constructor(logger: Logger, hosts: readonly string[], requestTimeoutMs = REQUEST_TIMEOUT_MS) {
    this.#logger = logger
    this.#hosts = new Set(['localhost', ...hosts.map((host) => host.toLowerCase())])
    this.#server = createServer(
      {
        headersTimeout: requestTimeoutMs / 2,
        requestTimeout: requestTimeoutMs,
        connectionsCheckingInterval: requestTimeoutMs / CHECKS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        maxHeaderSize: HEADER_BYTES_MAX,
      },
      (request, response) => void this.#serve(request, response),
    )
    this.#server.maxConnections = CONNECTIONS_MAX
    this.#server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION_MAX
    this.#server.setTimeout(SILENCE_MS)
    this.#server.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
      else socket.destroy()
    })
  }

  get port(): number {
    return this.#port
  }

  /** From now on there is more to say than that the process lives. */
  show(source: AdminSource): void {
    this.#source = source
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
    this.#send(response, answer, request.method === 'HEAD')
  }

  #send(response: ServerResponse, answer: Answer, isHead: boolean): void {
    const sizeBytes = answer.pieces.reduce((sum, piece) => sum + piece.length, 0)
    const isWritten = !isHead
    if (isWritten) this.#unsentBytes += sizeBytes
    response.once('close', () => {
      if (isWritten) this.#unsentBytes -= sizeBytes
    })
    response.writeHead(answer.status, {
      'content-type': answer.type,
      'content-length': sizeBytes,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      ...answer.headers,
    })
    if (isWritten) for (const piece of answer.pieces) response.write(piece)
    response.end()
  }

  #answer(request: IncomingMessage): Answer | Promise<Answer> {
    if (!this.#isKnownHost(request.headers.host)) {
      return refusal(421, 'unknown Host header: open this page by address or by localhost')
    }
    const url = request.url ?? '/'
    if (url.length > PATH_LENGTH_MAX) return refusal(414, 'the path is too long')
    if (request.method === 'POST' && url === DRAIN_PATH) return this.#drain(request)
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      const message = `${request.method} is not allowed here: these pages are read only`
      return refusal(405, message, { allow: 'GET, HEAD', connection: 'close' })
    }
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
    if ((length !== undefined && length !== '0') || encoding !== undefined) {
      return refusal(413, 'these pages take no body', { connection: 'close' })
    }
    if (this.#unsentBytes > UNSENT_BYTES_MAX) {
      return refusal(503, 'too many answers are waiting to be read')
    }
    return this.#page(url.split('?', 1)[0]!, request.headers.accept ?? '')
  }

  /**
   * The one command: from this machine alone, and with a header that a page of another site can't
   * make a browser send.
   */
  async #drain(request: IncomingMessage): Promise<Answer> {
    const limit = Number(request.headers[DRAIN_HEADER])
    if (!isLoopback(request.socket.remoteAddress) || !(limit > 0 && limit <= DRAIN_MAX_MS)) {
      const message = `a drain is asked for on the node's own machine, with ${DRAIN_HEADER}: MS`
      return refusal(403, message, { connection: 'close' })
    }
    if (this.#source === undefined) return refusal(503, 'the node is starting')
    const isDone = await this.#source.drain(limit)
    return json(isDone ? 200 : 504, { isDrained: isDone })
  }

  #page(path: string, accept: string): Answer | Promise<Answer> {
    const source = this.#source
    switch (path) {
      case '/livez':
        return json(200, { status: 'live' })
      case '/readyz': {
        const readiness = source?.readiness() ?? STARTING
        return json(readiness.isReady ? 200 : 503, readiness)
      }
    }
    if (source === undefined) return refusal(503, 'the node is starting')
    switch (path) {
      case '/metrics':
        return metrics(accept, (exposition) => source.metrics(exposition))
      case '/metrics/kafka':
        return metrics(accept, (exposition) => source.kafkaMetrics(exposition))
      case '/api/v1/cluster':
        return json(200, source.cluster())
      case '/api/v1/quorum':
        return json(200, source.quorum())
      case '/api/v1/topics':
        return json(200, source.topics())
      case '/api/v1/groups':
        return json(200, source.groups())
      case '/api/v1/throughput':
        return source.throughput().then((found) => json(200, found))
      case '/api/v1/config':
        return json(200, source.config())
      default:
        return named(source, path)
    }
  }

  #isKnownHost(header: string | undefined): boolean {
    if (header === undefined) return false
    const name = header.replace(/:\d+$/, '').toLowerCase()
    return this.#hosts.has(name) || isIP(name.replace(/^\[|\]$/g, '')) !== 0
  }
}

/** One topic, one group. */
function named(source: AdminSource, path: string): Answer {
  const match = /^\/api\/v1\/(topics|groups)\/([^/]+)$/.exec(path)
  const name = match === null ? undefined : decode(match[2]!)
  if (match === null || name === undefined) return refusal(404, 'there is no such page')
  const found = match[1] === 'topics' ? source.topic(name) : source.group(name)
  if (found !== undefined) return json(200, found)
  return refusal(404, `there is no ${match[1] === 'topics' ? 'topic' : 'group'} of that name here`)
}

async function metrics(
  accept: string,
  render: (exposition: Exposition) => Promise<readonly Buffer[]>,
): Promise<Answer> {
  const isOpen = accept.includes('application/openmetrics-text')
  const exposition: Exposition = isOpen ? 'openmetrics' : 'prometheus'
  return { status: 200, type: CONTENT_TYPES[exposition], pieces: await render(exposition) }
}

/**
 * Whether these pages can be reached from other machines. Throws UserError when they can and nobody
 * said that they may: there is no login.
 */
export function isReachable(host: string, port: number, isAllowed: boolean): boolean {
  if (host === 'localhost' || isLoopback(host)) return false
  if (isAllowed) return true
  throw new UserError(
    `http.address ${host}:${port} can be reached from other machines, and its pages ask for no ` +
      `login: write http.address=127.0.0.1:${port}, or http.insecure=true if that is meant`,
  )
}

function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false
  return address === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(address)
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
