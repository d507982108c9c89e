import assert from 'node:assert/strict'
import type { Cluster } from '../../kafka/client/cluster.ts'
import { startCluster, type TestCluster } from '../testing/cluster.ts'
import { featuresOf, finalize } from './features.ts'
import { withCluster } from './session.ts'

const ELR = 'eligible.leader.replicas.version'

describe('node/cli/features', function () {
  this.timeout(30_000)
  let servers: TestCluster
  before(async () => {
    servers = await startCluster({ nodes: 1 })
  })
  after(() => servers.stop())

  const withClient = (work: (cluster: Cluster) => Promise<void>) =>
    withCluster({ bootstrap: servers.bootstrap, output: 'text', timeout: '5000' }, work)
  const levelsOf = async (cluster: Cluster) =>
    new Map((await featuresOf(cluster)).map(({ feature, finalized }) => [feature, finalized]))

  it('lowers a feature when that is allowed, and raises all to what the nodes can do', () =>
    withClient(async (cluster) => {
      const first = await levelsOf(cluster)
      assert.ok(first.get('metadata.version')! > 0)
      assert.equal(first.get(ELR), 1)
      await assert.rejects(finalize(cluster, [`${ELR}=0`], {}), /downgrade/)
      const asked = await finalize(cluster, [`${ELR}=0`], { downgrade: true, dryRun: true })
      assert.equal(asked, `could be finalized: ${ELR} 0`)
      assert.equal((await levelsOf(cluster)).get(ELR), 1, 'a dry run changes nothing')
      await finalize(cluster, [`${ELR}=0`], { downgrade: true })
      assert.equal((await levelsOf(cluster)).get(ELR), 0)
      await finalize(cluster, [], {})
      assert.deepEqual(await levelsOf(cluster), first)
      assert.match(await finalize(cluster, [], {}), /nothing to change/)
    }))

  it('refuses levels that nodes can not run at, and words that say no level', () =>
    withClient(async (cluster) => {
      await assert.rejects(finalize(cluster, ['metadata.version=999'], {}), /supports versions/)
      await assert.rejects(finalize(cluster, ['no.feature=1'], {}), /does not support/)
      await assert.rejects(finalize(cluster, ['metadata.version'], {}), /takes FEATURE=LEVEL/)
    }))
})
