import assert from 'node:assert/strict'
import { SimDisk } from '../base/sim/disk.ts'
import { SimRandom } from '../base/sim/random.ts'
import { FileCache, type LogFile } from './files.ts'
import { LogProbe } from './probe.ts'

describe('log/files', () => {
  const cacheOf = (limit: number) => {
    const disk = new SimDisk({ random: new SimRandom(1) })
    disk.makeDirectory('/d')
    const probe = new LogProbe()
    return { cache: new FileCache(disk, probe, limit), probe }
  }
  const opened = (cache: FileCache, ...names: string[]): LogFile[] =>
    names.map((name) => {
      const file = cache.file(`/d/${name}`, 'write')
      file.use()
      return file
    })
  const openOf = (files: readonly LogFile[]) =>
    files.filter(({ open }) => open !== undefined).map(({ path }) => path.slice(3))

  it('closes the first when all were used, and then those that were not used again', () => {
    const { cache, probe } = cacheOf(3)
    const files = opened(cache, 'a', 'b', 'c', 'd')
    assert.deepEqual(openOf(files), ['b', 'c', 'd'])
    files[1]!.use()
    // The hand is at d, which took the place of a.
    const more = opened(cache, 'e')
    assert.deepEqual(openOf([...files, ...more]), ['b', 'd', 'e'])
    assert.equal(probe.openFiles, 3)
  })

  it('keeps open what has unsynced bytes or an operation under way, and opens more instead', () => {
    const { cache, probe } = cacheOf(2)
    const files = opened(cache, 'a', 'b')
    files[0]!.isDirty = true
    files[1]!.pin()
    files.push(...opened(cache, 'c'))
    assert.deepEqual(openOf(files), ['a', 'b', 'c'])
    files.push(...opened(cache, 'd'))
    assert.deepEqual(openOf(files), ['a', 'b', 'd'])
    files[1]!.unpin()
    files.push(...opened(cache, 'e'))
    assert.equal(probe.openFiles, 3)
    assert.ok(openOf(files).includes('a'))
  })
})
