/*
 * The load generator, a process of its own: raw sockets, prebuilt frames, no decoding beyond error
 * codes and lengths. A job comes by IPC and its result goes back the same way. Invariant: answers on
 * one connection come in the order of its requests, so one queue of send times gives the latencies.
 */
import { connect, type Socket } from 'node:net'
import {
  CORRELATION_POSITION,
  fetchAnswer,
  fetchFrame,
  produceError,
  produceFrame,
  recordBatch,
  sampleValues,
} from '../chaos-tests/cluster/frames.ts'
import { compress } from '../log/compression.ts'

export interface LoadJob {
  kind: 'produce' | 'fetch'
  port: number
  topic: string
  partitions: number
  connections: number
  inFlight: number
  /** Measured time; for a fetch of everything once, the upper limit. */
  seconds: number
  warmSeconds: number
  recordCount: number
  valueBytes: number
  codec: 'none' | 'lz4'
  acks: number
  /** Fetch: first and last offset of each partition to read; `isOnce` ends at the last. */
  fromOffset: number
  toOffset: number
  isOnce: boolean
}

export interface LoadResult {
  requests: number
  bytes: number
  seconds: number
  p50Ms: number
  p99Ms: number
  p999Ms: number
  error: string | undefined
}

const HEAD_BYTES = 256
const SAMPLES_MAX = 4_000_000
const LZ4_CODEC = 3
/** Room for a batch whose size is not a power of two in a fetch of 1 MB. */
export const FETCH_PARTITION_BYTES = 1024 * 1024

/** What a request of one partition needs, built once. */
interface Target {
  frame: Buffer
  offsetPosition: number
  offset: number
  batchBytes: number
}

class Load {
  readonly job: LoadJob
  readonly targets: Target[]
  readonly samples = new Float64Array(SAMPLES_MAX)
  sampleCount = 0
  requests = 0
  bytes = 0
  isMeasuring = false
  isStopping = false
  error: string | undefined
  remaining = 0
  lastAnswerMs = 0
  readonly ended: Promise<void>
  #end: () => void = () => {}

  constructor(job: LoadJob) {
    this.job = job
    this.targets = buildTargets(job)
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  record(latencyMs: number, bytes: number): void {
    if (!this.isMeasuring) return
    this.requests++
    this.bytes += bytes
    if (this.sampleCount < SAMPLES_MAX) this.samples[this.sampleCount++] = latencyMs
  }

  fail(reason: string): void {
    this.error ??= reason
    this.#end()
  }

  stop(): void {
    this.isStopping = true
    this.#end()
  }

  /** A partition of a fetch that reads everything once has reached its end. */
  partitionDone(): void {
    this.remaining--
    if (this.remaining === 0) this.stop()
  }
}

function buildTargets(job: LoadJob): Target[] {
  const compressor = {
    codec: LZ4_CODEC,
    apply: (records: Buffer) => compress('lz4', records),
  }
  const batch = recordBatch({
    values: sampleValues(job.recordCount, job.valueBytes),
    ...(job.codec === 'lz4' ? { compress: compressor } : {}),
  })
  return Array.from({ length: job.partitions }, (_, partition) => {
    const offset = job.fromOffset
    const batchBytes = batch.length
    if (job.kind === 'produce') {
      const frame = produceFrame(job.topic, partition, batch, job.acks)
      return { frame, offsetPosition: 0, offset, batchBytes }
    }
    const { frame, offsetPosition } = fetchFrame(job.topic, partition, FETCH_PARTITION_BYTES)
    return { frame, offsetPosition, offset, batchBytes }
  })
}

/** One connection: keeps `inFlight` requests outstanding, over the partitions it is given. */
class Connection {
  readonly #load: Load
  readonly #targets: Target[]
  readonly #socket: Socket
  readonly #sentAtMs: number[] = []
  readonly #sentTo: Target[] = []
  readonly #head = Buffer.alloc(HEAD_BYTES)
  #headLength = 0
  #frameLength = -1
  #seen = 0
  #next = 0
  #correlation = 0

