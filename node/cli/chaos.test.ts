/** odradek chaos: only the processes that hold a node's directory are touched. */
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

  it('cuts two nodes off from each other, until it heals', () => {
    const listeners = (port: number) => `listeners=PLAINTEXT://a:1,CONTROLLER://127.0.0.1:${port}\n`
    for (const id of [1, 2, 3]) {
      writeFileSync(join(data, `node-${id}.properties`), listeners(7000 + id))
    }
    const cutsOf = (id: number) => readFileSync(join(data, `node-${id}.cuts`), 'utf8')
    assert.match(chaos('cut', '1', '2', '--data', data).stdout, /node 1 and node 2 are cut off/)
    assert.deepEqual([cutsOf(1), cutsOf(2)], ['127.0.0.1:7002\n', '127.0.0.1:7001\n'])
    assert.equal(chaos('cut', '3', '--data', data).status, 0)
    assert.equal(cutsOf(1), '127.0.0.1:7002\n127.0.0.1:7003\n')
    assert.equal(cutsOf(3), '127.0.0.1:7001\n127.0.0.1:7002\n')
    assert.equal(chaos('cut', '1', '1', '--data', data).status, 2)
    assert.equal(chaos('cut', '1', '5', '--data', data).status, 4)
    assert.match(chaos('heal', '--data', data).stdout, /the links of node 1 are whole/)
    assert.throws(() => cutsOf(1), /ENOENT/)
  })
})

describe('node/cli/chaos of a running odradek dev', function () {
  this.timeout(60_000)

  it('cuts the controller off: the others elect another one, and it follows when healed', async () => {
    const data = mkdtempSync(join(tmpdir(), 'odradek-'))
    const firstPort = 20_000 + (process.pid % 300) * 30
    const dev = spawn(process.execPath, [MAIN, 'dev', '--data', data, '--port', String(firstPort)])
    const ended = once(dev, 'exit')
    try {
      let said = ''
      dev.stderr.on('data', (chunk: Buffer) => {
        said += chunk
      })
      const ready = new Promise<void>((resolve) => {
        dev.stdout.on('data', (chunk: Buffer) => {
          if (String(chunk).includes('ready in')) resolve()
        })
      })
      await Promise.race([ready, ended.then(() => assert.fail(said))])
      const quorumOf = async (id: number) => {
        const response = await fetch(
          `http://127.0.0.1:${firstPort + 100 * (id - 1) + 552}/api/v1/quorum`,
        )
        return (await response.json()) as { leader: number; epoch: number }
      }
      const first = (await quorumOf(1)).leader
      const other = first === 1 ? 2 : 1
      const until = async (isDone: () => Promise<boolean>) => {
        const limitMs = performance.now() + 20_000
        while (!(await isDone())) assert.ok(performance.now() < limitMs, said)
      }
      assert.equal(chaos('cut', String(first), '--data', data).status, 0)
      await until(async () => ![first, -1, 0].includes((await quorumOf(other)).leader))
      const { epoch } = await quorumOf(other)
      assert.equal(chaos('heal', '--data', data).status, 0)
      await until(async () => (await quorumOf(first)).epoch >= epoch)
    } finally {
      dev.kill('SIGTERM')
      await ended
      rmSync(data, { recursive: true })
    }
  })
})
