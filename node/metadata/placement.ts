/**
 * Where the replicas of new partitions lie. Brokers stand in a ring in which racks take turns, and
 * within a rack the hosts; the first replicas go round it, the others follow at a distance that
 * changes with each round, so that a broker's load is shared by all others when it is gone.
 *
 * Kept: replicas of a partition lie on different brokers, on as many racks as there are before a rack
 * gets a second one, and within a rack likewise on different hosts: a machine may run several nodes.
 * The first replica, which will lead, is on a broker that is not fenced.
 */
import { assert } from '../../base/assert.ts'
import type { Random } from '../../base/random.ts'

export interface PlacementBroker {
  readonly id: number
  readonly rack: string | null
  /** Where it can be reached; null: not known. Hosts of different racks differ. */
  readonly host: string | null
  readonly isFenced: boolean
}

export interface PlacementRequest {
  /** How many partitions. */
  readonly count: number
  readonly replicationFactor: number
  readonly brokers: readonly PlacementBroker[]
  readonly random: Random
}

/** With the names of the places that fail together. */
interface Located extends PlacementBroker {
  readonly inRack: string
  readonly onHost: string
}

const located = (broker: PlacementBroker): Located => ({
  ...broker,
  inRack: JSON.stringify([broker.rack ?? '']),
  onHost: JSON.stringify([broker.rack ?? '', broker.host ?? '']),
})

/** Replicas by partition, the first leads; or why it can't be. */
export function placeReplicas(request: PlacementRequest): number[][] | string {
  const { count, replicationFactor, brokers, random } = request
  assert(count > 0 && replicationFactor > 0, 'something is to be placed')
  const times = `No place for ${replicationFactor} replicas: `
  if (replicationFactor > brokers.length) {
    return `${times}there are ${brokers.length} brokers, and each takes one.`
  }
  const usable = brokers.filter((broker) => !broker.isFenced)
  if (usable.length === 0) return `${times}no broker is there to take one.`
  const ring = interleave(usable.map(located), random)
  // Fenced brokers hold a replica only where the others do not suffice.
  const reserve = interleave(brokers.filter((broker) => broker.isFenced).map(located), random)
  const start = random.below(ring.length)
  const placed: number[][] = []
  for (let partition = 0; partition < count; partition++) {
    const round = Math.floor(partition / ring.length)
    const replicas = pick(ring, reserve, start + partition, round, replicationFactor)
    assert(new Set(replicas).size === replicationFactor, 'replicas lie on different brokers')
    placed.push(replicas)
  }
  return placed
}

/** A ring in which racks take turns, and the hosts of each rack, beginning anywhere in each. */
function interleave(brokers: readonly Located[], random: Random): Located[] {
  const inOrder = [...brokers].sort((one, other) => one.id - other.id)
  const racks = groups(inOrder, (broker) => broker.inRack).map((inRack) => {
    const hosts = groups(inRack, (broker) => broker.onHost)
    const queue = takeTurns(hosts.map((onHost) => rotate(onHost, random.below(onHost.length))))
    return rotate(queue, random.below(queue.length))
  })
  return takeTurns(racks)
}

/** By name, in the order of the names. */
function groups<T>(list: readonly T[], nameOf: (element: T) => string): T[][] {
  const byName = new Map<string, T[]>()
  for (const element of list) {
    const group = byName.get(nameOf(element))
    if (group === undefined) byName.set(nameOf(element), [element])
    else group.push(element)
  }
  return [...byName].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, group]) => group)
}

function takeTurns<T>(queues: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...queues.map(({ length }) => length))
  const taken: T[] = []
  for (let at = 0; at < longest; at++) {
    for (const queue of queues) if (at < queue.length) taken.push(queue[at]!)
  }
  return taken
}

const rotate = <T>(list: readonly T[], by: number): T[] => [...list.slice(by), ...list.slice(0, by)]

function pick(
  ring: readonly Located[],
  reserve: readonly Located[],
  position: number,
  round: number,
  replicationFactor: number,
): number[] {
  const first = position % ring.length
  const leader = ring[first]!
  const others = rotate(ring, first).slice(1)
  const shifted = others.length === 0 ? [] : rotate(others, round % others.length)
  const candidates = [...shifted, ...reserve]
  const taken = new Map<string, number>()
  const take = ({ id, inRack, onHost }: Located) => {
    for (const place of [inRack, onHost]) taken.set(place, (taken.get(place) ?? 0) + 1)
    return id
  }
  const replicas = [take(leader)]
  while (replicas.length < replicationFactor) {
    let best = 0
    for (let at = 1; at < candidates.length; at++) {
      if (cost(candidates[at]!, taken) < cost(candidates[best]!, taken)) best = at
    }
    const [broker] = candidates.splice(best, 1)
    assert(broker !== undefined, 'there are enough brokers')
    replicas.push(take(broker))
  }
  return replicas
}

/**
 * Fewest replicas in its rack first, then fewest on its host; a fenced broker after all that are
 * not.
 */
function cost(broker: Located, taken: ReadonlyMap<string, number>): number {
  const inRack = taken.get(broker.inRack) ?? 0
  const onHost = taken.get(broker.onHost) ?? 0
  return (broker.isFenced ? 1e9 : 0) + inRack * 1e4 + onHost
}
