/**
 * The end of a run whose faults do not all end: a connected core of nodes is whole and has to serve,
 * while the others are down, stand still, or are cut off for good.
 */
import type { SimRandom } from '../../base/sim/random.ts'
import type { SimCluster, SimNode } from './cluster.ts'

const WAYS = ['down', 'stopped', 'cut off'] as const

export type Way = (typeof WAYS)[number]

export interface Broken {
  readonly node: SimNode
  readonly way: Way
}

/**
 * Who stays broken, and how: one at least, and as many as leave a majority of the voters and enough
 * replicas of every partition. Empty when the metadata is unknown.
 */
export function pickBroken(cluster: SimCluster, random: SimRandom, minIsr: number): Broken[] {
  const controller = cluster.controller()?.running
  if (controller === undefined) return []
  const partitions = [...controller.quorum.image.topics.values()].flatMap((topic) => {
    return topic.partitions.filter(({ isr }) => isr.length >= minIsr)
  })
  const voters = controller.quorum.voters.map(({ nodeId }) => nodeId)
  const broken: Broken[] = []
  const most = random.between(1, Math.floor((cluster.nodes.length - 1) / 2))
  const left = [...cluster.nodes]
  while (left.length > 0 && broken.length < most) {
    const node = left.splice(random.below(left.length), 1)[0]!
    const gone = new Set([node.id, ...broken.map((one) => one.node.id)])
    const remain = (ids: readonly number[]) => ids.filter((id) => !gone.has(id)).length
    const serves = partitions.every(({ isr }) => remain(isr) >= minIsr)
    if (!serves || remain(voters) * 2 <= voters.length) continue
    broken.push({ node, way: random.pick(WAYS) })
  }
  return broken
}

/** Returns how it is undone, as far as starting all nodes and mending all links does not. */
export function breakOff(cluster: SimCluster, { node, way }: Broken, clients: readonly string[]) {
  const { host, name } = node
  switch (way) {
    case 'down':
      cluster.kill(node)
      return () => cluster.start(node)
    case 'stopped':
      host.freeze()
      return () => host.thaw()
    case 'cut off': {
      const { links } = cluster.sim
      const others = [...cluster.nodes.map((one) => one.name), ...clients].filter(
        (one) => one !== name,
      )
      for (const other of others) links.cut(name, other)
      return () => {
        for (const other of others) links.heal(name, other)
      }
    }
  }
}
