/** odradek topic list|create|describe|alter|delete */
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { createTopics } from '../../kafka/api/19-create-topics.ts'
import { deleteTopics } from '../../kafka/api/20-delete-topics.ts'
import { describeConfigs } from '../../kafka/api/32-describe-configs.ts'
import { createPartitions } from '../../kafka/api/37-create-partitions.ts'
import { incrementalAlterConfigs } from '../../kafka/api/44-incremental-alter-configs.ts'
import { type Cluster, check } from '../../kafka/client/cluster.ts'
import { ZERO_UUID } from '../../kafka/wire/schema.ts'
import { ask } from './ask.ts'
import { print, printRows, say, yamlOf } from './output.ts'
import { EXIT, type SharedOptions, wholeNumber, withCluster, withSharedOptions } from './session.ts'

const TOPIC_RESOURCE = 2
const SET = 0
const DELETE = 1
const DYNAMIC_TOPIC_CONFIG = 1
/** DeleteTopics: from here on by name or id. */
const TOPICS_SINCE = 6

export function addTopicCommands(program: Command): void {
  const topic = program.command('topic').description('make, show, change and delete topics')
  addList(topic)
  addCreate(topic)
  addDescribe(topic)
  addAlter(topic)
  addDelete(topic)
}

function addList(topic: Command): void {
  withSharedOptions(topic.command('list').description('all topics'))
    .option('--internal', 'also those that the cluster keeps for itself')
    .action((options: SharedOptions & { internal?: boolean }) =>
      withCluster(options, async (cluster, format) => {
        const { topics } = await cluster.metadata(null)
        const rows = topics
          .filter((one) => options.internal === true || !one.isInternal)
          .map((one) => ({
            name: one.name ?? '',
            partitions: one.partitions.length,
            replicas: one.partitions[0]?.replicaNodes.length ?? 0,
            id: one.topicId,
          }))
          .sort((a, b) => (a.name < b.name ? -1 : 1))
        printRows(
          rows,
          [
            { title: 'TOPIC', value: (row) => row.name },
            { title: 'PARTITIONS', value: (row) => row.partitions },
            { title: 'REPLICAS', value: (row) => row.replicas },
            { title: 'ID', value: (row) => row.id, isWide: true },
          ],
          format,
        )
      }),
    )
}

function addCreate(topic: Command): void {
  withSharedOptions(topic.command('create <name...>').description('make topics'))
    .option('-p, --partitions <n>', 'number of partitions; the default is the broker’s')
    .option('-r, --replicas <n>', 'replication factor; the default is the broker’s')
    .option('-c, --config <key=value...>', 'settings of the topic')
    .option('--validate-only', 'check, and make nothing')
    .action(
      (
        names: string[],
        options: SharedOptions & {
          partitions?: string
          replicas?: string
          config?: string[]
          validateOnly?: boolean
        },
      ) =>
        withCluster(options, async (cluster) => {
          const configs = (options.config ?? []).map(splitSetting)
          const controller = await cluster.controller()
          const answer = await controller.request(
            createTopics,
            {
              topics: names.map((name) => ({
                name,
                numPartitions: numberOr(options.partitions, '--partitions', -1),
                replicationFactor: numberOr(options.replicas, '--replicas', -1),
                assignments: [],
                configs,
              })),
              timeoutMs: cluster.options.timeoutMs,
              validateOnly: options.validateOnly ?? false,
            },
            cluster.options.timeoutMs,
          )
          for (const { name, errorCode, errorMessage } of answer.topics) {
            check(errorCode, errorMessage ?? name)
            say(`${options.validateOnly === true ? 'would make' : 'made'} topic ${name}`)
          }
        }),
    )
}

function addDescribe(topic: Command): void {
  withSharedOptions(
    topic.command('describe <name>').description('partitions, leaders, replicas, settings'),
  ).action((name: string, options: SharedOptions) =>
    withCluster(options, async (cluster, format) => {
      const { topics } = await cluster.metadata([name])
      const found = topics[0]
      check(found?.errorCode ?? 3, name)
      const partitions = found!.partitions
        .map((one) => ({
          partition: one.partitionIndex,
          leader: one.leaderId,
          epoch: one.leaderEpoch,
          replicas: [...one.replicaNodes],
          isr: [...one.isrNodes],
        }))
        .sort((a, b) => a.partition - b.partition)
      const configs = await topicSettings(cluster, name)
      if (format === 'json' || format === 'ndjson') {
        print(JSON.stringify({ name, id: found!.topicId, configs, partitions }, null, 2))
        return
      }
      if (format === 'yaml') {
        for (const line of yamlOf({ name, id: found!.topicId, configs, partitions }, ''))
          print(line)
        return
      }
      print(`topic ${name}  id ${found!.topicId}`)
      for (const [key, value] of Object.entries(configs)) print(`  ${key}=${value}`)
      printRows(
        partitions,
        [
          { title: 'PARTITION', value: (row) => row.partition },
          { title: 'LEADER', value: (row) => row.leader },
          { title: 'REPLICAS', value: (row) => row.replicas.join(',') },
          { title: 'ISR', value: (row) => row.isr.join(',') },
          { title: 'EPOCH', value: (row) => row.epoch, isWide: true },
        ],
        format,
      )
    }),
  )
}

