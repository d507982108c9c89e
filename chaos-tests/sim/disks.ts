/**
 * Looks at the disks: what a partition's segment files hold, batch by batch. The strongest check
 * that there is: an acknowledgement is worth what the disks hold at that moment.
 */
import type { SimDisk } from '../../base/sim/disk.ts'
import type { Violation } from '../checkers/history.ts'
import { DATA_DIRECTORY, type SimCluster, type SimNode } from './cluster.ts'

const HEADER_BYTES = 61
const LENGTH_AT = 8
const CRC_AT = 17
const LAST_OFFSET_DELTA_AT = 23

export type DiskBatch = readonly [baseOffset: number, lastOffset: number, crc: number]

/** Whole batches, in the order of the files. */
export function batchesOf(content: Buffer): DiskBatch[] {
  const batches: DiskBatch[] = []
  for (let at = 0; at + HEADER_BYTES <= content.length; ) {
    const end = at + 12 + content.readInt32BE(at + LENGTH_AT)
    if (end > content.length || end < at + HEADER_BYTES) break
    const baseOffset = Number(content.readBigInt64BE(at))
    const lastOffset = baseOffset + content.readInt32BE(at + LAST_OFFSET_DELTA_AT)
    batches.push([baseOffset, lastOffset, content.readUInt32BE(at + CRC_AT)])
    at = end
  }
  return batches
}

/** The segment files of a partition, by base offset. */
export function segmentsOf(disk: SimDisk, topic: string, partition: number): string[] {
  const directory = `${DATA_DIRECTORY}/${topic}-${partition}`
  if (!disk.exists(directory)) return []
  const fault = disk.fault
  disk.fault = () => undefined
  const names = disk.list(directory).map(({ name }) => name)
  disk.fault = fault
  return names.filter((name) => /^\d{20}\.log$/.test(name)).map((name) => `${directory}/${name}`)
}

/** True when a power loss now would leave the whole range [from, to) of offsets. */
export function isDurable(
  node: SimNode,
  place: { readonly topic: string; readonly partition: number },
  from: number,
  to: number,
): boolean {
  const { disk } = node.host
  const paths = segmentsOf(disk, place.topic, place.partition)
  let next = from
  for (const [index, path] of paths.entries()) {
    const following = paths[index + 1]
    if (following !== undefined && baseOffsetOf(following) <= next) continue
    for (const [base, last] of batchesOf(disk.durableContent(path))) {
      if (base <= next && last >= next) next = last + 1
    }
    if (next >= to) return true
  }
  return false
}

/** undefined, or the complaint: fewer than `wanted` disks hold what was acknowledged just now. */
export function undurableAck(
  cluster: SimCluster,
  ack: {
    readonly topic: string
    readonly partition: number
    readonly from: number
    readonly to: number
  },
  wanted: number,
): Violation | undefined {
  const holders = cluster.nodes.filter((node) => isDurable(node, ack, ack.from, ack.to))
  if (holders.length >= wanted) return undefined
  const on = holders.map(({ name }) => name).join(', ') || 'no disk'
  const message = `${ack.topic}-${ack.partition}: offsets ${ack.from} to ${ack.to} were acknowledged at ${cluster.nowMs} ms, and are on ${on}`
  return { checker: 'ack-not-durable', message }
}

const baseOffsetOf = (path: string): number => Number(path.slice(-24, -4))
