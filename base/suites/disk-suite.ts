/** What every Disk promises; run against the real and the simulated one. */
import assert from 'node:assert/strict'
import type { Disk } from '../disk.ts'
import { StorageError } from '../errors.ts'
import type { Driver } from './driver.ts'

export interface DiskUnderTest extends Driver {
  readonly disk: Disk
  /** An empty directory. */
  readonly directory: string
  close(): Promise<void>
}

export function diskSuite(name: string, start: () => Promise<DiskUnderTest>): void {
  describe(`base/disk ${name}`, () => {
    let parts: DiskUnderTest
    beforeEach(async () => {
      parts = await start()
    })
    afterEach(() => parts.close())
    const at = (file: string) => `${parts.directory}/${file}`

    filesTests(() => parts, at)
    namesTests(() => parts, at)
    wholeFilesTests(() => parts, at)
  })
}

type Parts = () => DiskUnderTest
type At = (file: string) => string

function code(expected: string) {
  return (error: unknown) => {
    assert.ok(error instanceof StorageError, String(error))
    assert.equal(error.code, expected)
    return true
  }
}

function filesTests(parts: Parts, at: At): void {
  it('reads what was written, across gaps and beyond the end', async () => {
    const { disk, complete } = parts()
    const file = disk.open(at('a'), 'new')
    assert.equal(file.size(), 0)
    file.write(Buffer.from('..hello..'), 2, 7, 10)
    assert.equal(file.size(), 15)
    const target = Buffer.alloc(32, 0xff)
    assert.equal(file.read(target, 1, 30, 0), 15)
    assert.equal(target.toString('latin1', 1, 16), `${'\0'.repeat(10)}hello`)
    assert.equal(target[0], 0xff)
    assert.equal(target[16], 0xff)
    assert.equal(file.read(target, 0, 5, 15), 0)
    assert.equal(await complete(file.readAsync(target, 0, 3, 12)), 3)
    assert.equal(target.toString('latin1', 0, 3), 'llo')
    file.close()
    file.close()
  })

  it('keeps large writes and overwrites exactly', () => {
    const { disk } = parts()
    const file = disk.open(at('a'), 'new')
    const model = Buffer.alloc(300_000)
    for (let i = 0; i < 200; i++) {
      const position = (i * 7919) % 200_000
      const bytes = Buffer.alloc((i * 977) % 9000, i)
      file.write(bytes, 0, bytes.length, position)
      bytes.copy(model, position)
    }
    const content = Buffer.alloc(file.size())
    assert.equal(file.read(content, 0, content.length, 0), content.length)
    assert.ok(content.equals(model.subarray(0, content.length)))
    file.close()
  })

  it('opens by mode', () => {
    const { disk } = parts()
    assert.throws(() => disk.open(at('a'), 'read'), code('ENOENT'))
    disk.open(at('a'), 'write').close()
    assert.throws(() => disk.open(at('a'), 'new'), code('EEXIST'))
    const file = disk.open(at('a'), 'write')
    file.write(Buffer.from('abc'), 0, 3, 0)
    file.close()
    const reader = disk.open(at('a'), 'read')
    assert.equal(reader.size(), 3)
    assert.throws(() => reader.write(Buffer.from('x'), 0, 1, 0), StorageError)
    reader.close()
    assert.throws(() => disk.open(at('missing/a'), 'new'), code('ENOENT'))
    assert.throws(() => disk.open(parts().directory, 'write'), code('EISDIR'))
  })

  it('cuts, extends with zeros, and syncs', async () => {
    const { disk, complete } = parts()
    const file = disk.open(at('a'), 'new')
    file.write(Buffer.alloc(10_000, 1), 0, 10_000, 0)
    await complete(file.truncate(5000))
    assert.equal(file.size(), 5000)
    await complete(file.truncate(6000))
    const target = Buffer.alloc(2000)
    assert.equal(file.read(target, 0, 2000, 4500), 1500)
    assert.ok(target.subarray(0, 500).every((byte) => byte === 1))
    assert.ok(target.subarray(500).every((byte) => byte === 0))
    await complete(Promise.all([file.sync(), file.sync()]))
    file.close()
    assert.equal(disk.sizeOf(at('a')), 6000)
  })

  it('does many slow calls at once', async () => {
    const { disk, complete } = parts()
    const file = disk.open(at('a'), 'new')
    file.write(Buffer.from(Array.from({ length: 256 }, (_, i) => i)), 0, 256, 0)
    const targets = Array.from({ length: 256 }, () => Buffer.alloc(1))
    await complete(Promise.all(targets.map((target, i) => file.readAsync(target, 0, 1, i))))
    targets.forEach((target, i) => {
      assert.equal(target[0], i)
    })
    file.close()
  })
}

