/**
 * The links of a cluster: one from each node to each other, and one to each node for the clients that
 * write and for all others. Who calls whom is known by the port of the link, so that each way can be
 * cut alone.
 */
import type { Network } from '../../base/network.ts'
import { Link } from './link.ts'
import type { Ports } from './processes.ts'

export type ClientKind = 'writers' | 'readers'

export class LinkMesh {
  readonly #between: ReadonlyMap<string, Link>
  readonly #count: number

  private constructor(between: ReadonlyMap<string, Link>, count: number) {
    this.#between = between
    this.#count = count
  }

  static async open(ports: readonly Ports[]): Promise<LinkMesh> {
    const links = new Map<string, Link>()
    for (const [at, { controller, kafka }] of ports.entries()) {
      for (let from = 1; from <= ports.length; from++) {
        if (from !== at + 1) links.set(`${from} ${at + 1}`, await Link.open(controller))
      }
      for (const kind of ['writers', 'readers']) {
        links.set(`${kind} ${at + 1}`, await Link.open(kafka))
      }
    }
    return new LinkMesh(links, ports.length)
  }

  /** Ids of nodes, from 1. */
  between(from: number, to: number): Link {
    return this.#between.get(`${from} ${to}`)!
  }

  ofClients(kind: ClientKind, node: number): Link {
    return this.#between.get(`${kind} ${node}`)!
  }

  /** Links that the node made, and links to it, without those of clients. */
  around(node: number): { readonly from: readonly Link[]; readonly to: readonly Link[] } {
    const others = Array.from({ length: this.#count }, (_, at) => at + 1).filter(
      (other) => other !== node,
    )
    return {
      from: others.map((other) => this.between(node, other)),
      to: others.map((other) => this.between(other, node)),
    }
  }

  /** All between nodes. */
  inner(): Link[] {
    return [...this.#between].filter(([name]) => /^\d/.test(name)).map(([, link]) => link)
  }

  /** What a client of this kind has for the port of a node: its own link. */
  portOf(kind: ClientKind, kafkaPort: number): number {
    for (let node = 1; node <= this.#count; node++) {
      const link = this.ofClients(kind, node)
      if (link.target === kafkaPort) return link.port
    }
    return kafkaPort
  }

  /** The network as clients of this kind have it. */
  networkOf(kind: ClientKind, network: Network): Network {
    return {
      listen: (options, accept) => network.listen(options, accept),
      connect: (options, handler) =>
        network.connect({ ...options, port: this.portOf(kind, options.port) }, handler),
    }
  }

  heal(): void {
    for (const link of this.#between.values()) link.heal()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#between.values()].map((link) => link.close()))
  }
}
