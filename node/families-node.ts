/** Families of the node as a whole: which it is, what it runs on, and its part in the cluster. */
import { type Family, type Source, single } from './families-source.ts'
import { VERSION } from './version.ts'

const STATES = ['starting', 'recovering', 'fenced', 'running', 'draining']

const IDENTITY: readonly Family[] = [
  {
    name: 'odradek_build_info',
    type: 'gauge',
    help: 'The release that runs.',
    collect: (_source, emit) => emit({ version: VERSION, node_version: process.versions.node }, 1),
  },
  {
    name: 'odradek_node_info',
    type: 'gauge',
    help: 'Which node this is.',
    collect({ node: { settings, identity } }, emit) {
      const labels = {
        node_id: String(settings.nodeId),
        cluster_id: identity.clusterId,
        rack: settings.optionalText('broker.rack') ?? '',
        roles: settings.list('process.roles').join(','),
      }
      emit(labels, 1)
    },
  },
  {
    name: 'odradek_node_state',
    type: 'gauge',
    help: 'The state that the node is in is 1.',
    collect({ node }, emit) {
      for (const state of STATES) emit({ state }, node.state === state ? 1 : 0)
    },
  },
]

const WORKERS: readonly Family[] = [
  {
    name: 'odradek_worker_busy_ratio',
    type: 'gauge',
    help: 'Share of the time in which the event loop of a thread was busy, since the last scrape.',
    collect: (source, emit) => emit({ worker: 'main' }, source.busyRatio()),
  },
]

/** The metadata log, as its port shows it; how its members agree is for families-raft.ts. */
const METADATA: readonly Family[] = [
  single(
    'odradek_raft_term',
    'gauge',
    'Term of the metadata log.',
    ({ node }) => node.quorum.leaderEpoch,
  ),
  single(
    'odradek_raft_leader_id',
    'gauge',
    'Node that leads the metadata log; -1 when not known.',
    ({ node }) => node.quorum.leaderId,
  ),
  single(
    'odradek_raft_last_index',
    'gauge',
    'Last offset of the metadata log on this node.',
    ({ node }) => node.quorum.nextOffset - 1,
  ),
  single(
    'odradek_raft_commit_index',
    'gauge',
    'Last offset of the metadata log that is committed, as far as this node knows.',
    ({ node }) => node.quorum.highWatermark - 1,
  ),
  single(
    'odradek_raft_applied_index',
    'gauge',
    'Last offset of the metadata log that this node has applied.',
    ({ node }) => node.partitions.image.offset,
  ),
  single(
    'odradek_metadata_lag_entries',
    'gauge',
    'Offsets of the metadata log that are committed and not applied yet.',
    ({ node }) => Math.max(0, node.quorum.highWatermark - 1 - node.partitions.image.offset),
  ),
]

/** Shown by the controller alone. */
const CONTROLLER: readonly Family[] = [
  single('odradek_controller_active', 'gauge', '1 on the node that is the controller.', (source) =>
    source.isController ? 1 : 0,
  ),
  {
    name: 'odradek_controller_nodes',
    type: 'gauge',
    help: 'Nodes of the cluster by state; the controller alone shows it.',
    collect(source, emit) {
      if (!source.isController) return
      const counts = { active: 0, fenced: 0, draining: 0 }
      for (const broker of source.node.partitions.image.brokers.values()) {
        if (broker.isFenced) counts.fenced++
        else if (broker.isInControlledShutdown) counts.draining++
        else counts.active++
      }
      for (const [state, count] of Object.entries(counts)) emit({ state }, count)
    },
  },
  ofController(
    'odradek_controller_topics',
    'Topics of the cluster; the controller alone shows it.',
    (source) => source.node.partitions.image.topics.size,
  ),
  ofController(
    'odradek_controller_partitions',
    'Partitions of the cluster; the controller alone shows it.',
    (source) => source.node.partitions.image.partitionCount,
  ),
  ofController(
    'odradek_controller_offline_partitions',
    'Partitions without a leader; the controller alone shows it.',
    (source) => {
      let count = 0
      for (const topic of source.node.partitions.image.topics.values()) {
        for (const partition of topic.partitions) if (partition.leader < 0) count++
      }
      return count
    },
  ),
]

const DISKS: readonly Family[] = [
  {
    name: 'odradek_disk_size_bytes',
    type: 'gauge',
    help: 'Size of the file system that holds a log directory.',
    collect(source, emit) {
      for (const dir of source.node.settings.logDirectories) {
        const space = source.spaceOf(dir)
        if (space !== undefined) emit({ dir }, space.sizeBytes)
      }
    },
  },
  {
    name: 'odradek_disk_free_bytes',
    type: 'gauge',
    help: 'Bytes free on the file system that holds a log directory.',
    collect(source, emit) {
      for (const dir of source.node.settings.logDirectories) {
        const space = source.spaceOf(dir)
        if (space !== undefined) emit({ dir }, space.freeBytes)
      }
    },
  },
  {
    name: 'odradek_disk_readonly',
    type: 'gauge',
    help: '1 when a log of this directory is out of service because it could not be written.',
    collect({ node }, emit) {
      for (const dir of node.settings.logDirectories) {
        let isHurt = node.store.failedLogs().some(({ directory }) => isWithin(directory, dir))
        for (const partition of node.partitions.all()) {
          if (partition.isFailed && isWithin(partition.log.directory, dir)) isHurt = true
        }
        emit({ dir }, isHurt ? 1 : 0)
      }
    },
  },
]

export const NODE_FAMILIES: readonly Family[] = [
  ...IDENTITY,
  ...WORKERS,
  ...METADATA,
  ...CONTROLLER,
  ...DISKS,
]

function ofController(name: string, help: string, read: (source: Source) => number): Family {
  return {
    name,
    type: 'gauge',
    help,
    collect(source, emit) {
      if (source.isController) emit({}, read(source))
    },
  }
}

function isWithin(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`)
}