function namesTests(parts: Parts, at: At): void {
  it('lists sorted by name', () => {
    const { disk } = parts()
    for (const name of ['b', 'a', 'Z']) disk.open(at(name), 'new').close()
    disk.makeDirectory(at('c/d'))
    disk.makeDirectory(at('c'))
    assert.deepEqual(
      disk.list(parts().directory).map(({ name, isDirectory }) => `${name} ${isDirectory}`),
      ['Z false', 'a false', 'b false', 'c true'],
    )
    assert.throws(() => disk.list(at('missing')), code('ENOENT'))
    assert.throws(() => disk.list(at('a')), code('ENOTDIR'))
    assert.throws(() => disk.makeDirectory(at('a/b')), code('ENOTDIR'))
  })

  it('renames, and replaces files', async () => {
    const { disk, complete } = parts()
    const file = disk.open(at('a'), 'new')
    file.write(Buffer.from('new'), 0, 3, 0)
    disk.open(at('b'), 'new').close()
    disk.rename(at('a'), at('b'))
    assert.equal(disk.exists(at('a')), false)
    assert.equal(disk.readFile(at('b')).toString(), 'new')
    file.write(Buffer.from('er'), 0, 2, 3)
    assert.equal(disk.readFile(at('b')).toString(), 'newer')
    file.close()
    disk.makeDirectory(at('full'))
    disk.open(at('full/x'), 'new').close()
    disk.makeDirectory(at('other'))
    assert.throws(() => disk.rename(at('other'), at('full')), code('ENOTEMPTY'))
    assert.throws(() => disk.rename(at('missing'), at('c')), code('ENOENT'))
    disk.rename(at('full'), at('moved'))
    assert.deepEqual(disk.list(at('moved')), [{ name: 'x', isDirectory: false }])
    await complete(disk.syncDirectory(parts().directory))
    await assert.rejects(complete(disk.syncDirectory(at('missing'))), code('ENOENT'))
  })

  it('removes files and directories', async () => {
    const { disk, complete } = parts()
    const file = disk.open(at('a'), 'new')
    file.write(Buffer.from('abc'), 0, 3, 0)
    await complete(disk.remove(at('a')))
    assert.equal(disk.exists(at('a')), false)
    const target = Buffer.alloc(3)
    assert.equal(file.read(target, 0, 3, 0), 3, 'an open file outlives its name')
    file.close()
    await assert.rejects(complete(disk.remove(at('a'))), code('ENOENT'))
    disk.makeDirectory(at('d/e'))
    disk.open(at('d/e/f'), 'new').close()
    await complete(disk.removeDirectory(at('d')))
    assert.equal(disk.exists(at('d')), false)
    await complete(disk.removeDirectory(at('d')))
  })

  it('locks for one owner', async () => {
    const { disk } = parts()
    const lock = disk.lock(at('.lock'))
    assert.ok(lock !== undefined)
    assert.equal(disk.lock(at('.lock')), undefined)
    lock.release()
    lock.release()
    const again = disk.lock(at('.lock'))
    assert.ok(again !== undefined)
    assert.equal(disk.lock(at('.lock')), undefined)
    again.release()
  })
}

function wholeFilesTests(parts: Parts, at: At): void {
  it('replaces a small file', async () => {
    const { disk, complete } = parts()
    assert.throws(() => disk.readFile(at('a')), code('ENOENT'))
    await complete(disk.replaceFile(at('a'), Buffer.from('longer content')))
    await complete(disk.replaceFile(at('a'), Buffer.from('one')))
    assert.equal(disk.readFile(at('a')).toString(), 'one')
    assert.deepEqual(disk.list(parts().directory), [{ name: 'a', isDirectory: false }])
    disk.open(at('a.tmp'), 'new').close()
    await complete(disk.replaceFile(at('a'), Buffer.from('two')))
    assert.equal(disk.readFile(at('a')).toString(), 'two')
    await assert.rejects(
      complete(disk.replaceFile(at('missing/a'), Buffer.from('x'))),
      code('ENOENT'),
    )
  })

  it('tells sizes, times and space', async () => {
    const { disk, complete } = parts()
    const file = disk.open(at('a'), 'new')
    file.write(Buffer.alloc(100), 0, 100, 0)
    file.close()
    assert.equal(disk.sizeOf(at('a')), 100)
    assert.throws(() => disk.sizeOf(at('missing')), code('ENOENT'))
    assert.ok(disk.modifiedMs(at('a')) > 1_700_000_000_000)
    const space = await complete(disk.space(parts().directory))
    assert.ok(space.freeBytes > 0 && space.freeBytes <= space.sizeBytes)
  })
}
