/** The client behind a command: options that every one of them takes, and exit codes. */
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { realClock } from '../../base/real/clock.ts'
import { realNetwork } from '../../base/real/network.ts'
import { Cluster, KafkaError } from '../../kafka/client/cluster.ts'
import { ClientError } from '../../kafka/client/connection.ts'
import { type Format, formatOf } from './output.ts'

export interface SharedOptions {
  readonly bootstrap: string
  readonly output: string
  readonly timeout: string
}

export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  unreachable: 3,
  notFound: 4,
  timeout: 5,
  denied: 6,
  unhealthy: 7,
  interrupted: 130,
} as const

const DEFAULT_BOOTSTRAP = '127.0.0.1:9092'
const ADDRESS = /^(\[[0-9a-fA-F:]+\]|[^\s:]+):\d{1,5}$/
const NOT_FOUND_ERRORS: ReadonlySet<number> = new Set([3, 69, 91, 100])
const DENIED_ERRORS: ReadonlySet<number> = new Set([29, 30, 31, 53, 58])

export function withSharedOptions(command: Command): Command {
  return command
    .option('-b, --bootstrap <addresses>', 'HOST:PORT of brokers, by comma', DEFAULT_BOOTSTRAP)
    .option('-o, --output <format>', 'text, wide, json, yaml or ndjson', 'text')
    .option('--timeout <ms>', 'how long to wait for an answer', '15000')
}

/** Runs `work` with a cluster, and closes it. */
export async function withCluster(
  options: SharedOptions,
  work: (cluster: Cluster, format: Format) => Promise<void>,
): Promise<void> {
  const format = formatOf(options.output)
  const cluster = new Cluster(
    { network: realNetwork, clock: realClock },
    {
      bootstrap: addressesOf(options.bootstrap),
      clientId: 'odradek-cli',
      timeoutMs: wholeNumber(options.timeout, '--timeout'),
    },
  )
  try {
    await work(cluster, format)
  } catch (error) {
    throw withHint(error, options.bootstrap)
  } finally {
    await cluster.close()
  }
}

/** Of brokers, by comma. Throws UserError. */
export function addressesOf(bootstrap: string): string[] {
  const addresses = bootstrap.split(',').map((address) => address.trim())
  const odd = addresses.find((address) => !ADDRESS.test(address))
  if (odd === undefined) return addresses
  throw new UserError(`--bootstrap takes HOST:PORT, by comma, not '${odd}'`, EXIT.usage)
}

/** Whoever has not said where the cluster is may not have one yet. */
function withHint(error: unknown, bootstrap: string): unknown {
  const isNobody = error instanceof ClientError && error.code === 'unreachable'
  if (!isNobody || bootstrap !== DEFAULT_BOOTSTRAP) return error
  const hint = 'start a cluster by `odradek dev`, or say where yours is: --bootstrap HOST:PORT'
  return new UserError(`${error.message}: ${hint}`, EXIT.unreachable, { cause: error })
}

export function wholeNumber(text: string, name: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0 || text.trim() === '') {
    throw new UserError(`${name} takes a whole number, not '${text}'`, EXIT.usage)
  }
  return value
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof UserError) return error.exitCode
  if (error instanceof ClientError) {
    if (error.code === 'timeout') return EXIT.timeout
    return error.code === 'unreachable' || error.code === 'closed' ? EXIT.unreachable : EXIT.failure
  }
  if (error instanceof KafkaError) {
    if (NOT_FOUND_ERRORS.has(error.code)) return EXIT.notFound
    if (DENIED_ERRORS.has(error.code)) return EXIT.denied
    return error.code === 7 ? EXIT.timeout : EXIT.failure
  }
  return EXIT.failure
}
