import assert from 'node:assert/strict'
import { ControllerFixture } from './controller-fixture.ts'

const ELR = 'eligible.leader.replicas.version'

const update = async (
  fixture: ControllerFixture,
  ...updates: [feature: string, level: number, upgradeType: number][]
) => {
  const answer = await fixture.complete(
    fixture.controller.updateFeatures(undefined, {
      timeoutMs: 1000,
      featureUpdates: updates.map(([feature, maxVersionLevel, upgradeType]) => ({
        feature,
        maxVersionLevel,
        allowDowngrade: false,
        upgradeType,
      })),
      validateOnly: false,
    }),
  )
  return answer.errorCode
}

describe('node/metadata/feature-changes', () => {
  it('raises and lowers levels that all nodes can run at', async () => {
    const fixture = await ControllerFixture.start({ brokers: 2 })
    await fixture.createWith('a', { 'min.insync.replicas': '2' }, [1, 2])
    await fixture.alterIsr('a', [1])
    assert.deepEqual(fixture.partition('a').eligibleLeaderReplicas, [2])
    assert.equal(await update(fixture, [ELR, 0, 1]), 95, 'an upgrade does not lower')
    assert.equal(await update(fixture, [ELR, 0, 2]), 0)
    assert.equal(fixture.image.features.has(ELR), false)
    assert.deepEqual(fixture.partition('a').eligibleLeaderReplicas, [], 'they went with it')
    assert.equal(await update(fixture, [ELR, 1, 1]), 0)
    assert.equal(fixture.image.features.get(ELR), 1)
  })

  it('refuses the whole request for one level that can not be', async () => {
    const fixture = await ControllerFixture.start({ brokers: 1 })
    assert.equal(await update(fixture, [ELR, 0, 2], [ELR, 1, 1]), 42)
    assert.equal(await update(fixture, [ELR, 0, 2], ['nothing', 1, 1]), 95)
    assert.equal(await update(fixture, ['metadata.version', 99, 1]), 95)
    assert.equal(await update(fixture, ['metadata.version', 20, 2]), 95)
    assert.equal(await update(fixture, [ELR, 1, 9]), 42)
    assert.equal(fixture.image.features.get(ELR), 1)
    assert.equal(await update(fixture, ['metadata.version', 20, 3]), 0)
    assert.equal(fixture.image.features.get('metadata.version'), 20)
  })
})
