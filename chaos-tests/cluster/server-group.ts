/*
 * Several servers that are one cluster, each a process with ports and a directory of its own. Every
 * one is a broker and a controller.
 */
import { freePorts, type ServerOptions, ServerProcess } from './processes.ts'

export interface GroupOptions extends Omit<ServerOptions, 'directory' | 'ports'> {
  readonly count: number
}

const PORTS_OF_A_NODE = 3

export class ServerGroup {
  /** Node k + 1 at index k. */
  readonly nodes: readonly ServerProcess[]

  private constructor(nodes: readonly ServerProcess[]) {
    this.nodes = nodes
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
    const voters = ports.map(({ controller }, at) => `${at + 1}@127.0.0.1:${controller}`).join(',')
    const replicas = String(Math.min(3, count))
    const majority = String(Math.min(2, count))
    return new ServerGroup(
      ports.map((own, at) => {
        const properties = {
          'node.id': String(at + 1),
          'controller.quorum.voters': voters,
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
        return new ServerProcess({ ...options, properties }, own)
      }),
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
  }
}
