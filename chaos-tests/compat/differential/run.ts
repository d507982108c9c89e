/*
 * Asks Apache Kafka and Odradek the same, right and wrong, at every version of each API, and compares
 * the answers field by field. What differs on purpose is listed with its reason in wanted.ts.
 */
import { parseArgs } from 'node:util'
import { type ServerOptions, startServer } from '../../cluster/processes.ts'
import { prepareKafkaLibs } from '../toolchains.ts'
import { ADMIN_CASES } from './admin.ts'
import { GROUP_CASES } from './groups.ts'
import { differences } from './plain.ts'
import { RECORD_CASES } from './records.ts'
import { type Answer, Session } from './session.ts'
import { type Case, TOPIC_CASES } from './topics.ts'
import { wantedBecause } from './wanted.ts'

const CASES: readonly Case[] = [...TOPIC_CASES, ...RECORD_CASES, ...GROUP_CASES, ...ADMIN_CASES]
/** What each has another default for is set for both. */
const PROPERTIES = {
  'offsets.topic.num.partitions': '1',
  'group.initial.rebalance.delay.ms': '0',
  'min.insync.replicas': '1',
}

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, verbose: { type: 'boolean', default: false } },
})

const print = (line: string) => process.stdout.write(`${line}\n`)

async function answersOf(port: number, one: Case): Promise<readonly Answer[]> {
  const session = new Session(port)
  try {
    await one.run(session)
  } catch (error) {
    session.answers.push({ label: 'the case itself', body: `failed: ${(error as Error).message}` })
  } finally {
    session.close()
  }
  return session.answers
}

interface Sum {
  answers: number
  wanted: number
  unwanted: number
}

function compare(one: Case, kafka: readonly Answer[], odradek: readonly Answer[], sum: Sum): void {
  for (let i = 0; i < Math.max(kafka.length, odradek.length); i++) {
    sum.answers++
    const label = kafka[i]?.label ?? odradek[i]!.label
    for (const found of differences(kafka[i]?.body, odradek[i]?.body)) {
      const reason = wantedBecause(one.name, label, found)
      if (reason !== undefined) sum.wanted++
      else sum.unwanted++
      if (reason !== undefined && !values.verbose) continue
      const shown = `${JSON.stringify(found.kafka)} in Kafka, ${JSON.stringify(found.odradek)} here`
      print(`${reason ?? 'DIFFERS'}: ${one.name}: ${label}: ${found.path}: ${shown}`)
    }
  }
}

async function main(): Promise<number> {
  const kafkaLibs = await prepareKafkaLibs()
  const start = (peer: ServerOptions['peer']) => {
    return startServer({ peer, kafkaLibs, properties: PROPERTIES })
  }
  const servers = await Promise.all([start('kafka'), start('odradek')])
  const sum = { answers: 0, wanted: 0, unwanted: 0 }
  try {
    const [kafka, odradek] = servers
    for (const one of CASES.filter(({ name }) => name.includes(values.only))) {
      const [theirs, ours] = await Promise.all([
        answersOf(kafka!.ports.kafka, one),
        answersOf(odradek!.ports.kafka, one),
      ])
      compare(one, theirs, ours, sum)
    }
  } finally {
    await Promise.all(servers.map((server) => server.remove()))
  }
  print(`${sum.answers} answers; differences: ${sum.unwanted}, and ${sum.wanted} on purpose`)
  return sum.unwanted === 0 ? 0 : 1
}

process.exitCode = await main()
