/** odradek consume TOPIC: records as lines, or as JSON. */
import type { Command } from 'commander'
import type { Cluster } from '../../kafka/client/cluster.ts'
import { type ConsumedRecord, Consumer } from '../../kafka/client/consumer.ts'
import { GroupMember } from '../../kafka/client/group-member.ts'
import { type Format, print } from './output.ts'
import { type SharedOptions, wholeNumber, withCluster, withSharedOptions } from './session.ts'

interface ConsumeOptions extends SharedOptions {
  readonly group?: string
  readonly fromBeginning?: boolean
  readonly count?: string
  readonly exit?: boolean
  readonly partition?: string
  readonly offset?: string
  readonly keys?: boolean
}

export function addConsumeCommand(program: Command): void {
  withSharedOptions(program.command('consume <topic>').description('print records as they come'))
    .option('-g, --group <name>', 'share the work with the members of this group, and commit')
    .option('--from-beginning', 'start with the oldest record')
    .option('-n, --count <n>', 'end after so many records')
    .option('-e, --exit', 'end when all that is there has been read')
    .option('-p, --partition <n>', 'this partition only')
    .option('--offset <n>', 'start here (with --partition)')
    .option('-k, --keys', 'print keys too: KEY, tab, VALUE')
    .action((topic: string, options: ConsumeOptions) =>
      withCluster(options, (cluster, format) => consume(cluster, topic, options, format)),
    )
}

async function consume(
  cluster: Cluster,
  topic: string,
  options: ConsumeOptions,
  format: Format,
): Promise<void> {
  const consumer = new Consumer(cluster, {
    startAt: options.fromBeginning === true ? 'earliest' : 'latest',
  })
  const member =
    options.group === undefined
      ? undefined
      : new GroupMember(cluster, { group: options.group, topics: [topic] })
  let isInterrupted = false
  const interrupt = () => {
    isInterrupted = true
  }
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  const countMax =
    options.count === undefined ? Number.POSITIVE_INFINITY : wholeNumber(options.count, '--count')
  let count = 0
  try {
    if (member === undefined) await consumer.assign(await partitionsOf(cluster, topic, options))
    while (!isInterrupted && count < countMax) {
      if (member?.mustRejoin === true) await consumer.assign(await member.join())
      const records = await consumer.poll()
      for (const record of records.slice(0, countMax - count)) printRecord(record, options, format)
      count += Math.min(records.length, countMax - count)
      await member?.commit(consumer.positions())
      if (records.length === 0 && options.exit === true && (await isAtEnd(consumer))) break
    }
  } finally {
    await member?.close()
  }
}

/** A partition without a leader gives no records either, and is not read to its end. */
async function isAtEnd(consumer: Consumer): Promise<boolean> {
  for (const { topic, partition, offset } of consumer.positions()) {
    if (offset < (await consumer.offset(topic, partition, 'latest'))) return false
  }
  return true
}

async function partitionsOf(cluster: Cluster, topic: string, options: ConsumeOptions) {
  const count = (await cluster.leaders(topic)).length
  if (options.partition !== undefined) {
    const offset =
      options.offset === undefined ? undefined : wholeNumber(options.offset, '--offset')
    return [{ topic, partition: wholeNumber(options.partition, '--partition'), offset }]
  }
  return Array.from({ length: count }, (_, partition) => ({ topic, partition }))
}

function printRecord(record: ConsumedRecord, options: ConsumeOptions, format: Format): void {
  const value = record.value?.toString() ?? null
  const key = record.key?.toString() ?? null
  if (format === 'text') {
    print(options.keys === true ? `${key ?? ''}\t${value ?? ''}` : (value ?? ''))
    return
  }
  if (format === 'wide') {
    print(`${record.partition}:${record.offset}\t${key ?? ''}\t${value ?? ''}`)
    return
  }
  const headers = record.headers.map((header) => [header.key, header.value?.toString() ?? null])
  print(
    JSON.stringify({
      topic: record.topic,
      partition: record.partition,
      offset: record.offset,
      timestamp: record.timestampMs,
      key,
      value,
      headers,
    }),
  )
}
