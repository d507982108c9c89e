import assert from 'node:assert/strict'
import { SimWorld } from '../base/sim/world.ts'
import { loadSettings } from './config/load.ts'
import { Node } from './node.ts'

const SEED = 43
const IDS = [1, 2]
const VOTERS = '1@node-1:9093'

/** A controller, and a broker that is told to stop: did it ask the controller first? */
async function asksBeforeItStops(flags: Record<string, string>): Promise<boolean> {
  const world = new SimWorld(SEED)
  const starts = IDS.map((id) =>
    Node.start(world.host(`node-${id}`).boot(), settingsOf(id, flags), (error) => {
      throw error
    }),
  )
  const [controller, broker] = await world.complete(Promise.all(starts), 60_000)
  let hasAsked = false
  controller!.quorum.onApplied((image) => {
    if (image.brokers.get(2)?.isInControlledShutdown === true) hasAsked = true
  })
  await world.complete(broker!.stop(), 60_000)
  assert.equal(broker!.state, 'stopped')
  await world.runFor(1000)
  for (const id of IDS) world.host(`node-${id}`).kill()
  return hasAsked
}

describe('node/stop', () => {
  it('is a controlled shutdown', async () => {
    assert.equal(await asksBeforeItStops({}), true)
  })

  it('is none where controlled.shutdown.enable=false', async () => {
    assert.equal(await asksBeforeItStops({ 'controlled.shutdown.enable': 'false' }), false)
  })
})

function settingsOf(id: number, flags: Record<string, string>) {
  return loadSettings({
    profile: 'test',
    flags: {
      'process.roles': id === 1 ? 'broker,controller' : 'broker',
      'node.id': String(id),
      listeners: `PLAINTEXT://node-${id}:9092,CONTROLLER://node-${id}:9093`,
      'controller.listener.names': 'CONTROLLER',
      'controller.quorum.voters': VOTERS,
      'log.dirs': '/data',
      'http.address': '',
      ...flags,
    },
  })
}
