/* Wrong bytes in a node's files: which files there are, of which kinds, and one byte changed. */
import { closeSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** Draws a whole number below another. mulberry32: small, and the same for the same seed. */
export type Draw = (below: number) => number

export function seeded(seed: number): Draw {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** Every file of the node that holds something. */
export function filesOf(directory: string): string[] {
  const found: string[] = []
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name)
    if (entry.isFile() && entry.name !== '.lock' && sizeOf(path) > 0) found.push(path)
  }
  return found.sort()
}

/** 0 when it has gone meanwhile. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

export function kindOf(path: string): string {
  const folder = basename(dirname(path))
  if (folder === '__cluster_metadata-0') return 'metadata log'
  if (folder === 'reserve') return 'reserve'
  return (
    /\.(log|index|timeindex|txnindex|snapshot|checkpoint|sums)$/.exec(path)?.[1] ?? basename(path)
  )
}

/** Each kind of file is as likely as another, but for records: there is most to lose. */
export function drawFile(directory: string, draw: Draw): string {
  const byKind = new Map<string, string[]>()
  for (const path of filesOf(directory)) {
    const paths = byKind.get(kindOf(path)) ?? []
    paths.push(path)
    byKind.set(kindOf(path), paths)
  }
  const kinds = [...byKind.keys()].sort()
  const kind = draw(2) === 0 && byKind.has('log') ? 'log' : kinds[draw(kinds.length)]!
  const paths = byKind.get(kind)!
  return paths[draw(paths.length)]!
}

/** Changes one byte in place, also under a running node. Where; undefined when the file has gone. */
export function flip(path: string, draw: Draw): number | undefined {
  const size = sizeOf(path)
  if (size === 0) return undefined
  const position = draw(size)
  const byte = Buffer.alloc(1)
  const file = openSync(path, 'r+')
  try {
    if (readSync(file, byte, 0, 1, position) === 0) return undefined
    byte[0]! ^= 1 + draw(255)
    writeSync(file, byte, 0, 1, position)
  } finally {
    closeSync(file)
  }
  return position
}
