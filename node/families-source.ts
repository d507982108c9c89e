/**
 * What the families of metrics read: a node, as narrow as they need it, and a few things that are
 * kept between scrapes. Nothing here changes anything.
 */
import type { Clock } from '../base/clock.ts'
import type { Disk, DiskSpace } from '../base/disk.ts'
import type { Histogram, Labels, MetricType } from '../base/metrics.ts'
import type { ServerProbe } from '../kafka/server/probe.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import type { LogProbe } from '../log/probe.ts'
import type { RaftProbe } from '../raft/probe.ts'
import type { Partition } from '../replication/partition.ts'
import type { ReplicationProbe } from '../replication/probe.ts'
import type { RemoteReplica } from '../replication/remote-replica.ts'
import type { GroupFigures } from './coordinator/group/group-reads.ts'
import type { CoordinatorProbe } from './coordinator/probe.ts'
import type { GroupLags } from './group-lags.ts'
import type { ElectionKind } from './metadata/election-figures.ts'
import type { MetadataImage, PartitionImage } from './metadata/image.ts'
import { FixedLabels } from './metrics.ts'
import type { RpcProbe } from './peers/rpc-probe.ts'

export type Emit = (labels: Labels, value: number | Histogram) => void

/** One family: its name, type and help are an interface to dashboards and alerts. */
export interface Family {
  readonly name: string
  readonly type: MetricType
  readonly help: string
  collect(source: Source, emit: Emit): void
}

/** A replica, as metrics see it. */
export type ScrapedPartition = Pick<
  Partition,
  | 'topic'
  | 'index'
  | 'isLeader'
  | 'isFailed'
  | 'leaderEpoch'
  | 'isr'
  | 'recordsIn'
  | 'bytesIn'
  | 'recordsOut'
  | 'bytesOut'
  | 'minIsr'
  | 'batchesIn'
  | 'rejections'
  | 'logStartOffset'
  | 'logEndOffset'
  | 'highWatermark'
  | 'lastStableOffset'
  | 'waitingProduces'
> & {
  /** While it leads: what it knows of its followers. */
  readonly leader:
    | {
        readonly remotes: readonly Pick<
          RemoteReplica,
          'nodeId' | 'position' | 'isAtEnd' | 'caughtUpMs'
        >[]
      }
    | undefined
  readonly log: Pick<
    PartitionLog,
    'directory' | 'producerCount' | 'sizeBytes' | 'segmentCount' | 'locate' | 'copyAsync'
  >
}

export interface ScrapedNode {
  readonly settings: {
    readonly nodeId: number
    readonly logDirectories: readonly string[]
    list(name: string): readonly string[]
    text(name: string): string
    optionalText(name: string): string | null
    number(name: string): number
  }
  readonly identity: { readonly clusterId: string }
  readonly state: string
  readonly partitions: {
    readonly image: MetadataImage
    all(): Iterable<ScrapedPartition>
    find(topic: string, index: number): ScrapedPartition | undefined
  }
  readonly server: { readonly probe: ServerProbe }
  readonly groups: {
    readonly probe: CoordinatorProbe
    figures(): Iterable<GroupFigures>
  }
  readonly store: { readonly probe: LogProbe; failedLogs(): readonly { directory: string }[] }
  readonly quorum: {
    readonly leaderId: number
    readonly leaderEpoch: number
    readonly highWatermark: number
    readonly nextOffset: number
    readonly voters: readonly { readonly nodeId: number; readonly logEndOffset: number }[]
  }
  readonly replicationProbe: ReplicationProbe
  readonly raftProbe: RaftProbe
  readonly links: { readonly mesh: { readonly peers: { readonly probe: RpcProbe } } }
  /** Held by the controller on this node, by kind. */
  readonly elections: Readonly<Record<ElectionKind, number>>
}

/** With this many partitions on a node, or fewer, each has series of its own. */
const PARTITION_SERIES_MAX = 2000
const SPACE_KEPT_MS = 5000
/** Two who scrape at once see the same. */
const LOAD_KEPT_MS = 1000

