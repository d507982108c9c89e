/*
 * What the drivers written in TypeScript share with those in other languages: one JSON line a check
 * on stdout, the set of records that every client writes for the others, and the story of a group
 * whose members are processes of their own.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type CodecName = (typeof CODECS)[number]
export const CROSS_COUNT = 20
/** Recent, or retention removes the records; the same for all drivers of a run. */
/** Replication factor of the topics that the checks make. */
export const REPLICAS = Number(process.env['INTEROP_REPLICAS'] ?? 1)
export const BASE_TIMESTAMP_MS = Number(process.env['INTEROP_BASE_TIMESTAMP_MS'] ?? 0)

/** One line of a driver. `produced` says that the shared set was written and how. */
export interface DriverLine {
  check?: string
  ok?: boolean
  skip?: string
  ms?: number
  detail?: string | null
  produced?: CrossSource
}

export interface CrossSource {
  client: string
  topic: string
  codecs: CodecName[]
  timestamps: boolean
  headers: boolean
}

export interface CrossRecord {
  partition: number
  offset: number
  key: string | null
  value: string | null
  headers: [string, string][]
  timestampMs: number
}

export interface DriverSettings {
  bootstrap: string
  run: string
  hasTransactions: boolean
  isFast: boolean
}

export function driverSettings(): DriverSettings {
  return {
    bootstrap: process.env['INTEROP_BOOTSTRAP'] ?? '',
    run: process.env['INTEROP_RUN'] ?? 'run',
    hasTransactions: process.env['INTEROP_TRANSACTIONS'] === 'supported',
    isFast: process.env['INTEROP_FAST'] === '1',
  }
}

export function say(line: DriverLine | { assigned: number[] }): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** Runs one check and prints its line; a check fails by throwing. */
export async function check(name: string, run: () => Promise<string | undefined>): Promise<void> {
  const begin = performance.now()
  const ms = () => Math.round(performance.now() - begin)
  try {
    const detail = await run()
    say({ check: name, ok: true, ms: ms(), detail: detail ?? null })
  } catch (error) {
    say({ check: name, ok: false, ms: ms(), detail: describeError(error) })
  }
}

export function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

export async function waitFor(
  condition: () => boolean | Promise<boolean>,
  limitMs: number,
  what: () => string,
): Promise<void> {
  const until = Date.now() + limitMs
  while (!(await condition())) {
    if (Date.now() > until) throw new Error(`not within ${limitMs} ms: ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Runs and expects an error whose text has one of the fragments; gives the text. */
export async function expectError(
  run: () => Promise<unknown>,
  ...fragments: string[]
): Promise<string> {
  let result: unknown
  try {
    result = await run()
  } catch (error) {
    const text = `${describeError(error)} ${JSON.stringify(error)}`
    if (fragments.some((fragment) => text.toLowerCase().includes(fragment.toLowerCase()))) {
      return text.split('\n')[0]!
    }
    throw new Error(`expected an error with one of ${fragments.join(', ')}, got ${text}`)
  }
  const shown = JSON.stringify(result) ?? 'nothing'
  throw new Error(`expected an error with one of ${fragments.join(', ')}, got ${shown}`)
}

/** Record i of the shared set of a client and codec. */
export function crossRecord(client: string, codec: CodecName, i: number): CrossRecord {
  return {
    partition: CODECS.indexOf(codec),
    offset: i,
    key: i % 5 === 4 ? null : `key-${i}`,
    value: i % 7 === 3 ? null : `value-${codec}-${i}-${'x'.repeat(i * 13)}`,
    headers: [
      ['codec', codec],
      ['client', client],
    ],
    timestampMs: BASE_TIMESTAMP_MS + i * 1000,
  }
}

export function expectCross(source: CrossSource, records: readonly CrossRecord[]): void {
  for (const codec of source.codecs) {
    const found = records
      .filter((record) => record.partition === CODECS.indexOf(codec))
      .sort((a, b) => a.offset - b.offset)
    if (found.length !== CROSS_COUNT) {
      throw new Error(`${found.length} records of ${source.client} with ${codec}`)
    }
    found.forEach((record, i) => {
      const want = crossRecord(source.client, codec, i)
      if (!source.headers) want.headers = record.headers
      if (!source.timestamps) want.timestampMs = record.timestampMs
      const [got, expected] = [JSON.stringify(record), JSON.stringify(want)]
      if (got !== expected) throw new Error(`record ${i}: got ${got}, expected ${expected}`)
    })
  }
}

/** Says what was written, waits for the runner's list and reads what every client wrote. */
export async function cross(
  mine: CrossSource,
  read: (topic: string, count: number, source: CrossSource) => Promise<CrossRecord[]>,
): Promise<void> {
  say({ produced: mine })
  const lines = createInterface({ input: process.stdin })
  for await (const line of lines) {
    const { cross: sources } = JSON.parse(line) as { cross: CrossSource[] }
    for (const source of sources) {
      await check(`reads what ${source.client} wrote`, async () => {
        const count = source.codecs.length * CROSS_COUNT
        expectCross(source, await read(source.topic, count, source))
        return undefined
      })
    }
    break
  }
  lines.close()
}

/** A group member in its own process; `readAssignment` finds the assignment in a line of output. */
export class Member {
  readonly process: ChildProcess
  assigned: number[] = []

  constructor(command: readonly string[], readAssignment: (line: string) => number[] | undefined) {
    this.process = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.process.stdout!, this.process.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => {
        this.assigned = readAssignment(line) ?? this.assigned
      })
    }
  }
}

export function assignmentOfLine(line: string): number[] | undefined {
  if (!line.startsWith('{"assigned"')) return undefined
  return (JSON.parse(line) as { assigned: number[] }).assigned
}

/** Three members share twelve partitions; one leaves, then one dies; the last has them all. */
export async function groupStory(start: () => Member): Promise<void> {
  const members = [start(), start(), start()]
  const shared = (alive: readonly Member[], each: number) => () =>
    new Set(alive.flatMap((member) => member.assigned)).size === 12 &&
    alive.every((member) => member.assigned.length === each)
  const shown = () => JSON.stringify(members.map((member) => member.assigned))
  const step = (name: string, alive: readonly Member[], each: number, limitMs: number) =>
    check(name, async () => {
      await waitFor(shared(alive, each), limitMs, shown)
      return undefined
    })
  try {
    await step('group of three shares 12 partitions', members, 4, 30_000)
    members[0]!.process.kill('SIGTERM')
    await step('group: a member leaves', members.slice(1), 6, 20_000)
    members[1]!.process.kill('SIGKILL')
    await step('group: a member dies', members.slice(2), 12, 25_000)
  } finally {
    for (const member of members) member.process.kill('SIGKILL')
  }
}