/** Settings that were given for this topic. */
async function topicSettings(cluster: Cluster, name: string): Promise<Record<string, string>> {
  const answer = await cluster.request(undefined, describeConfigs, {
    resources: [{ resourceType: TOPIC_RESOURCE, resourceName: name, configurationKeys: null }],
    includeSynonyms: false,
    includeDocumentation: false,
  })
  const result = answer.results[0]
  check(result?.errorCode ?? -1, result?.errorMessage ?? name)
  const own = result!.configs.filter((config) => config.configSource === DYNAMIC_TOPIC_CONFIG)
  return Object.fromEntries(own.map((config) => [config.name, config.value ?? '']))
}

function addAlter(topic: Command): void {
  withSharedOptions(topic.command('alter <name>').description('change settings, or grow'))
    .option('-p, --partitions <n>', 'grow to this number of partitions')
    .option('-c, --config <key=value...>', 'settings to set')
    .option('-d, --delete-config <key...>', 'settings to take back to their default')
    .action(
      (
        name: string,
        options: SharedOptions & {
          partitions?: string
          config?: string[]
          deleteConfig?: string[]
        },
      ) =>
        withCluster(options, async (cluster) => {
          const changes = [
            ...(options.config ?? []).map((text) => ({
              ...splitSetting(text),
              configOperation: SET,
            })),
            ...(options.deleteConfig ?? []).map((key) => ({
              name: key,
              value: null,
              configOperation: DELETE,
            })),
          ]
          if (changes.length > 0) await alterSettings(cluster, name, changes)
          if (options.partitions !== undefined) {
            await grow(cluster, name, wholeNumber(options.partitions, '--partitions'))
          }
          say(`changed topic ${name}`)
        }),
    )
}

async function alterSettings(
  cluster: Cluster,
  name: string,
  configs: { name: string; value: string | null; configOperation: number }[],
): Promise<void> {
  const controller = await cluster.controller()
  const answer = await controller.request(
    incrementalAlterConfigs,
    {
      resources: [{ resourceType: TOPIC_RESOURCE, resourceName: name, configs }],
      validateOnly: false,
    },
    cluster.options.timeoutMs,
  )
  for (const { errorCode, errorMessage } of answer.responses) check(errorCode, errorMessage ?? name)
}

async function grow(cluster: Cluster, name: string, count: number): Promise<void> {
  const controller = await cluster.controller()
  const answer = await controller.request(
    createPartitions,
    {
      topics: [{ name, count, assignments: null }],
      timeoutMs: cluster.options.timeoutMs,
      validateOnly: false,
    },
    cluster.options.timeoutMs,
  )
  for (const { errorCode, errorMessage } of answer.results) check(errorCode, errorMessage ?? name)
}

function addDelete(topic: Command): void {
  withSharedOptions(
    topic.command('delete <name...>').description('delete topics and their records'),
  )
    .option('--yes', 'do not ask')
    .action((names: string[], options: SharedOptions & { yes?: boolean }) =>
      withCluster(options, async (cluster) => {
        await ask(`delete ${names.join(', ')} and all records in them?`, options.yes === true)
        const controller = await cluster.controller()
        const answer = await controller.request(
          deleteTopics,
          {
            ...(controller.version(deleteTopics as never) >= TOPICS_SINCE
              ? { topics: names.map((name) => ({ name, topicId: ZERO_UUID })) }
              : { topicNames: names }),
            timeoutMs: cluster.options.timeoutMs,
          },
          cluster.options.timeoutMs,
        )
        for (const { name, errorCode, errorMessage } of answer.responses) {
          check(errorCode, errorMessage ?? name ?? '')
          say(`deleted topic ${name}`)
        }
      }),
    )
}

function splitSetting(text: string): { name: string; value: string } {
  const at = text.indexOf('=')
  if (at < 1) throw new UserError(`'${text}' is not a setting: write key=value`, EXIT.usage)
  return { name: text.slice(0, at), value: text.slice(at + 1) }
}

function numberOr(text: string | undefined, name: string, fallback: number): number {
  return text === undefined ? fallback : wholeNumber(text, name)
}
