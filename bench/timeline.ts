/*
 * Where the time of one record with acks=all goes: one request at a time to the leader of three
 * nodes, each of which notes when the record passes its doors (trace.ts). Every figure is the
 * median, in microseconds since the client sent the request.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  CORRELATION_POSITION,
  produceError,
  produceFrame,
  recordBatch,
  sampleValues,
} from '../chaos-tests/cluster/frames.ts'
import { sleep } from '../chaos-tests/cluster/processes.ts'
import { ServerGroup } from '../chaos-tests/cluster/server-group.ts'
import { makeReplicatedTopic } from './failover.ts'
import type { Figures, RowContext } from './rows.ts'
import { nowUs, TIMELINE_TOPIC, type TraceEvent, type TraceKind } from './trace.ts'

const WARM_COUNT = 1000
const COUNT = 400
/** Longer than a watermark waits that nothing else carries: its message is in no record's way. */
const PAUSE_MS = 12

/** One request, as the client saw it. */
interface Span {
  readonly sentUs: number
  readonly answeredUs: number
}

export async function timelineRow({ target }: RowContext): Promise<Figures> {
  const fileOf = (directory: string) => join(directory, 'timeline.json')
  const group = await ServerGroup.start({
    ...target.options,
    count: 3,
    runtimeArguments: ['--import', fileURLToPath(new URL('trace.js', import.meta.url))],
    environmentOf: (directory) => ({ TIMELINE_FILE: fileOf(directory) }),
  })
  try {
    await makeReplicatedTopic(group, TIMELINE_TOPIC, { partitions: 1, configs: {} })
    const spans = await produce(group.nodes[0]!.ports.kafka)
    await group.stop()
    const events = group.nodes.map(({ directory }) => {
      return JSON.parse(readFileSync(fileOf(directory), 'utf8')) as TraceEvent[]
    })
    return mediansOf(spans.map((span) => stepsOf(span, events)))
  } finally {
    await group.remove()
  }
}

async function produce(port: number): Promise<Span[]> {
  const batch = recordBatch({ values: sampleValues(1, 100) })
  const frame = produceFrame(TIMELINE_TOPIC, 0, batch, -1)
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const spans: Span[] = []
  try {
    for (let i = 0; i < WARM_COUNT + COUNT; i++) {
      frame.writeInt32BE(i, CORRELATION_POSITION)
      const sentUs = nowUs()
      await exchange(socket, frame)
      const span = { sentUs, answeredUs: nowUs() }
      if (i < WARM_COUNT) continue
      spans.push(span)
      await sleep(PAUSE_MS)
    }
  } finally {
    socket.destroy()
  }
  return spans
}

/** The answer is small, and comes in one piece. */
function exchange(socket: Socket, frame: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('data', (chunk: Buffer) => {
      socket.off('error', reject)
      const { error } = produceError(chunk, 4)
      if (error === 0) resolve()
      else reject(new Error(`produce answered error ${error}`))
    })
    socket.write(frame)
  })
}

/** Since the client sent it; what both followers do counts when the later one has done it. */
function stepsOf(span: Span, [leader, ...followers]: readonly TraceEvent[][]): Figures {
  const first = (events: readonly TraceEvent[], kind: TraceKind) => timesOf(events, kind, span)[0]
  const last = (events: readonly TraceEvent[], kind: TraceKind) =>
    timesOf(events, kind, span).at(-1)
  const later = (kind: TraceKind) =>
    Math.max(...followers.map((events) => first(events, kind) ?? Number.NaN))
  return {
    'leader: arrived': first(leader!, 'arrived') ?? Number.NaN,
    'leader: written': first(leader!, 'written') ?? Number.NaN,
    'leader: sync begun': first(leader!, 'sync begun') ?? Number.NaN,
    'leader: sent to both': last(leader!, 'records sent') ?? Number.NaN,
    'leader: synced': first(leader!, 'synced') ?? Number.NaN,
    'followers: come': later('records come'),
    'followers: written': later('written'),
    'followers: sync begun': later('sync begun'),
    'followers: synced': later('synced'),
    'followers: position sent': later('position sent'),
    'leader: both positions': last(leader!, 'position come') ?? Number.NaN,
    'leader: answered': last(leader!, 'answered') ?? Number.NaN,
    'client: has it': span.answeredUs - span.sentUs,
  }
}

function timesOf(events: readonly TraceEvent[], kind: TraceKind, span: Span): number[] {
  return events
    .filter((one) => one.kind === kind && one.atUs >= span.sentUs && one.atUs <= span.answeredUs)
    .map(({ atUs }) => atUs - span.sentUs)
}

function mediansOf(all: readonly Figures[]): Figures {
  const names = Object.keys(all[0]!)
  return Object.fromEntries(
    names.map((name) => {
      const seen = all.map((one) => one[name]!).filter((us) => !Number.isNaN(us))
      if (seen.length < all.length / 2) throw new Error(`"${name}" was seen ${seen.length} times`)
      return [name, seen.sort((a, b) => a - b)[seen.length >> 1]!]
    }),
  )
}
