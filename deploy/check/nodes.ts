/**
 * Three nodes as processes of this machine: restarted one after the other under load, and watched by a
 * real Prometheus. No container is needed.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DevNode, planNodes } from '../../node/cli/dev-node.ts'
import type { Report } from './report.ts'
import { rollingRestart } from './rolling.ts'
import { find, freeDevPort } from './tools.ts'
import { checkWatched } from './watch.ts'

const READY_MS = 60_000
const COUNT = 3
const LAST = COUNT - 1

export async function checkNodes(report: Report): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'odradek-watched-'))
  const plans = planNodes(root, COUNT, await freeDevPort(COUNT))
  const start = (k: number) => new DevNode(root, plans[k]!, plans, [])
  const nodes = plans.map((_plan, k) => start(k))
  const isReady = (node: DevNode) => node.ready(performance.now() + READY_MS)
  try {
    const areReady = await report.check('nodes: three are ready', async () => {
      if ((await Promise.all(nodes.map(isReady))).includes(false)) throw new Error('a node ended')
      return undefined
    })
    if (!areReady) return
    await report.check('nodes: rolling restart under load', () =>
      rollingRestart(plans.map(({ kafka }) => kafka).join(','), async (k) => {
        nodes[k]!.signal('SIGTERM')
        const { code, how } = await nodes[k]!.gone
        if (code !== 0) throw new Error(`node ${k + 1} ended with ${how}`)
        nodes[k] = start(k)
        await isReady(nodes[k])
      }),
    )
    if (find('prometheus') === undefined) {
      report.skip('nodes: watched by Prometheus', 'prometheus is not installed')
      return
    }
    await checkWatched(report, 'nodes', {
      bootstrap: plans.map(({ kafka }) => kafka).join(','),
      httpPorts: plans.map(({ httpPort }) => httpPort),
      async kill() {
        nodes[LAST]!.signal('SIGKILL')
        await nodes[LAST]!.gone
      },
      async restart() {
        nodes[LAST] = start(LAST)
        await isReady(nodes[LAST])
      },
    })
  } finally {
    for (const node of nodes) node.signal('SIGTERM')
    await Promise.all(nodes.map(({ gone }) => gone))
    rmSync(root, { recursive: true, force: true })
  }
}
