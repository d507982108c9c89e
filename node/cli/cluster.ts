/** odradek cluster info|health|quorum|features|finalize|add-voter|remove-voter|recover */
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { describeQuorum } from '../../kafka/api/55-describe-quorum.ts'
import { describeCluster } from '../../kafka/api/60-describe-cluster.ts'
import { Cluster, check } from '../../kafka/client/cluster.ts'
import { addFeatureCommands } from './features.ts'
import { type Format, print, printRows, say } from './output.ts'
import { addRecoverCommand } from './recover.ts'
import { EXIT, type SharedOptions, withCluster, withSharedOptions } from './session.ts'
import { addVoterCommands } from './voter.ts'

const BROKERS = 1
const WATCH_MS = 1000
/** For one address of several to say which cluster it is of. */
const ADDRESS_TIMEOUT_MS = 2000
const METADATA_TOPIC = '__cluster_metadata'

export function addClusterCommands(program: Command): void {
  const group = program.command('cluster').description('show the cluster')
  withSharedOptions(group.command('info').description('its id and its nodes')).action(
    (options: SharedOptions) => withCluster(options, info),
  )
  withSharedOptions(
    group.command('health').description('what is missing; exit code 7 when something is'),
  )
    .option('--watch', 'a line each time that something changes')
    .option('--exit-when-healthy', 'wait until nothing is missing')
    .action((options: SharedOptions & WatchOptions) =>
      withCluster(options, (cluster) => watchHealth(cluster, options)),
    )
  withSharedOptions(
    group.command('quorum').description('who votes on metadata, who leads, who is behind'),
  ).action((options: SharedOptions) => withCluster(options, quorum))
  addFeatureCommands(group)
  addVoterCommands(group)
  addRecoverCommand(group)
}

interface WatchOptions {
  readonly watch?: boolean
  readonly exitWhenHealthy?: boolean
}

/** The id of the cluster and all its brokers, fenced ones too. */
export async function brokersOf(cluster: Cluster) {
  const answer = await cluster.request(undefined, describeCluster, {
    includeClusterAuthorizedOperations: false,
    endpointType: BROKERS,
    includeFencedBrokers: true,
  })
  check(answer.errorCode, answer.errorMessage ?? 'cluster')
  return answer
}

async function info(cluster: Cluster, format: Format): Promise<void> {
  const answer = await brokersOf(cluster)
  say(`cluster ${answer.clusterId}  controller ${answer.controllerId}`)
  printRows(
    answer.brokers.map((one) => ({
      node: one.brokerId,
      address: `${one.host}:${one.port}`,
      rack: one.rack,
      isFenced: one.isFenced,
    })),
    [
      { title: 'NODE', value: (row) => row.node },
      { title: 'KAFKA', value: (row) => row.address },
      { title: 'RACK', value: (row) => row.rack ?? '-' },
      { title: 'STATE', value: (row) => (row.isFenced ? 'fenced' : 'running') },
    ],
    format,
  )
}

/**
 * Which cluster each of the addresses belongs to, when they are not of one: else health would be
 * that of whichever answers first. An address where nobody answers says nothing.
 */
async function mixedClusters({ parts, options }: Cluster): Promise<string[]> {
  if (options.bootstrap.length < 2) return []
  const ask = async (address: string) => {
    const timeoutMs = Math.min(options.timeoutMs, ADDRESS_TIMEOUT_MS)
    const alone = new Cluster(parts, { ...options, bootstrap: [address], timeoutMs })
    try {
      return { address, clusterId: (await brokersOf(alone)).clusterId }
    } catch {
      return undefined
    } finally {
      await alone.close()
    }
  }
  const answers = await Promise.all(options.bootstrap.map(ask))
  const heard = answers.filter((one) => one !== undefined)
  if (new Set(heard.map(({ clusterId }) => clusterId)).size < 2) return []
  const which = heard.map(({ address, clusterId }) => `${address} to ${clusterId}`).join(', ')
  return [`the addresses belong to different clusters: ${which}`]
}

