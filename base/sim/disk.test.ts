import assert from 'node:assert/strict'
import { StorageError } from '../errors.ts'
import { SimDisk } from './disk.ts'
import { SimRandom } from './random.ts'
import { Scheduler } from './scheduler.ts'

const SEEDS = 150

function filled(length: number, byte: number): Buffer {
  return Buffer.alloc(length, byte)
}

/** A disk with an open file whose name is durable. */
async function diskWithFile(seed: number) {
  const random = new SimRandom(seed)
  const disk = new SimDisk({ random: random.split('disk') })
  disk.makeDirectory('/d')
  const file = disk.open('/d/a', 'new')
  await disk.syncDirectory('/d')
  await disk.syncDirectory('/')
  return { random, disk, file }
}

/** Every content of `path` that power losses of different seeds leave. */
async function outcomes(prepare: (disk: SimDisk) => Promise<void>, path: string) {
  const seen = new Map<string, number>()
  for (let seed = 0; seed < SEEDS; seed++) {
    const disk = new SimDisk({ random: new SimRandom(seed) })
    await prepare(disk)
    disk.powerLoss()
    const content = disk.exists(path) ? disk.readFile(path).toString('latin1') : 'gone'
    seen.set(content, (seen.get(content) ?? 0) + 1)
  }
  return seen
}

