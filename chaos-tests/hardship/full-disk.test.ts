/*
 * A disk that fills up under a running node: produce is refused, reads, deletes and metadata go on,
 * and produce resumes by itself when there is room again. Nothing acknowledged is missing after.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { skip } from '../../base/mocha-reporter.ts'
import {
  fetchAnswer,
  fetchFrame,
  metadataFrame,
  produceError,
  produceFrame,
  recordBatch,
  recordValues,
} from '../cluster/frames.ts'
import { type ServerProcess, startServer } from '../cluster/processes.ts'
import { ask, createTopics, makeTopic } from '../cluster/wire.ts'
import { canMount, mountTmpfs, unmount } from './mounts.ts'
import { failedStart, metric, page, propertiesOf, until } from './nodes.ts'

const TOPIC = 'full'
const KAFKA_STORAGE_ERROR = 56
const BALLAST_BYTES = 8 * 1024 * 1024
const VALUE_BYTES = 60_000

describe('hardship/full-disk', function () {
  this.timeout(120_000)
  let root = ''
  let mount = ''
  let server: ServerProcess | undefined
  /** Offset of each acknowledged record. */
  const acked = new Map<number, string>()
  let sent = 0

  before(function () {
    const reason = canMount()
    if (reason !== undefined) skip(this, reason)
    root = mkdtempSync(join(tmpdir(), 'odradek-full-'))
    mount = join(root, 'disk')
    mkdirSync(mount)
    mountTmpfs(mount, '32m')
  })
  after(async () => {
    await server?.stop()
    if (mount !== '') unmount(mount)
    if (root !== '') rmSync(root, { recursive: true, force: true })
  })

  async function produce(): Promise<number> {
    const value = Buffer.alloc(VALUE_BYTES, `${sent++} `)
    const answer = await ask(
      server!.ports.kafka,
      produceFrame(TOPIC, 0, recordBatch({ values: [value] }), -1),
    )
    assert.ok(answer !== undefined, 'the node answers')
    const { error, offset } = produceError(answer, 0)
    if (error === 0) acked.set(offset, value.toString())
    return error
  }

  /** All records, by offset. */
  async function read(): Promise<Map<number, string>> {
    const found = new Map<number, string>()
    const { frame, offsetPosition } = fetchFrame(TOPIC, 0, 1024 * 1024)
    for (let offset = 0; ; ) {
      frame.writeBigInt64BE(BigInt(offset), offsetPosition)
      const answer = await ask(server!.ports.kafka, frame)
      assert.ok(answer !== undefined, 'the node answers')
      const { error, highWatermark, recordBytes, recordsPosition } = fetchAnswer(answer, 0)
      assert.equal(error, 0)
      for (const record of recordValues(answer, recordsPosition, recordsPosition + recordBytes)) {
        if (record.offset < offset) continue
        found.set(record.offset, record.value.toString())
        offset = record.offset + 1
      }
      if (offset >= highWatermark) return found
    }
  }

  async function assertAllThere(): Promise<void> {
    const found = await read()
    for (const [offset, value] of acked) assert.equal(found.get(offset), value, `offset ${offset}`)
  }

  it('produce is refused with 56 when the disk is full, and the node stays', async () => {
    server = await startServer({
      peer: 'odradek',
      directory: join(root, 'node'),
      properties: { 'log.dirs': join(mount, 'data'), 'log.segment.bytes': '4194304' },
    })
    writeFileSync(join(mount, 'ballast'), Buffer.alloc(BALLAST_BYTES))
    await makeTopic(server.ports.kafka, { name: TOPIC, partitions: 1 })
    await makeTopic(server.ports.kafka, { name: 'other', partitions: 4 })
    let error = 0
    for (let i = 0; i < 2000 && error === 0; i++) error = await produce()
    assert.equal(error, KAFKA_STORAGE_ERROR)
    assert.ok(acked.size > 50, `${acked.size} records before the disk was full`)
    for (let i = 0; i < 20; i++) assert.notEqual(await produce(), -1)
    assert.ok(server.isRunning)
  })

  it('reads and metadata go on, and the pages say so', async () => {
    await assertAllThere()
    const metadata = await ask(server!.ports.kafka, metadataFrame(TOPIC))
    assert.ok(metadata?.includes(TOPIC))
    assert.match(await page(server!.ports.http, '/livez'), /live/)
    assert.ok((await metric(server!.ports.http, 'odradek_log_full_disk_refusals_total')) > 0)
    const dir = `dir="${join(mount, 'data')}"`
    await until('the free space is shown', async () => {
      const free = await metric(server!.ports.http, 'odradek_disk_free_bytes', dir)
      return free < 1024 * 1024
    })
    assert.match(server!.logTail(1000), /disk/)
  })

  it('a new topic is refused or made, and the node does not mind', async () => {
    const errors = await createTopics(server!.ports.kafka, [{ name: 'late', partitions: 1 }])
    assert.equal(errors?.length, 1)
    await assertAllThere()
    assert.ok(server!.isRunning)
  })

  it('another node does not start on the full disk, and says why', async () => {
    // Whatever is left: a lock takes a block too.
    const filler = join(mount, 'filler')
    try {
      writeFileSync(filler, Buffer.alloc(32 * 1024 * 1024))
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
    }
    const properties = await propertiesOf(join(mount, 'second'))
    const { code, stderr } = await failedStart(properties)
    assert.equal(code, 1)
    assert.match(stderr, /^odradek: the disk that holds \S+ is full: make room[^\n]*\n$/)
    unlinkSync(filler)
  })

  it('produce resumes by itself when there is room again', async () => {
    assert.equal(statSync(join(mount, 'ballast')).size, BALLAST_BYTES)
    unlinkSync(join(mount, 'ballast'))
    await until('produce works again', async () => (await produce()) === 0)
    for (let i = 0; i < 20; i++) assert.equal(await produce(), 0)
    await assertAllThere()
  })

  it('all that was acknowledged is there after kill -9 and a start', async () => {
    await server!.kill()
    await server!.start()
    await assertAllThere()
    assert.equal(await produce(), 0)
  })

  it('a full disk passes over a kill -9 too: the start after it makes do, or says why', async () => {
    try {
      writeFileSync(join(mount, 'ballast'), Buffer.alloc(32 * 1024 * 1024))
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
    }
    await server!.kill()
    await server!.launch()
    await until('it serves, or has ended with a sentence', async () => {
      if (/is full: make room/.test(server!.logTail())) return true
      return await fetch(`http://127.0.0.1:${server!.ports.http}/readyz`).then(
        (answer) => answer.status === 200,
        () => false,
      )
    })
    unlinkSync(join(mount, 'ballast'))
    await server!.stop()
    await server!.start()
    await assertAllThere()
    assert.equal(await produce(), 0)
  })
})
