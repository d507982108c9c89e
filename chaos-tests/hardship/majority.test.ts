import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ServerGroup } from '../cluster/server-group.ts'
import { until } from './nodes.ts'

const PROGRAM = fileURLToPath(new URL('../../node/odradek.cjs', import.meta.url))
const UNHEALTHY = 7

describe('hardship/majority', function () {
  this.timeout(60_000)
  let group: ServerGroup

  before(async () => {
    group = await ServerGroup.start({ peer: 'odradek', count: 3 })
  })

  after(() => group.remove())

  it('a node that is left alone says that it is neither ready nor healthy, and recovers', async () => {
    const [survivor, ...others] = group.nodes
    const readyz = async () => {
      const response = await fetch(`http://127.0.0.1:${survivor!.ports.http}/readyz`)
      return { status: response.status, text: await response.text() }
    }
    const health = () =>
      spawnSync(process.execPath, [PROGRAM, 'cluster', 'health', '-b', survivor!.bootstrap], {
        encoding: 'utf8',
      })
    await until('ready', async () => (await readyz()).status === 200)
    await Promise.all(others.map((node) => node.kill()))
    await until('not ready', async () => (await readyz()).status === 503)
    assert.match((await readyz()).text, /nobody leads the metadata quorum/)
    const alone = health()
    assert.equal(alone.status, UNHEALTHY, alone.stderr)
    assert.match(alone.stdout, /nobody leads the metadata quorum/)
    await Promise.all(others.map((node) => node.start()))
    await until('ready again', async () => (await readyz()).status === 200)
    await until('healthy again', () => health().status === 0)
  })
})
