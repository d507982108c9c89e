/** What only the real implementations can show. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CorruptionError, StorageError, UserError } from '../errors.ts'
import { SILENT } from '../logger.ts'
import { UNSCRAPED } from '../metrics.ts'
import { SimRandom } from '../sim/random.ts'
import { SimWorld } from '../sim/world.ts'
import { RealDisk } from './disk.ts'
import { realKvStores } from './kv.ts'
import { realLogger } from './logger.ts'
import { realNetwork } from './network.ts'
import { realWorld } from './world.ts'

describe('base/real', () => {
  let directory: string
  beforeEach(() => {
    directory = fs.mkdtempSync(join(tmpdir(), 'odradek-'))
  })
  afterEach(() => fs.rmSync(directory, { recursive: true }))

  describe('disk', () => {
    it('gives a dead process’s lock to exactly one of many starters', async () => {
      const path = join(directory, '.lock')
      const dead = JSON.stringify({ pid: 2 ** 22 + 1, started: '', nonce: 'ab' })
      for (const stale of [dead, '{']) {
        fs.writeFileSync(path, stale)
        const results = await lockInChildren(path)
        assert.deepEqual(results.sort(), ['held', 'refused', 'refused', 'refused'])
        fs.rmSync(path)
        assert.deepEqual(fs.readdirSync(directory), [], 'nothing else is left')
      }
    })

    it('takes the lock of a process whose id was given to another', () => {
      const path = join(directory, '.lock')
      fs.writeFileSync(path, JSON.stringify({ pid: process.pid, started: 'before', nonce: 'ab' }))
      const lock = new RealDisk().lock(path)
      assert.ok(lock !== undefined)
      lock.release()
      assert.equal(fs.existsSync(path), false)
    })

    it('names the file and keeps the cause when the system refuses', async () => {
      const disk = new RealDisk()
      assert.throws(
        () => disk.readFile(join(directory, 'missing')),
        (error: unknown) => {
          assert.ok(error instanceof StorageError)
          assert.equal(error.code, 'ENOENT')
          assert.equal(error.path, join(directory, 'missing'))
          assert.ok(error.cause instanceof Error)
          return true
        },
      )
      await assert.rejects(disk.remove(directory), StorageError)
    })

    it('repeats what the system cut short', () => {
      const file = new RealDisk().open(join(directory, 'a'), 'new')
      const { writeSync, readSync } = fs
      const short = (length: number) => Math.min(length, 7)
      try {
        // A full write is what a disk does nearly always, so the system is made to do less.
        fs.writeSync = ((fd: number, bytes: Buffer, start: number, length: number, at: number) =>
          writeSync(fd, bytes, start, short(length), at)) as typeof fs.writeSync
        fs.readSync = ((fd: number, bytes: Buffer, start: number, length: number, at: number) =>
          readSync(fd, bytes, start, short(length), at)) as typeof fs.readSync
        const bytes = new SimRandom('short').bytes(100)
        file.write(bytes, 10, 100, 5)
        assert.equal(file.size(), 95)
        const target = Buffer.alloc(200)
        assert.equal(file.read(target, 0, 200, 0), 95)
        assert.ok(target.subarray(5, 95).equals(bytes.subarray(10)))
      } finally {
        Object.assign(fs, { writeSync, readSync })
        file.close()
      }
    })
  })

  describe('kv', () => {
    it('never gives a damaged value', async () => {
      const store = join(directory, 'store')
      const random = new SimRandom('damage')
      const model = new Map<string, Buffer>()
      const kv = await realKvStores.open(store)
      for (let i = 0; i < 200; i++) model.set(`key${i}`, random.bytes(200))
      const writes = [...model].map(([key, value]) => {
        return { type: 'put' as const, key: Buffer.from(key), value }
      })
      await kv.batch(writes, { sync: true })
      await kv.close()
      let found = 0
      for (let trial = 0; trial < 12; trial++) {
        const copy = join(directory, `copy${trial}`)
        fs.cpSync(store, copy, { recursive: true })
        flipOneBit(copy, random)
        found += await damageFound(copy, model)
      }
      assert.ok(found > 0, 'some of the flips hit values or the store’s own checks')
    })

    it('says so when the store cannot be read', async () => {
      const store = join(directory, 'store')
      const kv = await realKvStores.open(store)
      await assert.rejects(realKvStores.open(store), StorageError, 'it is open already')
      await kv.close()
      fs.writeFileSync(join(store, 'CURRENT'), 'MANIFEST-nonsense')
      await assert.rejects(realKvStores.open(store), CorruptionError)
    })
  })

  describe('network', () => {
    it('says what to do about an address that is not ours', async () => {
      const listen = realNetwork.listen({ host: '203.0.113.1', port: 0 }, () => {
        throw new Error('nobody comes')
      })
      await assert.rejects(listen, (error: unknown) => {
        assert.ok(error instanceof UserError)
        assert.match(error.message, /cannot listen on 203\.0\.113\.1:0 .*0\.0\.0\.0/)
        return true
      })
    })
  })

  describe('logger', () => {
    it('writes from its level on, as JSON with a time', () => {
      const lines: string[] = []
      const logger = realLogger({
        level: 'warn',
        destination: { write: (line) => lines.push(line) },
      })
      logger.info('not this')
      logger.warn('this')
      assert.equal(lines.length, 1)
      const line = JSON.parse(lines[0] ?? '') as { time: string }
      assert.deepEqual(Object.keys(line), ['level', 'time', 'msg'])
      assert.ok(!Number.isNaN(Date.parse(line.time)))
    })
  })

  it('bends nothing in production', () => {
    const { rpc } = new SimWorld(1).host('a').world
    const world = realWorld({ logger: SILENT, metrics: UNSCRAPED, rpc })
    for (let i = 0; i < 100; i++) assert.equal(world.maybe('anything'), false)
  })
})

const CONTENDERS = 4

/** Each tries to take the lock in a process of its own, which lives until all have tried. */
async function lockInChildren(path: string): Promise<string[]> {
  const disk = new URL('./disk.js', import.meta.url).href
  const script = `
    import { RealDisk } from ${JSON.stringify(disk)}
    const lock = new RealDisk().lock(${JSON.stringify(path)})
    process.stdout.write(lock === undefined ? 'refused' : 'held')
    process.stdin.on('end', () => process.exit()).resume()`
  const children = Array.from({ length: CONTENDERS }, () => {
    const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit']
    return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio })
  })
  const results = await Promise.all(
    children.map(async ({ stdout }) => String((await once(stdout, 'data'))[0])),
  )
  const ends = children.map((child) => once(child, 'close'))
  for (const child of children) child.stdin.end()
  await Promise.all(ends)
  return results
}

function flipOneBit(directory: string, random: SimRandom): void {
  const names = fs
    .readdirSync(directory)
    .filter((name) => fs.statSync(join(directory, name)).size > 0)
  const path = join(directory, random.pick(names))
  const bytes = fs.readFileSync(path)
  bytes[random.below(bytes.length)]! ^= 1 << random.below(8)
  fs.writeFileSync(path, bytes)
}

/** 1 when the damage was said, 0 when it was not met; throws when a wrong value was given. */
async function damageFound(store: string, model: ReadonlyMap<string, Buffer>): Promise<number> {
  try {
    const kv = await realKvStores.open(store)
    try {
      for await (const [key, value] of kv.entries()) {
        assert.ok(model.get(key.toString())?.equals(value), 'a wrong value')
      }
      for (const [key, expected] of model) {
        const value = await kv.get(Buffer.from(key))
        if (value !== undefined) assert.ok(value.equals(expected), 'a wrong value')
      }
    } finally {
      await kv.close()
    }
    return 0
  } catch (error) {
    if (error instanceof CorruptionError) return 1
    throw error
  }
}
