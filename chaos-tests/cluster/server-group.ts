/*
 * Several servers that are one cluster, each a process with ports and a directory of its own. Every
 * one is a broker and a controller.
 */
import type { Cluster } from '../../kafka/client/cluster.ts'
import { LinkMesh } from './link-mesh.ts'
import {
  freePorts,
  type ServerOptions,
  ServerProcess,
  sleep,
  temporaryDirectory,
} from './processes.ts'

export interface GroupOptions extends Omit<ServerOptions, 'directory' | 'ports'> {
  readonly count: number
  /** Nodes reach each other through proxies of ours. */
  readonly isLinked?: boolean
  /** Environment of each node, which depends on its directory. */
  readonly environmentOf?: (directory: string) => Readonly<Record<string, string>>
}

const PORTS_OF_A_NODE = 3
const LOOK_AGAIN_MS = 50

export class ServerGroup {
  /** Node k + 1 at index k. */
  readonly nodes: readonly ServerProcess[]

  /** Where the group is linked. */
  readonly mesh: LinkMesh | undefined

  private constructor(nodes: readonly ServerProcess[], mesh: LinkMesh | undefined) {
    this.nodes = nodes
    this.mesh = mesh
  }

  /** Settings and ports, nothing is started yet. */
  static async prepare(options: GroupOptions): Promise<ServerGroup> {
    const { count } = options
    const free = await freePorts(PORTS_OF_A_NODE * count)
    const ports = Array.from({ length: count }, (_, at) => ({
      kafka: free[3 * at]!,
      controller: free[3 * at + 1]!,
      http: free[3 * at + 2]!,
    }))
    const mesh = options.isLinked === true ? await LinkMesh.open(ports) : undefined
    const portOf = (from: number, to: number) =>
      from === to || mesh === undefined ? ports[to - 1]!.controller : mesh.between(from, to).port
    const votersOf = (from: number) =>
      ports.map((_, at) => `${at + 1}@127.0.0.1:${portOf(from, at + 1)}`).join(',')
    const replicas = String(Math.min(3, count))
    const majority = String(Math.min(2, count))
    return new ServerGroup(
      ports.map((own, at) => {
        const properties = {
          'node.id': String(at + 1),
          'controller.quorum.voters': votersOf(at + 1),
          'default.replication.factor': replicas,
          'min.insync.replicas': majority,
          'offsets.topic.replication.factor': replicas,
          'transaction.state.log.replication.factor': replicas,
          'transaction.state.log.min.isr': majority,
          ...(options.peer === 'kafka'
            ? {
                'share.coordinator.state.topic.replication.factor': replicas,
                'share.coordinator.state.topic.min.isr': majority,
              }
            : {}),
          ...options.properties,
        }
        const directory = temporaryDirectory(options.peer)
        const environment = { ...options.environment, ...options.environmentOf?.(directory) }
        return new ServerProcess({ ...options, properties, directory, environment }, own)
      }),
      mesh,
    )
  }

  static async start(options: GroupOptions): Promise<ServerGroup> {
    const group = await ServerGroup.prepare(options)
    await group.start()
    return group
  }

  get bootstrap(): string {
    return this.nodes.map((node) => node.bootstrap).join(',')
  }

  /** All at once; resolves when all are ready. */
  async start(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.start()))
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()))
  }

  /** Ends the servers and removes their directories. */
  async remove(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.remove()))
    await this.mesh?.close()
  }
}

/** Until every replica of the topics (null: of all) is in sync: a fault meets a whole cluster. */
export async function waitUntilWhole(
  cluster: Cluster,
  names: readonly string[] | null,
  limitMs: number,
): Promise<void> {
  const until = performance.now() + limitMs
  while (!(await isWhole(cluster, names))) {
    if (performance.now() > until) {
      throw new Error(`the cluster did not become whole within ${limitMs} ms`)
    }
    await sleep(LOOK_AGAIN_MS)
  }
}

async function isWhole(cluster: Cluster, names: readonly string[] | null): Promise<boolean> {
  try {
    const { topics } = await cluster.metadata(names)
    const partitions = topics.flatMap((topic) => topic.partitions)
    return partitions.every((one) => {
      return one.leaderId >= 0 && one.isrNodes.length === one.replicaNodes.length
    })
  } catch {
    return false // the node that was asked is the one that is gone
  }
}