  constructor(load: Load, targets: Target[]) {
    this.#load = load
    this.#targets = targets
    this.#socket = connect({ port: load.job.port, host: '127.0.0.1', noDelay: true })
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    this.#socket.on('error', (error) => load.fail(String(error)))
    this.#socket.on('close', () => {
      if (!load.isStopping) load.fail('the server closed a connection')
    })
  }

  begin(): void {
    for (let i = 0; i < this.#load.job.inFlight; i++) this.#send()
  }

  close(): void {
    this.#socket.destroy()
  }

  #send(): void {
    if (this.#load.isStopping || this.#targets.length === 0) return
    const target = this.#targets[this.#next++ % this.#targets.length]!
    target.frame.writeInt32BE(this.#correlation++, CORRELATION_POSITION)
    this.#sentAtMs.push(performance.now())
    this.#sentTo.push(target)
    if (this.#load.job.kind === 'produce') {
      this.#socket.write(target.frame)
    } else {
      target.frame.writeBigInt64BE(BigInt(target.offset), target.offsetPosition)
      this.#socket.write(Buffer.from(target.frame))
    }
  }

  #receive(chunk: Buffer): void {
    let at = 0
    this.#socket.cork()
    while (at < chunk.length) {
      const wanted = this.#frameLength < 0 ? 4 : Math.min(HEAD_BYTES, this.#frameLength)
      if (this.#headLength < wanted) {
        const count = Math.min(wanted - this.#headLength, chunk.length - at)
        chunk.copy(this.#head, this.#headLength, at, at + count)
        this.#headLength += count
        this.#seen += count
        at += count
      } else {
        const count = Math.min(this.#frameLength - this.#seen, chunk.length - at)
        this.#seen += count
        at += count
      }
      if (this.#frameLength < 0) {
        if (this.#headLength < 4) continue
        this.#frameLength = this.#head.readInt32BE(0)
        this.#headLength = 0
        this.#seen = 0
      }
      if (this.#seen === this.#frameLength) this.#answered()
    }
    this.#socket.uncork()
  }

  #answered(): void {
    const sizeBytes = this.#frameLength
    this.#frameLength = -1
    this.#headLength = 0
    this.#seen = 0
    const nowMs = performance.now()
    const latencyMs = nowMs - this.#sentAtMs.shift()!
    const target = this.#sentTo.shift()!
    this.#load.lastAnswerMs = nowMs
    if (this.#load.job.kind === 'produce') {
      const { error } = produceError(this.#head, 0)
      if (error === 0) this.#load.record(latencyMs, target.batchBytes)
      else this.#load.fail(`produce answered error ${error}`)
    } else {
      this.#fetched(target, sizeBytes, latencyMs)
    }
    this.#send()
  }

  /** Batches are all of one size, so the answer's size tells the next offset. */
  #fetched(target: Target, sizeBytes: number, latencyMs: number): void {
    const { job } = this.#load
    const { error, recordBytes } = fetchAnswer(this.#head, 0)
    if (error !== 0) {
      this.#load.fail(`fetch answered error ${error}`)
      return
    }
    this.#load.record(latencyMs, sizeBytes)
    target.offset += Math.floor(recordBytes / target.batchBytes) * job.recordCount
    if (target.offset < job.toOffset) return
    target.offset = job.fromOffset
    if (!job.isOnce) return
    this.#targets.splice(this.#targets.indexOf(target), 1)
    this.#load.partitionDone()
  }
}

const wait = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

export async function runLoad(job: LoadJob): Promise<LoadResult> {
  const load = new Load(job)
  load.remaining = load.targets.length
  const connections = Array.from({ length: job.connections }, (_, i) => {
    const mine = load.targets.filter((_, k) => k % job.connections === i % job.partitions)
    const shared = [load.targets[i % load.targets.length]!]
    return new Connection(load, job.connections >= job.partitions ? shared : mine)
  })
  load.isMeasuring = job.warmSeconds === 0
  let beganMs = performance.now()
  for (const connection of connections) connection.begin()
  await Promise.race([wait(job.warmSeconds), load.ended])
  process.send?.({ phase: 'measuring' })
  if (!load.isMeasuring) beganMs = performance.now()
  load.isMeasuring = true
  await Promise.race([wait(job.seconds), load.ended])
  load.isMeasuring = false
  const endedMs = job.isOnce ? load.lastAnswerMs : performance.now()
  load.stop()
  for (const connection of connections) connection.close()
  const samples = load.samples.subarray(0, load.sampleCount).sort()
  const at = (share: number) =>
    samples[Math.min(samples.length - 1, samples.length * share) | 0] ?? 0
  return {
    requests: load.requests,
    bytes: load.bytes,
    seconds: (endedMs - beganMs) / 1000,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    p999Ms: at(0.999),
    error: load.error,
  }
}

process.on('message', (job: LoadJob) => {
  void runLoad(job).then((result) => {
    process.send?.({ result }, () => process.exit(0))
  })
})
