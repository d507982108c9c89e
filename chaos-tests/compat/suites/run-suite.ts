/*
 * Runs a client's own suite against nodes of ours (or of Apache Kafka, to compare): starts the
 * nodes where the suite looks for them, runs its command, reads its report, and says apart what
 * failed and what this release does not have.
 */
import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts, type Peer, ServerProcess, temporaryDirectory } from '../../cluster/processes.ts'
import { print } from '../report.ts'
import { prepareKafkaLibs } from '../toolchains.ts'
import { franzGoSuite } from './franz-go-suite.ts'
import { kafkaPythonSuite } from './kafka-python-suite.ts'
import { kafkajsSuite } from './kafkajs-suite.ts'
import { librdkafkaSuite } from './librdkafka-suite.ts'
import type { Suite, SuiteCommand, TestOutcome } from './suite.ts'

export const SUITES: readonly Suite[] = [
  kafkajsSuite,
  franzGoSuite,
  kafkaPythonSuite,
  librdkafkaSuite,
]

export interface SuiteFlags {
  readonly suite: string
  readonly checkout: string
  readonly nodes: number
  readonly peer: Peer
  readonly filter: string | undefined
}

/** Nodes that are one cluster, at the suite's own ports where it has some. */
async function startNodes(
  suite: Suite,
  flags: SuiteFlags,
  kafkaLibs: string | undefined,
): Promise<ServerProcess[]> {
  const free = await freePorts(3 * flags.nodes)
  const firstId = suite.firstNodeId ?? 1
  const ports = Array.from({ length: flags.nodes }, (_, at) => ({
    kafka: suite.ports?.[at] ?? free[3 * at]!,
    controller: free[3 * at + 1]!,
    http: free[3 * at + 2]!,
  }))
  const voters = ports.map(({ controller }, at) => `${firstId + at}@127.0.0.1:${controller}`)
  const replicas = String(Math.min(3, flags.nodes))
  const majority = String(Math.min(2, flags.nodes))
  const servers = ports.map((own, at) => {
    const properties = {
      'node.id': String(firstId + at),
      'advertised.listeners': `PLAINTEXT://localhost:${own.kafka}`,
      'controller.quorum.voters': voters.join(','),
      'group.initial.rebalance.delay.ms': '0',
      'offsets.topic.num.partitions': '8',
      'offsets.topic.replication.factor': replicas,
      'transaction.state.log.replication.factor': replicas,
      'transaction.state.log.min.isr': majority,
      'default.replication.factor': replicas,
      'min.insync.replicas': '1',
      ...suite.properties,
      ...(flags.nodes === 1 ? { 'default.replication.factor': '1' } : {}),
    }
    const libs = kafkaLibs === undefined ? {} : { kafkaLibs }
    return new ServerProcess({ peer: flags.peer, properties, ...libs }, own)
  })
  await Promise.all(servers.map((server) => server.start()))
  return servers
}

/** Runs the command to its end or its limit; gives what it printed. */
async function runCommand(command: SuiteCommand, limitMs: number, logFile: string) {
  const child = spawn(command.command, command.commandArguments, {
    cwd: command.cwd,
    env: { ...process.env, ...command.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log = createWriteStream(logFile)
  const printed: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => {
    printed.push(chunk)
    log.write(chunk)
  })
  child.stderr.on('data', (chunk: Buffer) => log.write(chunk))
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
  await new Promise<void>((resolve) => {
    child.once('error', (error) => {
      log.write(`${error.message}\n`)
      resolve()
    })
    child.once('close', () => resolve())
  })
  clearTimeout(timer)
  await new Promise((resolve) => log.end(() => resolve(undefined)))
  return Buffer.concat(printed).toString()
}

interface Totals {
  readonly passed: number
  readonly skipped: number
  readonly failed: readonly TestOutcome[]
  /** How many tests failed for each reason that is none of ours. */
  readonly notHere: ReadonlyMap<string, number>
}

export function sortOutcomes(suite: Suite, outcomes: readonly TestOutcome[]): Totals {
  const failed: TestOutcome[] = []
  const notHere = new Map<string, number>()
  for (const outcome of outcomes) {
    if (outcome.state !== 'failed') continue
    const text = `${outcome.name}\n${outcome.message}`
    const rule = suite.notHere.find(({ match }) => match.test(text))
    if (rule === undefined) failed.push(outcome)
    else notHere.set(rule.reason, (notHere.get(rule.reason) ?? 0) + 1)
  }
  const count = (state: TestOutcome['state']) =>
    outcomes.filter((one) => one.state === state).length
  return { passed: count('passed'), skipped: count('skipped'), failed, notHere }
}

/** Gives the exit code. */
export async function runSuite(flags: SuiteFlags): Promise<number> {
  const suite = SUITES.find(({ name }) => name === flags.suite)
  if (suite === undefined) {
    print(`there is no suite ${flags.suite}: ${SUITES.map(({ name }) => name).join(', ')}`)
    return 2
  }
  const outDirectory = temporaryDirectory(`suite-${suite.name}`)
  const needsLibs = suite.needsKafkaLibs === true || flags.peer === 'kafka'
  const kafkaLibs = needsLibs ? await prepareKafkaLibs() : undefined
  const servers = await startNodes(suite, flags, kafkaLibs)
  let printed: string
  let command: SuiteCommand
  let dead: readonly ServerProcess[]
  try {
    command = await suite.command({
      checkout: flags.checkout,
      bootstrap: servers.map(({ ports }) => `localhost:${ports.kafka}`),
      firstNodeId: suite.firstNodeId ?? 1,
      outDirectory,
      kafkaLibs,
      filter: flags.filter,
    })
    printed = await runCommand(command, suite.limitMs, join(outDirectory, 'suite.log'))
    dead = servers.filter((server) => !server.isRunning)
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
  }
  const report =
    command.reportFile === undefined ? printed : await readFile(command.reportFile, 'utf8')
  const outcomes = suite.read(report)
  await writeFile(join(outDirectory, 'outcomes.json'), JSON.stringify(outcomes, undefined, 1))
  const { passed, skipped, failed, notHere } = sortOutcomes(suite, outcomes)
  for (const { name, message } of failed) print(`FAIL ${name}\n     ${message}`)
  for (const server of dead) print(`FAIL a node ended\n${server.logTail(40)}`)
  for (const [reason, count] of notHere) print(`not here: ${count} for ${reason}`)
  print(`report and logs: ${outDirectory}`)
  for (const server of servers) print(`a node's log: ${server.logFile}`)
  const sum = [...notHere.values()].reduce((total, one) => total + one, 0)
  print(`${passed} passed, ${failed.length + dead.length} failed, ${skipped + sum} skipped`)
  return passed === 0 || failed.length + dead.length > 0 ? 1 : 0
}