describe('base/sim/disk', () => {
  it('writes what the buffer held at the call, whatever its owner does with it later', async () => {
    const content = await outcomes(async (disk) => {
      const file = disk.open('/a', 'new')
      const source = Buffer.from('before')
      file.write(source, 0, source.length, 0)
      source.fill('x')
      assert.equal(disk.readFile('/a').toString(), 'before')
      await disk.syncDirectory('/')
    }, '/a')
    assert.ok(content.has('before'), 'a power loss may keep it')
    for (const seen of content.keys()) assert.ok(!seen.includes('x'), seen)
  })

  it('keeps synced bytes, and loses, keeps or tears the rest', async () => {
    let kept = 0
    let lost = 0
    let torn = 0
    for (let seed = 0; seed < SEEDS; seed++) {
      const { disk, file } = await diskWithFile(seed)
      file.write(filled(3000, 1), 0, 3000, 0)
      await file.sync()
      file.write(filled(3000, 2), 0, 3000, 1500)
      disk.powerLoss()
      assert.throws(() => file.size(), StorageError, 'a stale handle')
      const content = disk.readFile('/d/a')
      assert.ok(
        content.subarray(0, 1500).every((byte) => byte === 1),
        `seed ${seed}`,
      )
      const rest = content.subarray(1500)
      if (rest.length === 3000 && rest.every((byte) => byte === 2)) kept++
      else if (rest.length === 1500 && rest.every((byte) => byte === 1)) lost++
      else torn++
      for (let at = 0; at < content.length; at++) {
        const isEdge = at === 1500 || at === 3000 || at % 512 === 0
        if (at > 0 && content[at] !== content[at - 1]) assert.ok(isEdge, `seed ${seed} at ${at}`)
      }
    }
    assert.ok(kept > 10 && lost > 10 && torn > 10, `${kept} ${lost} ${torn}`)
  })

  it('reorders unsynced writes', async () => {
    const seen = await outcomes(async (disk) => {
      const file = disk.open('/a', 'new')
      await disk.syncDirectory('/')
      for (let i = 0; i < 3; i++) file.write(Buffer.from('abc'), i, i + 1, i)
    }, '/a')
    assert.ok(seen.has('abc') && seen.has('') && seen.has('a') && seen.has('\0b'), [...seen].join())
  })

  it('keeps a killed process’s writes', async () => {
    const { disk, file } = await diskWithFile(1)
    file.write(Buffer.from('abc'), 0, 3, 0)
    const lock = disk.lock('/d/.lock')
    assert.ok(lock !== undefined)
    disk.killProcess()
    assert.equal(disk.readFile('/d/a').toString(), 'abc')
    assert.throws(() => file.write(Buffer.from('x'), 0, 1, 0), StorageError)
    assert.ok(disk.lock('/d/.lock') !== undefined, 'its locks end with it')
  })

  it('may lose names whose directory was not synced', async () => {
    const seen = await outcomes(async (disk) => {
      const file = disk.open('/a', 'new')
      file.write(Buffer.from('abc'), 0, 3, 0)
      await file.sync()
    }, '/a')
    assert.deepEqual([...seen.keys()].sort(), ['abc', 'gone'])
    const synced = await outcomes(async (disk) => {
      const file = disk.open('/a', 'new')
      file.write(Buffer.from('abc'), 0, 3, 0)
      await file.sync()
      await disk.syncDirectory('/')
    }, '/a')
    assert.deepEqual([...synced.keys()], ['abc'])
  })

  it('renames all or nothing', async () => {
    const replace = async (disk: SimDisk) => {
      await disk.replaceFile('/a', Buffer.from('old'))
      const file = disk.open('/b', 'new')
      file.write(Buffer.from('new'), 0, 3, 0)
      await file.sync()
      disk.rename('/b', '/a')
    }
    assert.deepEqual([...(await outcomes(replace, '/a')).keys()].sort(), ['new', 'old'])
    const both = await outcomes(async (disk) => {
      await replace(disk)
      await disk.syncDirectory('/')
    }, '/a')
    assert.deepEqual([...both.keys()], ['new'])
  })

  it('does not bring a name back that was moved away by a synced rename', async () => {
    const seen = await outcomes(async (disk) => {
      disk.makeDirectory('/x')
      disk.makeDirectory('/y')
      await disk.syncDirectory('/')
      disk.open('/x/a', 'new').close()
      disk.rename('/x/a', '/y/a')
      await disk.syncDirectory('/y')
    }, '/x/a')
    assert.deepEqual([...seen.keys()], ['gone'])
  })

  it('may lose a directory with all that was synced in it', async () => {
    const seen = await outcomes(async (disk) => {
      disk.makeDirectory('/x')
      await disk.replaceFile('/x/a', Buffer.from('abc'))
    }, '/x/a')
    assert.deepEqual([...seen.keys()].sort(), ['abc', 'gone'])
  })

  it('covers by a sync what was written before the call only', async () => {
    const scheduler = new Scheduler()
    let lost = 0
    for (let seed = 0; seed < SEEDS; seed++) {
      const disk = new SimDisk({ random: new SimRandom(seed), scheduler })
      const file = disk.open('/a', 'new')
      const names = disk.syncDirectory('/')
      file.write(Buffer.from('abc'), 0, 3, 0)
      const sync = file.sync()
      file.write(Buffer.from('ABC'), 0, 3, 0)
      file.write(Buffer.from('DEF'), 0, 3, 3)
      await scheduler.complete(Promise.all([names, sync]))
      assert.equal(disk.durableContent('/a').toString(), 'abc')
      disk.powerLoss()
      if (disk.readFile('/a').toString() === 'abc') lost++
    }
    assert.ok(lost > 10 && lost < SEEDS)
  })

  it('never settles the calls of a process that ended', async () => {
    const scheduler = new Scheduler()
    const disk = new SimDisk({ random: new SimRandom(1), scheduler })
    const file = disk.open('/a', 'new')
    let isSettled = false
    void file.sync().finally(() => {
      isSettled = true
    })
    disk.killProcess()
    await scheduler.runFor(1000)
    assert.equal(isSettled, false)
  })

  it('drops what a failed sync should have written', async () => {
    const { disk, file } = await diskWithFile(1)
    file.write(Buffer.from('abc'), 0, 3, 0)
    disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined)
    await assert.rejects(file.sync(), StorageError)
    disk.fault = () => undefined
    await file.sync()
    assert.equal(disk.readFile('/d/a').toString(), 'abc', 'readers still see it')
    disk.powerLoss()
    assert.notEqual(disk.readFile('/d/a').toString(), 'abc')
  })

  it('fails where it is told to, fills up, and is damaged', async () => {
    const { disk, file } = await diskWithFile(1)
    disk.fault = (operation, path) => (operation === 'write' && path === '/d/a' ? 'EIO' : undefined)
    const isEio = (error: unknown) => error instanceof StorageError && error.code === 'EIO'
    assert.throws(() => file.write(Buffer.from('abc'), 0, 3, 0), isEio)
    disk.fault = () => undefined
    disk.quotaBytes = 10
    const isFull = (error: unknown) => error instanceof StorageError && error.code === 'ENOSPC'
    assert.throws(() => file.write(filled(20, 1), 0, 20, 0), isFull)
    file.write(filled(10, 2), 0, 10, 0)
    assert.equal((await disk.space('/d')).freeBytes, 0)
    disk.flip('/d/a', 3, 0)
    disk.corrupt('/d/a', 4, filled(1, 9))
    await file.sync()
    disk.powerLoss()
    assert.deepEqual([...disk.readFile('/d/a')], [2, 2, 2, 3, 9, 2, 2, 2, 2, 2])
  })

  it('agrees with a plain model through random operations and power losses', async () => {
    for (let seed = 0; seed < SEEDS; seed++) {
      const { random, disk } = await diskWithFile(seed)
      let file = disk.open('/d/a', 'write')
      let model: Buffer = Buffer.alloc(0)
      let synced: Buffer = Buffer.alloc(0)
      for (let step = 0; step < 30; step++) {
        const choice = random.below(10)
        if (choice < 6) {
          const bytes = random.bytes(random.below(6000))
          const position = random.below(model.length + 100)
          file.write(bytes, 0, bytes.length, position)
          const end = bytes.length === 0 ? 0 : position + bytes.length
          model = Buffer.concat([model, Buffer.alloc(Math.max(0, end - model.length))])
          bytes.copy(model, position)
        } else if (choice < 7) {
          const size = random.below(model.length + 1)
          await file.truncate(size)
          model = Buffer.from(model.subarray(0, size))
        } else if (choice < 9) {
          await file.sync()
          synced = Buffer.from(model)
        } else {
          const isClean = synced.equals(model)
          disk.powerLoss(random)
          if (isClean) assert.ok(disk.readFile('/d/a').equals(synced), `seed ${seed}`)
          model = disk.readFile('/d/a')
          synced = Buffer.from(model)
          file = disk.open('/d/a', 'write')
        }
        assert.ok(disk.readFile('/d/a').equals(model), `seed ${seed} step ${step}`)
        assert.ok(disk.durableContent('/d/a').equals(synced), `seed ${seed} step ${step}`)
      }
    }
  })
})
