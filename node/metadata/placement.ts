/**
 * Where the replicas of new partitions lie. Brokers stand in a ring in which racks take turns; the
 * first replicas go round it, the others follow at a distance that changes with each round, so
 * that a broker's load is shared by all others when it is gone.
 *
 * Kept: replicas of a partition lie on different brokers, and on as many racks as there are, before
 * a rack gets a second one. The first replica, which will lead, is on a broker that is not fenced.
 */
import { assert } from '../../base/assert.ts'
import type { Random } from '../../base/random.ts'

export interface PlacementBroker {
  readonly id: number
  readonly rack: string | null
  readonly isFenced: boolean
}

export interface PlacementRequest {
  /** How many partitions. */
  readonly count: number
  readonly replicationFactor: number
  readonly brokers: readonly PlacementBroker[]
  readonly random: Random
}

/** Replicas by partition, the first leads; or why it can't be. */
export function placeReplicas(request: PlacementRequest): number[][] | string {
  const { count, replicationFactor, brokers, random } = request
  assert(count > 0 && replicationFactor > 0, 'something is to be placed')
  const times = `Unable to replicate the partition ${replicationFactor} time(s): `
  if (replicationFactor > brokers.length) {
    return (
      `${times}The target replication factor of ${replicationFactor} cannot be reached ` +
      `because only ${brokers.length} broker(s) are registered.`
    )
  }
  const usable = brokers.filter((broker) => !broker.isFenced)
  if (usable.length === 0) return `${times}All brokers are currently fenced.`
  const ring = interleave(usable, random)
  // Fenced brokers hold a replica only where the others do not suffice.
  const reserve = interleave(
    brokers.filter((broker) => broker.isFenced),
    random,
  )
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

/** A ring in which racks take turns, beginning anywhere in each. */
function interleave(brokers: readonly PlacementBroker[], random: Random): PlacementBroker[] {
  const racks = new Map<string, PlacementBroker[]>()
  for (const broker of [...brokers].sort((one, other) => one.id - other.id)) {
    const rack = broker.rack ?? ''
    const list = racks.get(rack)
    if (list === undefined) racks.set(rack, [broker])
    else list.push(broker)
  }
  const queues = [...racks.entries()]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, list]) => rotate(list, random.below(list.length)))
  const ring: PlacementBroker[] = []
  for (let at = 0; ring.length < brokers.length; at++) {
    for (const queue of queues) if (at < queue.length) ring.push(queue[at]!)
  }
  return ring
}

const rotate = <T>(list: readonly T[], by: number): T[] => [...list.slice(by), ...list.slice(0, by)]

function pick(
  ring: readonly PlacementBroker[],
  reserve: readonly PlacementBroker[],
  position: number,
  round: number,
  replicationFactor: number,
): number[] {
  const first = position % ring.length
  const leader = ring[first]!
  const others = rotate(ring, first).slice(1)
  const shifted = others.length === 0 ? [] : rotate(others, round % others.length)
  const candidates = [...shifted, ...reserve]
  const perRack = new Map<string, number>([[leader.rack ?? '', 1]])
  const replicas = [leader.id]
  while (replicas.length < replicationFactor) {
    let best = 0
    for (let at = 1; at < candidates.length; at++) {
      if (cost(candidates[at]!, perRack) < cost(candidates[best]!, perRack)) best = at
    }
    const [broker] = candidates.splice(best, 1)
    assert(broker !== undefined, 'there are enough brokers')
    const rack = broker.rack ?? ''
    perRack.set(rack, (perRack.get(rack) ?? 0) + 1)
    replicas.push(broker.id)
  }
  return replicas
}

/** Fewest replicas in its rack first; a fenced broker after all that are not. */
function cost(broker: PlacementBroker, perRack: ReadonlyMap<string, number>): number {
  const inRack = perRack.get(broker.rack ?? '') ?? 0
  return broker.isFenced ? inRack + 1_000_000 : inRack
}