/** Sentences about what is missing; none: all is well. */
export async function complaintsOf(cluster: Cluster): Promise<string[]> {
  const mixed = await mixedClusters(cluster)
  // What follows would be said of one of them, and nobody could tell which.
  if (mixed.length > 0) return mixed
  const { brokers, controllerId } = await brokersOf(cluster)
  const { topics } = await cluster.metadata(null)
  const partitions = topics.flatMap((topic) => topic.partitions)
  const offline = partitions.filter((one) => one.leaderId < 0).length
  const behind = partitions.filter((one) => one.isrNodes.length < one.replicaNodes.length).length
  const fenced = brokers.filter((one) => one.isFenced).map((one) => one.brokerId)
  return [
    ...(controllerId < 0 ? ['nobody leads the metadata quorum'] : []),
    ...(fenced.length > 0 ? [`nodes that do not answer: ${fenced.join(', ')}`] : []),
    ...(offline > 0 ? [`${offline} of ${partitions.length} partitions have no leader`] : []),
    ...(behind > 0 ? [`${behind} of ${partitions.length} partitions lack a replica`] : []),
  ]
}

async function watchHealth(cluster: Cluster, options: WatchOptions): Promise<void> {
  let last: string | undefined
  for (;;) {
    let complaints: string[]
    try {
      complaints = await complaintsOf(cluster)
    } catch (error) {
      // While somebody watches, an unreachable cluster is news, not the end.
      if (options.watch !== true && options.exitWhenHealthy !== true) throw error
      complaints = [error instanceof Error ? error.message : String(error)]
    }
    const line = complaints.length === 0 ? 'healthy' : complaints.join('; ')
    if (line !== last) print(line)
    last = line
    if (complaints.length === 0 && (options.exitWhenHealthy === true || options.watch !== true)) {
      return
    }
    if (options.watch !== true && options.exitWhenHealthy !== true) {
      throw new UserError('the cluster is not healthy', EXIT.unhealthy)
    }
    await cluster.pause(WATCH_MS)
  }
}

/** Leader, voters and observers of the metadata log, as its leader sees them. */
export async function quorumOf(cluster: Cluster) {
  const controller = await cluster.controller()
  const answer = await controller.request(
    describeQuorum,
    { topics: [{ topicName: METADATA_TOPIC, partitions: [{ partitionIndex: 0 }] }] },
    cluster.options.timeoutMs,
  )
  check(answer.errorCode, answer.errorMessage ?? 'quorum')
  const state = answer.topics[0]?.partitions[0]
  check(state?.errorCode ?? -1, state?.errorMessage ?? METADATA_TOPIC)
  return state!
}

async function quorum(cluster: Cluster, format: Format): Promise<void> {
  const state = await quorumOf(cluster)
  const { leaderId, leaderEpoch, highWatermark, currentVoters, observers } = state
  const end = currentVoters.find((one) => one.replicaId === leaderId)?.logEndOffset ?? highWatermark
  say(`leader ${leaderId}  epoch ${leaderEpoch}  high watermark ${highWatermark}`)
  const rowOf = (one: (typeof currentVoters)[number], role: string) => ({
    node: one.replicaId,
    role: one.replicaId === leaderId ? 'leader' : role,
    logEndOffset: one.logEndOffset,
    lag: Math.max(0, end - one.logEndOffset),
    directoryId: one.replicaDirectoryId,
  })
  printRows(
    [
      ...currentVoters.map((one) => rowOf(one, 'voter')),
      ...observers.map((one) => rowOf(one, 'observer')),
    ],
    [
      { title: 'NODE', value: (row) => row.node },
      { title: 'ROLE', value: (row) => row.role },
      { title: 'LOG END', value: (row) => row.logEndOffset },
      { title: 'LAG', value: (row) => row.lag },
      { title: 'DIRECTORY', value: (row) => row.directoryId, isWide: true },
    ],
    format,
  )
}
