/** Faults of the storage layer: each rule does what it says, and nothing without a rule. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StorageError } from '../errors.ts'
import { RealDisk } from './disk.ts'
import { FaultyDisk, parseRules } from './faulty-disk.ts'

const BYTES = Buffer.from('0123456789')

describe('base/real/faulty-disk', () => {
  let directory: string
  let rules: string
  beforeEach(() => {
    directory = fs.mkdtempSync(join(tmpdir(), 'odradek-'))
    rules = join(directory, 'rules')
  })
  afterEach(() => fs.rmSync(directory, { recursive: true }))

  const diskWith = (text: string): FaultyDisk => {
    fs.writeFileSync(rules, text)
    return new FaultyDisk(new RealDisk(), rules)
  }
  const isFault = (code: string) => (error: unknown) =>
    error instanceof StorageError && error.code === code

  it('is the disk below without rules', async () => {
    const disk = new FaultyDisk(new RealDisk(), rules)
    const file = disk.open(join(directory, 'f'), 'new')
    file.write(BYTES, 0, 10, 0)
    await file.sync()
    const target = Buffer.alloc(10)
    assert.equal(file.read(target, 0, 10, 0), 10)
    assert.deepEqual(target, BYTES)
    file.close()
    await disk.replaceFile(join(directory, 'g'), BYTES)
    assert.deepEqual(disk.readFile(join(directory, 'g')), BYTES)
  })

  it('fails writes, reads, syncs and names as told, and only where told', async () => {
    const disk = diskWith('write ENOSPC path=full\nsync EIO path=bad\nread EIO path=bad\n')
    const full = disk.open(join(directory, 'full'), 'new')
    assert.throws(() => full.write(BYTES, 0, 10, 0), isFault('ENOSPC'))
    assert.equal(full.size(), 0)
    const bad = disk.open(join(directory, 'bad'), 'new')
    bad.write(BYTES, 0, 10, 0)
    await assert.rejects(bad.sync(), isFault('EIO'))
    assert.throws(() => bad.read(Buffer.alloc(1), 0, 1, 0), isFault('EIO'))
    full.close()
    bad.close()
    assert.throws(() => diskWith('name EIO').makeDirectory(join(directory, 'd')), isFault('EIO'))
  })

  it('spares the first calls when told so', () => {
    const file = diskWith('write EIO after=2').open(join(directory, 'f'), 'new')
    file.write(BYTES, 0, 1, 0)
    file.write(BYTES, 0, 1, 1)
    assert.throws(() => file.write(BYTES, 0, 1, 2), isFault('EIO'))
    file.close()
  })

  it('tears a write and ends the process', () => {
    fs.writeFileSync(rules, 'write tear after=1')
    const path = join(directory, 'f')
    const program = `
      const { RealDisk } = await import(${JSON.stringify(new URL('./disk.js', import.meta.url))})
      const { FaultyDisk } = await import(
        ${JSON.stringify(new URL('./faulty-disk.js', import.meta.url))})
      const disk = new FaultyDisk(new RealDisk(), ${JSON.stringify(rules)})
      const file = disk.open(${JSON.stringify(path)}, 'new')
      file.write(Buffer.from('ab'), 0, 2, 0)
      file.write(Buffer.from('cdef'), 0, 4, 2)
      file.write(Buffer.from('gh'), 0, 2, 6)`
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', program])
    assert.equal(child.signal, 'SIGKILL', child.stderr.toString())
    assert.equal(fs.readFileSync(path, 'utf8'), 'abcd')
  })

  it('refuses what is no rule', () => {
    assert.throws(() => parseRules('write sometimes'), /no rule/)
    assert.throws(() => parseRules('write EIO chance=often'), /no number/)
  })
})
