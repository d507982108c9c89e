/** odradek produce TOPIC: each line of standard input is a record. */
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { Producer, type ProducerRecord } from '../../kafka/client/producer.ts'
import { say } from './output.ts'
import { EXIT, type SharedOptions, wholeNumber, withCluster, withSharedOptions } from './session.ts'

interface ProduceOptions extends SharedOptions {
  readonly key?: string
  readonly keySeparator?: string
  readonly partition?: string
  readonly header?: string[]
  readonly compression: string
}

/** As many lines wait at most while others are on their way; then the input is not read. */
const WAITING_RECORDS_MAX = 500
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

export function addProduceCommand(program: Command): void {
  withSharedOptions(
    program
      .command('produce <topic> [value]')
      .description('send one record, or each line of standard input'),
  )
    .option('-k, --key <key>', 'key of the records')
    .option('-K, --key-separator <text>', 'each line is KEY, this text, VALUE')
    .option('-p, --partition <n>', 'send to this partition')
    .option('-H, --header <name=value...>', 'headers of the records')
    .option('-z, --compression <codec>', CODECS.join(', '), 'none')
    .action((topic: string, value: string | undefined, options: ProduceOptions) =>
      withCluster(options, async (cluster) => {
        const compression = CODECS.find((codec) => codec === options.compression)
        if (compression === undefined) {
          throw new UserError(`--compression takes one of ${CODECS.join(', ')}`, EXIT.usage)
        }
        const producer = new Producer(cluster, { compression })
        const sent =
          value === undefined
            ? await sendLines(producer, topic, options)
            : (await producer.send(topic, [recordOf(value, options)])).length
        say(`sent ${sent} ${sent === 1 ? 'record' : 'records'} to ${topic}`)
      }),
    )
}

/**
 * A line is sent as soon as it is read; those that arrive while others are on their way go together
 * in the next request. So a slow pipe waits for nobody, and a quick one makes large batches.
 */
async function sendLines(
  producer: Producer,
  topic: string,
  options: ProduceOptions,
): Promise<number> {
  let waiting: ProducerRecord[] = []
  let sending: Promise<void> | undefined
  let sent = 0
  const sendWaiting = async () => {
    while (waiting.length > 0) {
      const records = waiting
      waiting = []
      sent += (await producer.send(topic, records)).length
    }
    sending = undefined
  }
  const lines = createInterface({ input: process.stdin })
  for await (const line of lines) {
    waiting.push(recordOf(line, options))
    if (sending === undefined) {
      sending = sendWaiting()
      // No more input is waited for; the failure itself is thrown where `sending` is awaited.
      sending.catch(() => lines.close())
    }
    if (waiting.length >= WAITING_RECORDS_MAX) await sending
  }
  await sending
  return sent
}

function recordOf(line: string, options: ProduceOptions): ProducerRecord {
  const at = options.keySeparator === undefined ? -1 : line.indexOf(options.keySeparator)
  const key = at >= 0 ? line.slice(0, at) : options.key
  const value = at >= 0 ? line.slice(at + options.keySeparator!.length) : line
  return {
    key: key === undefined ? null : Buffer.from(key),
    value: Buffer.from(value),
    headers: (options.header ?? []).map(headerOf),
    ...(options.partition === undefined
      ? {}
      : { partition: wholeNumber(options.partition, '--partition') }),
  }
}

function headerOf(text: string): { key: string; value: Buffer } {
  const at = text.indexOf('=')
  if (at < 1) throw new UserError(`'${text}' is not a header: write name=value`, EXIT.usage)
  return { key: text.slice(0, at), value: Buffer.from(text.slice(at + 1)) }
}
