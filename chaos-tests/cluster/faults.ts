/**
 * What is done to real nodes, by name. A fault begins on a whole cluster and is over when its function
 * returns: nodes that it ended run again, links and disks are mended. The run waits until the cluster
 * is whole before the next one.
 */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LinkFaults } from './link.ts'
import { POWER_FILE } from './machine.ts'
import { TIER_1 } from './machine-faults.ts'
import { type ServerProcess, sleep } from './processes.ts'
import { ABSENCE } from './progress.ts'
import { type ClusterFault, idOf, revived, SILENCES_MS, SLOW_MS, type Stage } from './stage.ts'

const DOWN_MAX_MS = 3000
/** Of steady work before, and of the absence itself. */
const STEADY_MS = 15_000
const ABSENT_MS = 30_000
const KILLS_IN_A_ROW = 4
/** Failpoints lie within so many calls. */
const CALLS_MAX = 200
const ENDS_WITHIN_MS = 10_000
const FLIPS = 20

export const rulesFileOf = (node: { readonly directory: string }): string =>
  join(node.directory, 'storage-faults')

/** Kills, waits, starts. */
async function killed(stage: Stage, node: ServerProcess): Promise<void> {
  await node.kill()
  await sleep(stage.random.below(DOWN_MAX_MS))
  await node.start()
}

/** Steady work first, to compare with; the time of that is no part of the fault. */
async function absent(stage: Stage): Promise<void> {
  await sleep(STEADY_MS)
  const node = await stage.target()
  stage.begins()
  await node.kill()
  await sleep(ABSENT_MS)
  stage.ends()
  await node.start()
}

async function paused(stage: Stage, node: ServerProcess): Promise<void> {
  node.signal('SIGSTOP')
  await sleep(stage.random.pick(SILENCES_MS))
  node.signal('SIGCONT')
}

/** Of links from the node, to it, or both. */
const linksFault =
  (
    faults: (stage: Stage) => Partial<LinkFaults>,
    which: 'all' | 'from' | 'to' | 'one' = 'all',
  ): ((stage: Stage) => Promise<void>) =>
  async (stage) => {
    const { mesh, random } = stage
    const id = idOf(stage, await stage.target())
    const { from, to } = mesh.around(id)
    const at = random.below(from.length)
    const links = {
      all: [...from, ...to],
      from,
      to,
      one: [from[at]!, to[at]!],
    }[which]
    for (const link of links) link.set(faults(stage))
    await sleep(random.pick(SILENCES_MS))
    mesh.heal()
  }

const CUT: Partial<LinkFaults> = { isStalledForth: true, isStalledBack: true }

const clientsFault =
  (faults: Partial<LinkFaults>): ((stage: Stage) => Promise<void>) =>
  async (stage) => {
    const id = idOf(stage, await stage.target())
    stage.mesh.ofClients('writers', id).set(faults)
    stage.mesh.ofClients('readers', id).set(faults)
    await sleep(stage.random.pick(SILENCES_MS))
    stage.mesh.heal()
  }

const diskFault =
  (rules: string): ((stage: Stage) => Promise<void>) =>
  async (stage) => {
    const node = await stage.target()
    writeFileSync(rulesFileOf(node), rules)
    await sleep(SLOW_MS)
    rmSync(rulesFileOf(node))
    // A replica whose disk has failed counts again after a start.
    await node.stop()
    await node.start()
  }

/** The process ends at one of its next calls of the disk; nobody knows which. */
const failpoint =
  (rule: string): ((stage: Stage) => Promise<void>) =>
  async (stage) => {
    const node = await stage.target()
    writeFileSync(rulesFileOf(node), `${rule} after=${stage.random.below(CALLS_MAX)}\n`)
    const until = performance.now() + ENDS_WITHIN_MS
    while (node.isRunning && performance.now() < until) await sleep(20)
    rmSync(rulesFileOf(node))
    await revived(node)
  }

/** One wrong bit in each of some files of one node; the others are whole. */
function flip(stage: Stage, node: ServerProcess): void {
  const files = filesIn(node.dataDirectory).filter((path) => statSync(path).size > 0)
  for (let i = 0; i < FLIPS; i++) {
    const path = stage.random.pick(files)
    const bytes = readFileSync(path)
    const at = stage.random.below(bytes.length)
    bytes[at] = bytes[at]! ^ (1 << stage.random.below(8))
    stage.say(`${path} at ${at}`)
    writeFileSync(path, bytes)
  }
}

function filesIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
  return names
    .filter((name) => !/(^|\/)(\.lock|LOCK|\.power|lost\+found)$/.test(name))
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true)
}

/** A start on a damaged disk may be refused, with a sentence; then the node begins anew. */
async function startedOrEmpty(stage: Stage, node: ServerProcess): Promise<void> {
  try {
    await node.start()
  } catch {
    stage.say('the node was not started on its damaged disk; it gets an empty one')
    await node.kill()
    empty(node)
    await node.start()
  }
}

function empty(node: ServerProcess): void {
  for (const name of readdirSync(node.dataDirectory)) {
    if (name === 'lost+found' || name === POWER_FILE) continue // of the file system
    rmSync(join(node.dataDirectory, name), { recursive: true, force: true })
  }
}

