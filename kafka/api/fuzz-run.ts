/**
 * The long run of the fuzzer: node dist/kafka/api/fuzz-run.js [--minutes 10] [--seed text]
 * Ends with 1 when a request is not handled as it should be, takes over a second of CPU, or memory grows.
 */
import { realClock } from '../../base/real/clock.ts'
import { realRandom } from '../../base/real/random.ts'
import { SimRandom } from '../../base/sim/random.ts'
import { definitions } from './definitions.ts'
import { checkRequest, type FuzzedRequest, Fuzzer } from './fuzz.ts'

const BATCH = 5_000
/** Of this process's own time: on a busy machine the clock says nothing. */
const SLOW_MICROSECONDS = 1_000_000
const GROWTH_BYTES_MAX = 256 * 1024 * 1024

function option(name: string, otherwise: string): string {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? otherwise : (process.argv[at + 1] ?? otherwise)
}

function fail(message: string, { api, version, frame }: FuzzedRequest, error?: unknown): never {
  const detail = error instanceof Error ? `\n${error.stack}` : ''
  process.stderr.write(
    `${message}\n${api.name} v${version} ${frame.toString('hex').slice(0, 4_000)}${detail}\n`,
  )
  process.exit(1)
}

function check(request: FuzzedRequest, seed: string): boolean {
  const before = process.cpuUsage()
  let isAccepted = false
  try {
    isAccepted = checkRequest(request)
  } catch (error) {
    fail(`seed ${seed}: failed`, request, error)
  }
  const { user, system } = process.cpuUsage(before)
  if (user + system > SLOW_MICROSECONDS) fail(`seed ${seed}: slow`, request)
  return isAccepted
}

function run(): void {
  const minutes = Number(option('minutes', '10'))
  const seed = option('seed', String(realRandom.uint32()))
  const endMs = realClock.monotonicMs() + minutes * 60_000
  const fuzzer = new Fuzzer(new SimRandom(seed), definitions)
  let requests = 0
  let accepted = 0
  let startBytes = 0
  process.stdout.write(`fuzzing ${definitions.length} APIs for ${minutes} minutes, seed ${seed}\n`)
  while (realClock.monotonicMs() < endMs) {
    let last: FuzzedRequest | undefined
    for (let i = 0; i < BATCH; i++) {
      last = fuzzer.next()
      if (check(last, seed)) accepted++
    }
    requests += BATCH
    const { rss } = process.memoryUsage()
    // The first batches compile codecs and warm the heap.
    if (requests <= 20 * BATCH) startBytes = rss
    else if (rss - startBytes > GROWTH_BYTES_MAX) fail(`memory grew to ${rss}`, last!)
  }
  process.stdout.write(
    `${requests} requests, ${accepted} accepted; ${Math.round(process.memoryUsage().rss / 2 ** 20)} MB\n`,
  )
}

run()
