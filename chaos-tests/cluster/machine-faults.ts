/**
 * Faults of tier 1: what only a machine that allows it can do to nodes, most of it for root alone.
 * `needs` says what; what was made is removed when the fault is over.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ControlGroup, limitFiles, openFiles, PacketFilter } from './machine.ts'
import { type ServerProcess, sleep } from './processes.ts'
import { type ClusterFault, idOf, revived, SILENCES_MS, SLOW_MS, type Stage } from './stage.ts'

const FILES_MORE = 4

export const clockFileOf = (node: { readonly directory: string }): string =>
  join(node.directory, 'clock')

/** Stopped in the middle, the device gone without its log, killed, mounted anew. */
async function powerLoss(stage: Stage, nodes: readonly ServerProcess[]): Promise<void> {
  const disks = nodes.map((node) => stage.diskOf(node)!)
  for (const node of nodes) node.signal('SIGSTOP')
  for (const disk of disks) disk.powerOff()
  await Promise.all(nodes.map((node) => node.kill()))
  for (const disk of disks) disk.unmount()
  for (const disk of disks) disk.mount()
  await Promise.all(nodes.map((node) => node.start()))
}

let groupCount = 0

const groupFault =
  (during: (group: ControlGroup, stage: Stage) => Promise<void>) =>
  async (stage: Stage): Promise<void> => {
    const node = await stage.target()
    const group = new ControlGroup(String(++groupCount))
    try {
      group.add(node.pid)
      await during(group, stage)
    } finally {
      group.remove()
    }
    await revived(node)
  }

const packetFault =
  (rule: string, ways: 'both' | 'forth') =>
  async (stage: Stage): Promise<void> => {
    const { from, to } = stage.mesh.around(idOf(stage, await stage.target()))
    const filter = new PacketFilter()
    try {
      for (const link of ways === 'both' ? [...from, ...to] : from) {
        filter.toPort(link.port, rule)
        if (ways === 'both') filter.fromPort(link.port, rule)
      }
      await sleep(stage.random.pick(SILENCES_MS))
    } finally {
      filter.remove()
    }
  }

const clockFault =
  (offset: string) =>
  async (stage: Stage): Promise<void> => {
    const node = await stage.target()
    writeFileSync(clockFileOf(node), offset)
    await sleep(SLOW_MS)
    writeFileSync(clockFileOf(node), '+0')
  }

export const TIER_1: readonly ClusterFault[] = [
  {
    name: 'power-loss',
    about: 'the file system of a node is shut down without a flush',
    needs: 'mounts',
    inflict: async (stage) => powerLoss(stage, [await stage.target()]),
  },
  {
    name: 'power-loss-all',
    about: 'the same for all nodes at once',
    needs: 'mounts',
    inflict: (stage) => powerLoss(stage, stage.nodes),
  },
  {
    name: 'device-full',
    about: 'nothing is left on the file system of a node, for 3 s',
    needs: 'mounts',
    inflict: async (stage) => {
      const node = await stage.target()
      const disk = stage.diskOf(node)!
      disk.fill()
      await sleep(SLOW_MS)
      disk.free()
      await revived(node)
    },
  },
  {
    name: 'freeze',
    about: 'the freezer of control groups, for 0.3 to 5 s',
    needs: 'cgroups',
    inflict: groupFault(async (group, { random }) => {
      group.freeze()
      await sleep(random.pick(SILENCES_MS))
      group.thaw()
    }),
  },
  {
    name: 'little-cpu',
    about: 'a fifth of a core for a node, for 3 s',
    needs: 'cgroups',
    inflict: groupFault(async (group) => {
      group.limitCpu(0.2)
      await sleep(SLOW_MS)
    }),
  },
  {
    name: 'little-memory',
    about: 'the node is ended by the system for taking too much memory',
    needs: 'cgroups',
    inflict: groupFault(async (group) => {
      group.limitMemory(24)
      await sleep(SLOW_MS)
    }),
  },
  {
    name: 'few-files',
    about: 'four more open files at most, for 3 s, then the node is started again',
    needs: 'prlimit',
    inflict: async (stage) => {
      const node = await stage.target()
      limitFiles(node.pid, openFiles(node.pid) + FILES_MORE)
      await sleep(SLOW_MS)
      await node.stop()
      await node.start()
    },
  },
  {
    name: 'clock-forward',
    about: 'the wall clock of a node is an hour ahead, for 3 s',
    needs: 'faketime',
    inflict: clockFault('+1h'),
  },
  {
    name: 'clock-back',
    about: 'the wall clock of a node is a day late, for 3 s',
    needs: 'faketime',
    inflict: clockFault('-1d'),
  },
  {
    name: 'drop-packets',
    about: 'packets between a node and the others are dropped',
    needs: 'packets',
    inflict: packetFault('drop', 'both'),
  },
  {
    name: 'drop-one-way',
    about: 'packets that a node sends to the others are dropped',
    needs: 'packets',
    inflict: packetFault('drop', 'forth'),
  },
  {
    name: 'lose-packets',
    about: 'a fifth of the packets of a node is lost',
    needs: 'packets',
    inflict: packetFault('numgen random mod 100 < 20 drop', 'both'),
  },
]