const TIER_0: readonly ClusterFault[] = [
  {
    name: 'kill',
    about: 'kill -9, started again within 3 s',
    inflict: async (stage) => killed(stage, await stage.target()),
  },
  {
    name: ABSENCE,
    about: 'kill -9 after 15 s of steady work, started again 30 s later',
    inflict: absent,
  },
  {
    name: 'kill-all',
    about: 'kill -9 of all nodes at once',
    inflict: async ({ nodes }) => {
      await Promise.all(nodes.map((node) => node.kill()))
      await Promise.all(nodes.map((node) => node.start()))
    },
  },
  {
    name: 'kill-again',
    about: 'kill -9 some times in a row, also while the node starts',
    inflict: async (stage) => {
      const node = await stage.target()
      for (let i = 0; i < KILLS_IN_A_ROW; i++) {
        await node.kill()
        await node.launch()
        await sleep(stage.random.below(1000))
      }
      await node.kill()
      await node.start()
    },
  },
  {
    name: 'restart',
    about: 'SIGTERM, then a start',
    inflict: async (stage) => {
      const node = await stage.target()
      await node.stop()
      await sleep(stage.random.below(DOWN_MAX_MS))
      await node.start()
    },
  },
  {
    name: 'rolling-restart',
    about: 'SIGTERM and start of each node in turn, each ready before the next',
    inflict: async ({ nodes }) => {
      for (const node of nodes) {
        await node.stop()
        await node.start()
      }
    },
  },
  {
    name: 'pause',
    about: 'SIGSTOP for 0.3 to 5 s',
    inflict: async (stage) => paused(stage, await stage.target()),
  },
  {
    name: 'pause-all',
    about: 'SIGSTOP of all nodes for 0.3 to 5 s',
    inflict: async (stage) => {
      for (const node of stage.nodes) node.signal('SIGSTOP')
      await sleep(stage.random.pick(SILENCES_MS))
      for (const node of stage.nodes) node.signal('SIGCONT')
    },
  },
  { name: 'cut', about: 'one pair of nodes, both ways', inflict: linksFault(() => CUT, 'one') },
  {
    name: 'cut-one-way',
    about: 'one pair of nodes: calls arrive, answers do not',
    inflict: linksFault(() => ({ isStalledBack: true }), 'one'),
  },
  { name: 'isolate', about: 'a node from all others', inflict: linksFault(() => CUT) },
  {
    name: 'isolate-one-way',
    about: 'what a node sends to the others does not arrive',
    inflict: async (stage) => {
      const { from, to } = stage.mesh.around(idOf(stage, await stage.target()))
      for (const link of from) link.set({ isStalledForth: true })
      for (const link of to) link.set({ isStalledBack: true })
      await sleep(stage.random.pick(SILENCES_MS))
      stage.mesh.heal()
    },
  },
  {
    name: 'refuse',
    about: 'connections of a node to others are reset and refused',
    inflict: linksFault(() => ({ isRefused: true }), 'from'),
  },
  {
    name: 'delay',
    about: 'the links of a node are 50 ms slower, with 50 ms of jitter',
    inflict: linksFault(() => ({ delayMs: 50, jitterMs: 50 })),
  },
  {
    name: 'bandwidth',
    about: 'the links of a node carry 200 kB a second',
    inflict: linksFault(() => ({ bytesPerSecond: 200_000 })),
  },
  {
    name: 'reset',
    about: 'all connections between nodes are reset at once',
    inflict: async ({ mesh }) => {
      for (const link of mesh.inner()) link.reset()
    },
  },
  { name: 'cut-clients', about: 'a node from all clients', inflict: clientsFault(CUT) },
  {
    name: 'slow-clients',
    about: 'clients of a node have 20 ms more and 500 kB a second',
    inflict: clientsFault({ delayMs: 20, bytesPerSecond: 500_000 }),
  },
  {
    name: 'reset-clients',
    about: 'connections of clients are reset, ten times',
    inflict: async ({ mesh, nodes, random }) => {
      for (let i = 0; i < 10; i++) {
        mesh.ofClients(random.pick(['writers', 'readers']), 1 + random.below(nodes.length)).reset()
        await sleep(random.below(200))
      }
    },
  },
  {
    name: 'replay',
    about: 'all that a writer has sent comes once more',
    inflict: async ({ mesh, nodes, say }) => {
      for (let id = 1; id <= nodes.length; id++) {
        say(`${await mesh.ofClients('writers', id).replay()} bytes`)
      }
    },
  },
  {
    name: 'slow-disk',
    about: 'each write and sync of a node takes 20 to 200 ms more',
    inflict: diskFault('write delay=20\nsync delay=200\n'),
  },
  { name: 'disk-full', about: 'ENOSPC on each write', inflict: diskFault('write ENOSPC\n') },
  {
    name: 'write-error',
    about: 'EIO on some writes',
    inflict: diskFault('write EIO chance=0.05\n'),
  },
  { name: 'read-error', about: 'EIO on some reads', inflict: diskFault('read EIO chance=0.2\n') },
  { name: 'sync-error', about: 'EIO on some syncs', inflict: diskFault('sync EIO chance=0.05\n') },
  { name: 'kill-at-write', about: 'kill -9 before a write', inflict: failpoint('write kill') },
  { name: 'kill-at-sync', about: 'kill -9 before a sync', inflict: failpoint('sync kill') },
  { name: 'kill-at-name', about: 'kill -9 before a rename', inflict: failpoint('name kill') },
  { name: 'tear', about: 'kill -9 in the middle of a write', inflict: failpoint('write tear') },
  {
    name: 'flip',
    about: 'wrong bits in files of a stopped node',
    inflict: async (stage) => {
      const node = stage.nodes.at(-1)!
      await node.kill()
      flip(stage, node)
      await startedOrEmpty(stage, node)
    },
  },
  {
    name: 'wipe',
    about: 'a node is started with an empty disk',
    inflict: async ({ nodes }) => {
      const node = nodes.at(-1)!
      await node.kill()
      empty(node)
      await node.start()
    },
  },
]

export const CLUSTER_FAULTS: readonly ClusterFault[] = [...TIER_0, ...TIER_1]
export const TIER_0_NAMES: readonly string[] = TIER_0.map(({ name }) => name)
