/**
 * Bytes that change behind everybody's back, on the device and in the cache: bits that turn, writes
 * that land elsewhere, writes that never landed. Each is found by a checksum, or it is served.
 */
import type { SimDisk } from '../../base/sim/disk.ts'
import type { SimRandom } from '../../base/sim/random.ts'
import { DATA_DIRECTORY } from './cluster.ts'

const SECTOR_BYTES = 512

/** A few bits of a few files, wherever they are. */
export function flipBits(disk: SimDisk, random: SimRandom): void {
  const paths = filled(disk)
  if (paths.length === 0) return
  for (let i = 1 + random.below(3); i > 0; i--) {
    const path = random.pick(paths)
    disk.flip(path, random.below(disk.sizeOf(path)))
  }
}

/** A sector of one file lies over a sector of another, or over another one of the same. */
export function misdirect(disk: SimDisk, random: SimRandom): void {
  const paths = filled(disk)
  if (paths.length === 0) return
  const source = sectorOf(disk, random, random.pick(paths))
  const target = sectorOf(disk, random, random.pick(paths))
  const length = Math.min(source.bytes.length, target.bytes.length)
  disk.corrupt(target.path, target.position, source.bytes.subarray(0, length))
}

/** A sector reads as it did before anything was written there. */
export function makeStale(disk: SimDisk, random: SimRandom): void {
  const paths = filled(disk)
  if (paths.length === 0) return
  const { path, position, bytes } = sectorOf(disk, random, random.pick(paths))
  disk.corrupt(path, position, Buffer.alloc(bytes.length))
}

export function filesBelow(disk: SimDisk, directory: string): string[] {
  if (!disk.exists(directory)) return []
  return disk.list(directory).flatMap(({ name, isDirectory }) => {
    const path = `${directory}/${name}`
    return isDirectory ? filesBelow(disk, path) : [path]
  })
}

function filled(disk: SimDisk): string[] {
  return filesBelow(disk, DATA_DIRECTORY).filter((path) => disk.sizeOf(path) > 0)
}

function sectorOf(disk: SimDisk, random: SimRandom, path: string) {
  const sectors = Math.ceil(disk.sizeOf(path) / SECTOR_BYTES)
  const position = random.below(sectors) * SECTOR_BYTES
  // Whoever looks at the platters is not troubled by what troubles the node.
  const { fault } = disk
  disk.fault = () => undefined
  const bytes = disk.readFile(path).subarray(position, position + SECTOR_BYTES)
  disk.fault = fault
  return { path, position, bytes }
}
