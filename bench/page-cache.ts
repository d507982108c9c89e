/*
 * A page of memory that a virtual machine has not used yet costs its host a fault of several
 * microseconds, many times what the write to it costs. A machine that has run for a while has used them
 * all: its page cache is full, and a write takes the place of something old. So that is where a
 * benchmark begins; else whoever runs first pays for the pages of those who come later.
 */
import { closeSync, openSync, readFileSync, readSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PIECE_BYTES = 1024 * 1024
/** Left for the processes of the benchmark. */
const SPARED_BYTES = 2 * 1024 * 1024 * 1024

/** Reads a file that is one hole: no disk, and pages that anybody may take. Gives what removes it. */
export function fillPageCache(): { bytes: number; seconds: number; remove: () => void } {
  const beganMs = performance.now()
  const free = /MemFree:\s+(\d+) kB/.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1]
  const bytes = Math.max(0, Number(free ?? 0) * 1024 - SPARED_BYTES)
  const path = join(tmpdir(), `odradek-bench-hole-${process.pid}`)
  const fd = openSync(path, 'w+')
  truncateSync(path, bytes)
  const piece = Buffer.allocUnsafeSlow(PIECE_BYTES)
  while (readSync(fd, piece) > 0);
  closeSync(fd)
  const seconds = (performance.now() - beganMs) / 1000
  return { bytes, seconds, remove: () => rmSync(path, { force: true }) }
}
