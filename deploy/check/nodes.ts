/** Three nodes as processes of this machine, watched by a real Prometheus: no container is needed. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DevNode, planNodes } from '../../node/cli/dev-node.ts'
import type { Report } from './report.ts'
import { find } from './tools.ts'
import { checkWatched } from './watch.ts'

/** Away from the usual ports, and below those that systems give out. */
const FIRST_PORT = 24_092
const READY_MS = 60_000
const COUNT = 3
const LAST = COUNT - 1

export async function checkNodes(report: Report): Promise<void> {
  if (find('prometheus') === undefined) {
    report.skip('nodes: watched by Prometheus', 'prometheus is not installed')
    return
  }
  const root = mkdtempSync(join(tmpdir(), 'odradek-watched-'))
  const plans = planNodes(root, COUNT, FIRST_PORT)
  const start = (k: number) => new DevNode(root, plans[k]!, plans, [])
  const nodes = plans.map((_plan, k) => start(k))
  const isReady = (node: DevNode) => node.ready(performance.now() + READY_MS)
  try {
    const areReady = await report.check('nodes: three are ready', async () => {
      if ((await Promise.all(nodes.map(isReady))).includes(false)) throw new Error('a node ended')
      return undefined
    })
    if (!areReady) return
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
