import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ServerGroup } from '../cluster/server-group.ts'
import { until } from './nodes.ts'

const PROGRAM = fileURLToPath(new URL('../../node/odradek.cjs', import.meta.url))
const UNHEALTHY = 7

describe('hardship/majority', function () {
  this.timeout(120_000)
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

  it('goes on with the one node that has its disk when the disks of the others are gone', async () => {
    const [survivor, ...others] = group.nodes
    const run = (...words: string[]) =>
      spawnSync(process.execPath, [PROGRAM, ...words], { encoding: 'utf8' })
    const at = ['-b', survivor!.bootstrap]
    const made = run('topic', 'create', 'kept', '--partitions', '1', '--replicas', '3', ...at)
    assert.equal(made.status, 0, made.stderr)
    assert.equal(run('produce', 'kept', 'a record', ...at).status, 0)
    const file = join(survivor!.directory, 'server.properties')
    const early = run('cluster', 'recover', file, '--accept-loss')
    assert.match(early.stderr, /is in use by another process/)
    await Promise.all(group.nodes.map((node) => node.kill()))
    for (const node of others) rmSync(node.dataDirectory, { recursive: true })

    const careless = run('cluster', 'recover', file)
    assert.notEqual(careless.status, 0)
    assert.match(careless.stderr, /would be lost.*--accept-loss/)
    const forced = run('cluster', 'recover', file, '--accept-loss')
    assert.equal(forced.status, 0, forced.stderr)
    assert.match(forced.stderr, /node 1 is the only voter now; before: 1, 2, 3/)
    await survivor!.start()
    assert.match(run('topic', 'list', ...at).stdout, /kept/)

    const addresses = group.nodes.map((node, i) => `${i + 1}@127.0.0.1:${node.ports.controller}`)
    for (const [i, node] of others.entries()) {
      node.options.properties!['controller.quorum.voters'] = `${addresses[0]},${addresses[i + 1]}`
      await node.start()
      await until('it follows', () =>
        new RegExp(`^${i + 2} +observer`, 'm').test(run('cluster', 'quorum', ...at).stdout),
      )
      const added = run('cluster', 'add-voter', String(i + 2), ...at)
      assert.equal(added.status, 0, added.stderr)
    }
    await until('healthy', () => run('cluster', 'health', ...at).status === 0, 60_000)
    const read = run('consume', 'kept', '--from-beginning', '--exit', ...at)
    assert.equal(read.stdout, 'a record\n')
  })
})
