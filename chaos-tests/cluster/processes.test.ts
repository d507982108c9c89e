import assert from 'node:assert/strict'
import { startServer } from './processes.ts'

describe('chaos-tests/cluster/processes', function () {
  this.timeout(60_000)

  it('knows that a process that stood still runs, and starts no second one beside it', async () => {
    const server = await startServer({ peer: 'odradek' })
    try {
      server.signal('SIGSTOP')
      server.signal('SIGCONT')
      assert.equal(server.isRunning, true)
      await assert.rejects(server.start(), /runs already/)
      await server.kill()
      assert.equal(server.isRunning, false)
    } finally {
      await server.remove()
    }
  })
})
