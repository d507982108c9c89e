import assert from 'node:assert/strict'
import { startCluster, type TestCluster } from '../testing/cluster.ts'
import { complaintsOf } from './cluster.ts'
import { withCluster } from './session.ts'

describe('node/cli/cluster', function () {
  this.timeout(60_000)
  const clusters: TestCluster[] = []
  before(async () => {
    clusters.push(await startCluster({ nodes: 1 }), await startCluster({ nodes: 1, seed: 2 }))
  })
  after(() => Promise.all(clusters.map((one) => one.stop())))

  const health = async (bootstrap: string): Promise<readonly string[]> => {
    let found: readonly string[] = []
    await withCluster({ bootstrap, output: 'text', timeout: '5000' }, async (cluster) => {
      found = await complaintsOf(cluster)
    })
    return found
  }

  it('says which cluster each address is of when they are of two', async () => {
    const [one, other] = clusters.map(({ bootstrap }) => bootstrap)
    assert.deepEqual(await health(one!), [])
    assert.deepEqual(await health(`${one},${one}`), [])
    assert.deepEqual(await health(`127.0.0.1:1,${other}`), [], 'nobody there is no other cluster')
    const said = await health(`${one},${other}`)
    assert.equal(said.length, 1)
    const id = '[A-Za-z0-9_-]{22}'
    const each = `${one} to (${id}), ${other} to (?!\\1)${id}`
    assert.match(said[0]!, new RegExp(`^the addresses belong to different clusters: ${each}$`))
  })
})
