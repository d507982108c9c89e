/** odradek partition move|moves|elect */
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import {
  electLeaders,
  PREFERRED_ELECTION,
  UNCLEAN_ELECTION,
} from '../../kafka/api/43-elect-leaders.ts'
import { alterPartitionReassignments } from '../../kafka/api/45-alter-partition-reassignments.ts'
import { listPartitionReassignments } from '../../kafka/api/46-list-partition-reassignments.ts'
import { type Cluster, check } from '../../kafka/client/cluster.ts'
import { ELECTION_NOT_NEEDED } from '../../kafka/wire/errors.ts'
import { ask } from './ask.ts'
import { type Format, printRows, say } from './output.ts'
import { EXIT, type SharedOptions, wholeNumber, withCluster, withSharedOptions } from './session.ts'

const POLL_MS = 500

export function addPartitionCommands(program: Command): void {
  const group = program.command('partition').description('move replicas and elect leaders')
  withSharedOptions(
    group
      .command('move <partition> [nodes]')
      .description('put the replicas of TOPIC:INDEX on these nodes, the preferred leader first'),
  )
    .option('--cancel', 'take back a move that is under way; needs no nodes')
    .option('--wait', 'until it is done')
    .action((text: string, nodes: string | undefined, options: SharedOptions & MoveOptions) =>
      withCluster(options, (cluster) => move(cluster, parsePartition(text), nodes, options)),
    )
  withSharedOptions(group.command('moves').description('replicas that are being moved')).action(
    (options: SharedOptions) => withCluster(options, printMoves),
  )
  withSharedOptions(
    group
      .command('elect [partition...]')
      .description('give TOPIC:INDEX back to its preferred leader; without arguments: all'),
  )
    .option('--unclean', 'take a leader that lacks acknowledged records, where there is no other')
    .option('--yes', 'do not ask')
    .action((texts: string[], options: SharedOptions & { unclean?: boolean; yes?: boolean }) =>
      withCluster(options, (cluster) => elect(cluster, texts.map(parsePartition), options)),
    )
}

interface MoveOptions {
  readonly cancel?: boolean
  readonly wait?: boolean
}

interface TopicPartition {
  readonly topic: string
  readonly index: number
}

function parsePartition(text: string): TopicPartition {
  const at = text.lastIndexOf(':')
  if (at < 1) throw new UserError(`'${text}' is no partition: write TOPIC:INDEX`, EXIT.usage)
  return { topic: text.slice(0, at), index: wholeNumber(text.slice(at + 1), 'the partition') }
}

async function move(
  cluster: Cluster,
  { topic, index }: TopicPartition,
  nodes: string | undefined,
  options: MoveOptions,
): Promise<void> {
  if (options.cancel !== true && nodes === undefined) {
    throw new UserError('name the nodes that are to have it, for example 1,2,3', EXIT.usage)
  }
  const replicas =
    options.cancel === true || nodes === undefined
      ? null
      : nodes.split(',').map((text) => wholeNumber(text.trim(), 'a node'))
  const controller = await cluster.controller()
  const answer = await controller.request(
    alterPartitionReassignments,
    {
      timeoutMs: cluster.options.timeoutMs,
      topics: [{ name: topic, partitions: [{ partitionIndex: index, replicas }] }],
    },
    cluster.options.timeoutMs,
  )
  check(answer.errorCode, answer.errorMessage ?? topic)
  const result = answer.responses[0]?.partitions[0]
  check(result?.errorCode ?? -1, result?.errorMessage ?? `${topic}:${index}`)
  say(`${topic}:${index} ${replicas === null ? 'stays' : `moves to ${replicas.join(',')}`}`)
  while (options.wait === true && (await isMoving(cluster, topic, index))) {
    await cluster.pause(POLL_MS)
  }
}

async function movesOf(cluster: Cluster) {
  const controller = await cluster.controller()
  const { timeoutMs } = cluster.options
  const answer = await controller.request(
    listPartitionReassignments,
    { timeoutMs, topics: null },
    timeoutMs,
  )
  check(answer.errorCode, answer.errorMessage ?? 'reassignments')
  return answer.topics.flatMap(({ name, partitions }) =>
    partitions.map((one) => ({
      topic: name,
      partition: one.partitionIndex,
      replicas: [...one.replicas],
      adding: [...one.addingReplicas],
      removing: [...one.removingReplicas],
    })),
  )
}

async function isMoving(cluster: Cluster, topic: string, index: number): Promise<boolean> {
  const moves = await movesOf(cluster)
  return moves.some((one) => one.topic === topic && one.partition === index)
}

async function printMoves(cluster: Cluster, format: Format): Promise<void> {
  printRows(
    await movesOf(cluster),
    [
      { title: 'TOPIC', value: (row) => row.topic },
      { title: 'PARTITION', value: (row) => row.partition },
      { title: 'REPLICAS', value: (row) => row.replicas.join(',') },
      { title: 'ADDING', value: (row) => row.adding.join(',') || '-' },
      { title: 'REMOVING', value: (row) => row.removing.join(',') || '-' },
    ],
    format,
  )
}

async function elect(
  cluster: Cluster,
  wanted: readonly TopicPartition[],
  options: { unclean?: boolean; yes?: boolean },
): Promise<void> {
  const isUnclean = options.unclean === true
  if (isUnclean) await ask('take leaders that may lack acknowledged records?', options.yes === true)
  const controller = await cluster.controller()
  const answer = await controller.request(
    electLeaders,
    {
      electionType: isUnclean ? UNCLEAN_ELECTION : PREFERRED_ELECTION,
      topicPartitions:
        wanted.length === 0
          ? null
          : wanted.map(({ topic, index }) => ({ topic, partitions: [index] })),
      timeoutMs: cluster.options.timeoutMs,
    },
    cluster.options.timeoutMs,
  )
  check(answer.errorCode, 'elections')
  let elected = 0
  for (const { topic, partitionResult } of answer.replicaElectionResults) {
    for (const { partitionId, errorCode, errorMessage } of partitionResult) {
      if (errorCode === ELECTION_NOT_NEEDED) continue
      check(errorCode, errorMessage ?? `${topic}:${partitionId}`)
      elected++
    }
  }
  say(`${elected} leaders elected`)
}
