/*
 * What counting for /metrics costs the produce path: a profile of the node under load, and the share of
 * its busy time that is spent in the functions which count. V8 would make most of them part of their callers,
 * where a profile does not tell them apart: it is told not to, so the share is more than it is in earnest.
 * A bare `count++` in other code is not seen, and costs a nanosecond.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepareServer } from '../chaos-tests/cluster/processes.ts'
import { makeTopic } from '../chaos-tests/cluster/wire.ts'
import type { LoadJob } from './load.ts'
import { runLoadProcess } from './measure.ts'
import type { Figures, RowContext } from './rows.ts'

const TOPIC = 'counted'
const SAMPLE_US = 250
/** Where histograms and counters are, and what the pages and the console's chart keep. */
const COUNTING = /\/dist\/(base\/metrics|node\/throughput|node\/metrics|.*\/(probe|rpc-probe))\.js$/
/** Of V8's own, which no code of ours causes. */
const RESTING = /^\((idle|program|root)\)$/

interface Profile {
  readonly nodes: readonly { id: number; callFrame: { functionName: string; url: string } }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Kafka has no such profile: no figures. */
export async function countingRow(
  { target, seconds, warmSeconds }: RowContext,
  load: Omit<LoadJob, 'port' | 'topic' | 'seconds' | 'warmSeconds'>,
): Promise<Figures> {
  if (target.options.peer === 'kafka') return {}
  const directory = mkdtempSync(join(tmpdir(), 'odradek-profile-'))
  const flags = [
    '--no-turbo-inlining',
    '--cpu-prof',
    `--cpu-prof-dir=${directory}`,
    `--cpu-prof-interval=${SAMPLE_US}`,
  ]
  const server = await prepareServer({ ...target.options, runtimeArguments: flags })
  try {
    await server.start()
    const { partitions } = load
    await makeTopic(server.ports.kafka, { name: TOPIC, partitions })
    const job = { ...load, port: server.ports.kafka, topic: TOPIC, seconds, warmSeconds }
    const { error } = await runLoadProcess(job, [server.pid])
    if (error !== undefined) throw new Error(error)
    await server.stop()
    const profiles = readdirSync(directory).map((name) => {
      return JSON.parse(readFileSync(join(directory, name), 'utf8')) as Profile
    })
    if (profiles.length === 0) throw new Error('the node left no profile')
    return sharesOf(profiles)
  } finally {
    await server.remove()
    rmSync(directory, { recursive: true, force: true })
  }
}

function sharesOf(profiles: readonly Profile[]): Figures {
  let busyUs = 0
  let countingUs = 0
  for (const { nodes, samples, timeDeltas } of profiles) {
    const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
    samples.forEach((id, at) => {
      const { functionName, url } = frames.get(id)!
      if (RESTING.test(functionName)) return
      busyUs += timeDeltas[at]!
      if (COUNTING.test(url)) countingUs += timeDeltas[at]!
    })
  }
  return { 'counting %': (100 * countingUs) / busyUs, 'busy s': busyUs / 1e6 }
}
