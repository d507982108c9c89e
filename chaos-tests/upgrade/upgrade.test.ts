/* The code at hand on the directories of every release before it, and asked what was asked then. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Producer } from '../../kafka/client/producer.ts'
import { keyOf, meaningOf, requestOf, sendAgain } from './exchange.ts'
import { FIXTURES, type Fixture, readFixture, writeFiles } from './fixture.ts'
import { clientOf, startNode } from './node.ts'

const PRODUCE = 0
const FETCH = 1
/** Produce, Fetch, ListOffsets, Metadata, OffsetFetch: whose answers stay what they were. */
const LASTING: ReadonlySet<number> = new Set([0, 1, 2, 3, 9])
const EXCHANGES_MIN = 30

interface Frames {
  readonly request: Buffer
  readonly response: Buffer
}

function lasting(fixture: Fixture): Frames[] {
  return fixture.exchanges
    .map(({ request, response }) => ({
      request: Buffer.from(request, 'base64'),
      response: Buffer.from(response, 'base64'),
    }))
    .filter(({ request }) => LASTING.has(keyOf(request)) && !isWithinSession(request))
}

/** A session of fetches ends with the node that held it. */
function isWithinSession(request: Buffer): boolean {
  return keyOf(request) === FETCH && (requestOf(request) as { sessionId?: number }).sessionId !== 0
}

async function asked(port: number, frames: readonly Frames[]): Promise<void> {
  for (const { request, response } of frames) {
    const answer = await sendAgain(port, request)
    assert.equal(meaningOf(request, answer), meaningOf(request, response))
  }
}

describe('chaos-tests/upgrade', function () {
  this.timeout(60_000)

  for (const file of readdirSync(FIXTURES)) {
    for (const how of ['clean', 'killed'] as const) {
      it(`takes over from ${file.replace('.json.gz', '')}, ${how}`, async () => {
        const fixture = readFixture(join(FIXTURES, file))
        const frames = lasting(fixture)
        assert.ok(frames.length >= EXCHANGES_MIN, `${frames.length} exchanges`)
        const directory = mkdtempSync(join(tmpdir(), 'odradek-upgrade-'))
        writeFiles(fixture[how], directory)
        const node = await startNode(directory)
        const { port } = node.endpoints[0]!
        const client = clientOf(port)
        try {
          // Batches that it has already: told where they are, and not written again.
          await asked(
            port,
            frames.filter(({ request }) => keyOf(request) === PRODUCE),
          )
          await asked(
            port,
            frames.filter(({ request }) => keyOf(request) !== PRODUCE),
          )
          const [more] = await new Producer(client).send('orders', [
            { value: Buffer.from('more'), partition: 0 },
          ])
          assert.equal(more?.offset, 40)
        } finally {
          await client.close()
          await node.stop()
          rmSync(directory, { recursive: true, force: true })
        }
      })
    }
  }
})
