/*
 * What a scrape costs a node that leads 2,000 partitions: the time of the page, and how long another
 * client waits meanwhile, which is how long the node's loop is held.
 */
import { connect } from 'node:net'
import { prepareServer } from '../chaos-tests/cluster/processes.ts'
import { createTopics, waitUntilWritable } from '../chaos-tests/cluster/wire.ts'
import { cpuSeconds } from './measure.ts'
import type { Figures, RowContext } from './rows.ts'

const SCRAPES = 20
const QUIET_MS = 1000
const TOPICS = Array.from({ length: 20 }, (_, i) => ({ name: `scraped-${i}`, partitions: 100 }))
/** ApiVersions 0: answered from memory at once. Size, key, version, correlation id, no client id. */
const ASK = Buffer.from('0000000a0012000000000001ffff', 'hex')

/** Asks again and again, one request in flight, and keeps the longest wait. */
class Pinger {
  longestMs = 0
  readonly #socket
  #sentMs = 0
  #rest: Buffer = Buffer.alloc(0)

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.#socket.on('connect', () => this.#ask())
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk))
  }

  close(): void {
    this.#socket.destroy()
  }

  #ask(): void {
    this.#sentMs = performance.now()
    this.#socket.write(ASK)
  }

  #receive(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    if (this.#rest.length < 4 || this.#rest.length < 4 + this.#rest.readInt32BE(0)) return
    this.#rest = Buffer.alloc(0)
    this.longestMs = Math.max(this.longestMs, performance.now() - this.#sentMs)
    this.#ask()
  }
}

/** Kafka has no such page: no figures. */
export async function scrapeRow({ target }: RowContext): Promise<Figures> {
  if (target.options.peer === 'kafka') return {}
  const server = await prepareServer({ ...target.options, readyTimeoutMs: 180_000 })
  try {
    await server.start()
    const errors = await createTopics(server.ports.kafka, TOPICS)
    if (errors?.some((error) => error !== 0) !== false) throw new Error(`creation: ${errors}`)
    await waitUntilWritable(server.ports.kafka, TOPICS)
    return await measure(server.pid, server.ports)
  } finally {
    await server.remove()
  }
}

async function measure(pid: number, ports: { kafka: number; http: number }): Promise<Figures> {
  const url = `http://127.0.0.1:${ports.http}/metrics`
  const scrape = async () => (await (await fetch(url)).arrayBuffer()).byteLength
  for (let i = 0; i < SCRAPES; i++) await scrape()
  const pinger = new Pinger(ports.kafka)
  try {
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
    const quietMs = pinger.longestMs
    const took: number[] = []
    const waited: number[] = []
    let bytes = 0
    const cpuBefore = cpuSeconds(pid)
    for (let i = 0; i < SCRAPES; i++) {
      pinger.longestMs = 0
      const begin = performance.now()
      bytes = await scrape()
      took.push(performance.now() - begin)
      waited.push(pinger.longestMs)
    }
    const middle = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!
    return {
      'page KB': bytes / 1000,
      'scrape ms': middle(took),
      'held ms': middle(waited),
      'held at most ms': Math.max(...waited),
      'held without ms': quietMs,
      'CPU ms': ((cpuSeconds(pid) - cpuBefore) * 1000) / SCRAPES,
    }
  } finally {
    pinger.close()
  }
}