export class Source {
  readonly node: ScrapedNode
  readonly clock: Clock
  readonly lags: GroupLags
  readonly #disk: Disk
  readonly #labels = new Map<ScrapedPartition, FixedLabels>()
  readonly #spaces = new Map<string, DiskSpace>()
  #spacesAtMs = Number.NEGATIVE_INFINITY
  #labelsLimit = 2 * PARTITION_SERIES_MAX
  #load = performance.eventLoopUtilization()
  #loadAtMs = Number.NEGATIVE_INFINITY
  #busy = 0

  constructor(node: ScrapedNode, parts: { clock: Clock; disk: Disk; lags: GroupLags }) {
    this.node = node
    this.clock = parts.clock
    this.lags = parts.lags
    this.#disk = parts.disk
  }

  /** `metrics.partition.level`, with 'auto' decided by the number of partitions here. */
  get level(): 'none' | 'topic' | 'partition' {
    const level = this.node.settings.text('metrics.partition.level')
    if (level === 'none' || level === 'topic' || level === 'partition') return level
    let count = 0
    for (const _partition of this.node.partitions.all()) count++
    return count > PARTITION_SERIES_MAX ? 'topic' : 'partition'
  }

  /** topic and partition: the same object at each scrape. */
  labelsOf(partition: ScrapedPartition): FixedLabels {
    let labels = this.#labels.get(partition)
    if (labels === undefined) {
      if (this.#labels.size >= this.#labelsLimit) this.#forgetGone()
      labels = new FixedLabels({ topic: partition.topic, partition: String(partition.index) })
      this.#labels.set(partition, labels)
    }
    return labels
  }

  #forgetGone(): void {
    const present = new Set(this.node.partitions.all())
    for (const partition of this.#labels.keys()) {
      if (!present.has(partition)) this.#labels.delete(partition)
    }
    this.#labelsLimit = 2 * Math.max(PARTITION_SERIES_MAX, this.#labels.size)
  }

  /** Partitions that this node leads, as the metadata has them. */
  *ledImages(): Generator<PartitionImage> {
    const { image } = this.node.partitions
    for (const topic of image.topics.values()) {
      for (const partition of topic.partitions) {
        if (partition.leader === this.node.settings.nodeId) yield partition
      }
    }
  }

  get isController(): boolean {
    return this.node.quorum.leaderId === this.node.settings.nodeId
  }

  /** Share of the time in which the event loop was busy, since the page before this one. */
  busyRatio(): number {
    const nowMs = this.clock.monotonicMs()
    if (nowMs - this.#loadAtMs > LOAD_KEPT_MS) {
      const load = performance.eventLoopUtilization()
      this.#busy = performance.eventLoopUtilization(load, this.#load).utilization
      this.#load = load
      this.#loadAtMs = nowMs
    }
    return this.#busy
  }

  /** As it was a moment ago: a look at a disk takes time, and this page has none. */
  spaceOf(directory: string): DiskSpace | undefined {
    const nowMs = this.clock.monotonicMs()
    if (nowMs - this.#spacesAtMs > SPACE_KEPT_MS) {
      this.#spacesAtMs = nowMs
      void this.lookAtDisks()
    }
    return this.#spaces.get(directory)
  }

  /** Resolves when the next page will show fresh figures. */
  async lookAtDisks(): Promise<void> {
    for (const directory of this.node.settings.logDirectories) {
      try {
        this.#spaces.set(directory, await this.#disk.space(directory))
      } catch {
        // The directory is out of reach: no figure is better than an old one.
        this.#spaces.delete(directory)
      }
    }
  }
}

/** A family of one series. */
export function single(
  name: string,
  type: MetricType,
  help: string,
  read: (source: Source) => number,
): Family {
  return { name, type, help, collect: (source, emit) => emit({}, read(source)) }
}
