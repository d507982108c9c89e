/** docs/metrics.md beside the pages of three nodes that run: what it lists is there when it is used. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { realClock } from '../base/real/clock.ts'
import { realNetwork } from '../base/real/network.ts'
import { Cluster } from '../kafka/client/cluster.ts'
import { Consumer } from '../kafka/client/consumer.ts'
import { GroupMember } from '../kafka/client/group-member.ts'
import { Producer } from '../kafka/client/producer.ts'
import { planNodes } from '../node/cli/dev-node.ts'
import { eventually, freeDevPort, ROOT } from './check/tools.ts'

const NODES = 3
const TOPIC = 'shown'
const LIMIT_MS = 60_000
/** One produce request in 17 is timed by its phases. */
const SENDS = 80
const TOO_LARGE_BYTES = 2_000_000

/** Name and type of each family of the page. */
function listed(): string[] {
  const page = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8')
  return [...page.matchAll(/^\| (odradek_\w+) \| (\w+) \|/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  )
}

/** Those that nodes show, with at least one sample. */
async function shown(httpPorts: readonly number[]): Promise<Set<string>> {
  const families = new Set<string>()
  for (const port of httpPorts) {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    const sampled = new Set([...text.matchAll(/^(odradek_\w+)(?=[ {])/gm)].map(([, name]) => name!))
    for (const [, name, type] of text.matchAll(/^# TYPE (odradek_\w+) (\w+)$/gm)) {
      const sample = type === 'histogram' ? `${name}_count` : name!
      if (sampled.has(sample)) families.add(`${name} ${type}`)
    }
  }
  return families
}

describe('deploy/live-metrics', function () {
  this.timeout(2 * LIMIT_MS)
  let dev: ChildProcess
  let plans: ReturnType<typeof planNodes>
  let cluster: Cluster | undefined
  let member: GroupMember | undefined
  let lastPid: number

  function connect(): Cluster {
    const bootstrap = plans.map(({ kafka }) => kafka)
    const parts = { network: realNetwork, clock: realClock }
    return new Cluster(parts, { bootstrap, clientId: 'live-metrics', timeoutMs: 20_000 })
  }

  before(async () => {
    const first = await freeDevPort(NODES)
    plans = planNodes('', NODES, first)
    const args = ['dev', '--ephemeral', '--port', String(first)]
    dev = spawn(process.execPath, [join(ROOT, 'dist/node/odradek.cjs'), ...args], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    let said = ''
    dev.stdout!.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    await eventually(
      'three nodes are ready',
      LIMIT_MS,
      async () => /ready in/.test(said) || undefined,
    )
    lastPid = Number(new RegExp(`^ +${NODES} +(\\d+) `, 'm').exec(said)![1])
    cluster = connect()
  })
  after(async () => {
    await member?.close()
    await cluster?.close()
    const gone = once(dev, 'exit')
    if (dev.exitCode === null && dev.kill('SIGTERM')) await gone
  })

  it('nodes under load show each family of docs/metrics.md, and no other', async () => {
    const client = cluster!
    const producer = new Producer(client)
    for (let i = 0; i < SENDS; i++) {
      await producer.send(TOPIC, [{ key: Buffer.from('k'), value: Buffer.from(`${i}`) }])
    }
    const large = [{ value: Buffer.alloc(TOO_LARGE_BYTES) }]
    await assert.rejects(producer.send(TOPIC, large), /MESSAGE_TOO_LARGE|10/)
    member = new GroupMember(client, { group: 'readers', topics: [TOPIC] })
    const consumer = new Consumer(client, { startAt: 'earliest' })
    await consumer.assign(await member.join())
    for (let read = 0; read < SENDS; read += (await consumer.poll()).length);
    await member.commit(consumer.positions())
    const passer = connect()
    await passer.controller()
    await passer.close()

    const ports = plans.map(({ httpPort }) => httpPort)
    const families = await shown(ports)
    // Errors between nodes come with a node that is gone.
    process.kill(lastPid, 'SIGKILL')
    const wanted = listed()
    assert.ok(wanted.length > 100)
    const missing = () => wanted.filter((family) => !families.has(family))
    await eventually('all families', LIMIT_MS, async () => {
      for (const family of await shown(ports.slice(0, -1))) families.add(family)
      return missing().length === 0 ? true : undefined
    }).catch((error: unknown) => assert.deepEqual(missing(), [], String(error)))
    const more = [...families].filter((family) => !wanted.includes(family))
    assert.deepEqual(more, [], 'shown, and not on the page')
  })
})
