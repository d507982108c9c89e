/*
 * A disk that is full to its last block, on file systems of our own: topics and records can be
 * deleted while a producer goes on trying, and what that frees lets it go on by itself. Takes half a
 * minute and needs root: npx mocha --no-config 'dist/chaos-tests/durability/*.test.js'
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { skip } from '../../base/mocha-reporter.ts'
import { realClock } from '../../base/real/clock.ts'
import { realNetwork } from '../../base/real/network.ts'
import { deleteTopics } from '../../kafka/api/20-delete-topics.ts'
import { deleteRecords } from '../../kafka/api/21-delete-records.ts'
import { Cluster } from '../../kafka/client/cluster.ts'
import { ZERO_UUID } from '../../kafka/wire/schema.ts'
import { produceError, produceFrame, recordBatch } from '../cluster/frames.ts'
import { type ServerProcess, sleep, startServer } from '../cluster/processes.ts'
import { ask, makeTopic } from '../cluster/wire.ts'
import { canMount, mountTmpfs, unmount } from '../hardship/mounts.ts'
import { until } from '../hardship/nodes.ts'

const KAFKA_STORAGE_ERROR = 56
const VALUE_BYTES = 60_000
const TOPICS = ['first', 'second', 'third']
/** The reserve of the metadata is made soon after the start. */
const RESERVE_MS = 3000

/** ext4 gives freed blocks back only when its journal has it. */
function mountExt4(root: string, path: string): string | undefined {
  const image = join(root, 'image')
  try {
    execFileSync('truncate', ['-s', '24M', image], { stdio: 'pipe' })
    execFileSync('mkfs.ext4', ['-q', '-F', '-m', '0', image], { stdio: 'pipe' })
    execFileSync('mount', ['-o', 'loop', image, path], { stdio: 'pipe' })
    return undefined
  } catch (error) {
    return `no loop mounts here: ${(error as Error).message.split('\n')[0]}`
  }
}

for (const kind of ['tmpfs', 'ext4'] as const) {
  describe(`durability/full-disk-deletes on ${kind}`, function () {
    this.timeout(240_000)
    let root = ''
    let mount = ''
    let server: ServerProcess | undefined
    let cluster: Cluster | undefined

    before(function () {
      const reason = canMount()
      if (reason !== undefined) skip(this, reason)
      root = mkdtempSync(join(tmpdir(), 'odradek-deletes-'))
      const path = join(root, 'disk')
      mkdirSync(path)
      if (kind === 'tmpfs') mountTmpfs(path, '14m')
      else {
        const why = mountExt4(root, path)
        if (why !== undefined) skip(this, why)
      }
      mount = path
    })
    after(async () => {
      await cluster?.close()
      await server?.stop()
      if (mount !== '') unmount(mount)
      if (root !== '') rmSync(root, { recursive: true, force: true })
    })

    async function produce(topic: string): Promise<{ error: number; offset: number }> {
      const value = Buffer.alloc(VALUE_BYTES, topic)
      const frame = produceFrame(topic, 0, recordBatch({ values: [value] }), -1)
      const answer = await ask(server!.ports.kafka, frame)
      assert.ok(answer !== undefined, 'the node answers')
      return produceError(answer, 0)
    }

    /** Until nothing goes in any more, not even after a moment; then the last blocks go too. */
    async function fill(topic: string): Promise<number> {
      let end = 0
      for (let refused = 0; refused < 5; ) {
        const { error, offset } = await produce(topic)
        if (error === 0) end = offset + 1
        else {
          assert.equal(error, KAFKA_STORAGE_ERROR)
          refused++
          await sleep(20)
        }
      }
      try {
        for (let bytes = 65_536; bytes >= 1; bytes >>= 1) {
          writeFileSync(join(mount, 'filler'), Buffer.alloc(bytes), { flag: 'a' })
        }
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
      }
      return end
    }

    it('a topic is deleted, and a producer that never stopped trying goes on', async () => {
      server = await startServer({
        peer: 'odradek',
        directory: join(root, 'node'),
        properties: {
          'log.dirs': join(mount, 'data'),
          'log.segment.bytes': '1048576',
          'log.segment.delete.delay.ms': '1000',
        },
      })
      const parts = { network: realNetwork, clock: realClock }
      const bootstrap = [server.bootstrap]
      cluster = new Cluster(parts, { bootstrap, clientId: 'deletes', timeoutMs: 20_000 })
      for (const name of TOPICS) await makeTopic(server.ports.kafka, { name, partitions: 1 })
      await sleep(RESERVE_MS)
      for (let i = 0; i < 40; i++) assert.equal((await produce('second')).error, 0)
      for (let i = 0; i < 40; i++) assert.equal((await produce('third')).error, 0)
      await fill('first')

      for (const name of ['second', 'third']) {
        let isOver = false
        const trying = (async () => {
          while (!isOver && (await produce('first')).error !== 0) await sleep(5)
        })()
        const { responses }: { responses: readonly { errorCode: number }[] } = await cluster.askAny(
          deleteTopics,
          () => ({
            topics: [{ name, topicId: ZERO_UUID }],
            topicNames: [name],
            timeoutMs: 20_000,
          }),
        )
        assert.equal(responses[0]?.errorCode, 0, `${name} is deleted`)
        const limit = setTimeout(() => {
          isOver = true
        }, 30_000)
        await trying
        clearTimeout(limit)
        assert.equal(isOver, false, 'the producer goes on')
        await fill('first')
      }
      assert.ok(server.isRunning)
    })

    it('records are deleted, and their room comes back', async () => {
      const end = await fill('first')
      // The first answer may be that the new start can't be saved yet; segments go all the same.
      await until('the records are deleted', async () => {
        const { topics } = await cluster!.askAny(deleteRecords, () => ({
          topics: [{ name: 'first', partitions: [{ partitionIndex: 0, offset: -1 }] }],
          timeoutMs: 20_000,
        }))
        const { errorCode, lowWatermark } = topics[0]!.partitions[0]!
        if (errorCode !== 0) assert.equal(errorCode, KAFKA_STORAGE_ERROR)
        return errorCode === 0 && lowWatermark >= end
      })
      // It comes with each file that goes.
      for (let i = 0; i < 20; i++) {
        await until('there is room again', async () => (await produce('first')).error === 0)
      }
    })
  })
}
