/*
 * What is read from the operating system around a run: CPU time and memory of the server, stolen
 * time of the machine; and a calibration loop that tells how fast the machine is at the moment.
 */
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { crc32c } from '../base/crc32c.ts'
import type { LoadJob, LoadResult } from './load.ts'

const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096

/** User and system seconds of processes together. */
export function cpuSecondsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0)
}

/** User and system seconds of a process. */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

export function residentBytes(pid: number): number {
  const pages = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]
  return Number(pages) * PAGE_BYTES
}

/** The most that the process ever had resident. */
export function peakResidentBytes(pid: number): number {
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
  return Number(line?.[1] ?? 0) * 1024
}

/** Seconds that the hypervisor gave to others, over all cores, since the machine started. */
export function stealSeconds(): number {
  const fields = readFileSync('/proc/stat', 'latin1').split('\n')[0]!.trim().split(/\s+/)
  return Number(fields[8] ?? 0) / TICKS_PER_SECOND
}

export interface Calibration {
  crcMegabytesPerSecond: number
  echoesPerSecond: number
}

const CALIBRATION_MS = 250

/** CRC-32C over 64 KB, and one byte to and fro over the loopback. */
export async function calibrate(): Promise<Calibration> {
  const buffer = Buffer.alloc(65_536, 'calibration')
  let count = 0
  const beganMs = performance.now()
  while (performance.now() - beganMs < CALIBRATION_MS) {
    crc32c(buffer, 0, buffer.length)
    count++
  }
  const crcSeconds = (performance.now() - beganMs) / 1000
  const crcMegabytesPerSecond = (count * buffer.length) / 1e6 / crcSeconds
  return { crcMegabytesPerSecond, echoesPerSecond: await echoesPerSecond() }
}

async function echoesPerSecond(): Promise<number> {
  const server = createServer((socket) => {
    socket.setNoDelay(true).pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const beganMs = performance.now()
  let count = 0
  await new Promise<void>((resolve) => {
    socket.on('data', () => {
      count++
      if (performance.now() - beganMs < CALIBRATION_MS) socket.write('x')
      else resolve()
    })
    socket.write('x')
  })
  const seconds = (performance.now() - beganMs) / 1000
  socket.destroy()
  server.close()
  return count / seconds
}

/** One run of a load against server processes, with what it cost there. */
export interface Run extends LoadResult {
  cpuSeconds: number
  stealSeconds: number
  peakBytes: number
}

const LOAD_LIMIT_MS = 180_000

export async function runLoadProcess(job: LoadJob, pids: readonly number[]): Promise<Run> {
  const child = fork(fileURLToPath(new URL('load.js', import.meta.url)), {
    execArgv: ['--max-semi-space-size=16'],
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), LOAD_LIMIT_MS)
  let cpuBefore = cpuSecondsOf(pids)
  let stealBefore = stealSeconds()
  try {
    const result = await new Promise<LoadResult>((resolve, reject) => {
      child.on('message', (message: { phase?: string; result?: LoadResult }) => {
        if (message.phase === 'measuring' && job.warmSeconds > 0) {
          cpuBefore = cpuSecondsOf(pids)
          stealBefore = stealSeconds()
        }
        if (message.result !== undefined) resolve(message.result)
      })
      child.once('exit', (code) => reject(new Error(`the load generator ended with ${code}`)))
      child.send(job)
    })
    return {
      ...result,
      cpuSeconds: cpuSecondsOf(pids) - cpuBefore,
      stealSeconds: stealSeconds() - stealBefore,
      peakBytes: Math.max(...pids.map(peakResidentBytes)),
    }
  } finally {
    clearTimeout(timer)
  }
}

/** Median, least and greatest. */
export function spread(values: readonly number[]): { median: number; min: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const median =
    sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)! }
}
