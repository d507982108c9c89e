/** odradek chaos: only the process that holds a node's directory is touched. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { skip } from '../../base/mocha-reporter.ts'

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url))
const LOCK = new URL('../../base/real/lock.js', import.meta.url).href

const chaos = (...words: readonly string[]) =>
  spawnSync(process.execPath, [MAIN, 'chaos', ...words], { encoding: 'utf8' })

describe('node/cli/chaos', function () {
  this.timeout(30_000)
  let data: string
  let node: ChildProcess

  beforeEach(async () => {
    data = mkdtempSync(join(tmpdir(), 'odradek-'))
    mkdirSync(join(data, '1'))
    writeFileSync(join(data, 'node-1.properties'), '')
    // Holds the directory as a node does.
    const lock = JSON.stringify(join(data, '1', '.lock'))
    const program = `const { lockFile } = await import('${LOCK}')
      lockFile(${lock})
      console.log('held')
      setInterval(() => {}, 1000)`
    node = spawn(process.execPath, ['--input-type=module', '-e', program])
    await once(node.stdout!, 'data')
  })
  afterEach(async () => {
    if (node.exitCode === null && node.signalCode === null) {
      node.kill('SIGKILL')
      await once(node, 'exit')
    }
    rmSync(data, { recursive: true })
  })

  it('pauses a node, heals it, and kills it', async function () {
    if (process.platform !== 'linux') skip(this, 'the state of a process is read from /proc')
    const isStopped = () => / T /.test(readFileSync(`/proc/${node.pid}/stat`, 'utf8'))
    assert.match(chaos('pause', '1', '--data', data).stdout, /node 1 \(process \d+\) is paused/)
    assert.ok(isStopped())
    assert.match(chaos('heal', '--data', data).stdout, /node 1 .* is awake/)
    assert.ok(!isStopped())
    const ended = once(node, 'exit')
    assert.equal(chaos('kill', '1', '--data', data).status, 0)
    assert.deepEqual(await ended, [null, 'SIGKILL'])
    assert.match(chaos('heal', '--data', data).stdout, /node 1 does not run; start it again/)
  })

  it('does not take another process for a node that is gone', () => {
    const other = { pid: process.pid, started: 'long ago', nonce: 'ab' }
    writeFileSync(join(data, '1', '.lock'), JSON.stringify(other))
    const { status, stderr } = chaos('kill', '1', '--data', data)
    assert.equal(status, 1)
    assert.match(stderr, /does not run/)
  })

  it('says what is not there', () => {
    const { status, stderr } = chaos('kill', '7', '--data', data)
    assert.equal(status, 4)
    assert.match(stderr, /has no node 7/)
  })
})
