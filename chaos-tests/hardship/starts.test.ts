/* Nodes that can't start: each ends with one sentence that says what to change, and a code. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../../base/errors.ts'
import { skip } from '../../base/mocha-reporter.ts'
import { loadSettings } from '../../node/config/load.ts'
import { freePorts, startServer } from '../cluster/processes.ts'
import { canMount, mountTmpfs, unmount } from './mounts.ts'
import { failedStart, linesOf, propertiesOf, runMain } from './nodes.ts'

const ONE_SENTENCE = /^odradek: [^\n]+\n$/

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

describe('hardship/starts', function () {
  this.timeout(60_000)
  let root = ''
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'odradek-hardship-'))
  })
  after(() => rmSync(root, { recursive: true, force: true }))

  /** The sentence of a start that fails; one line, and no stack. */
  async function sentenceOf(properties: Record<string, string> | string): Promise<string> {
    const { code, stderr } = await failedStart(properties)
    assert.ok(code === 1 || code === 2, `code ${code}: ${stderr}`)
    assert.match(stderr, ONE_SENTENCE)
    return stderr
  }

  it('settings: an unknown name is answered with the nearest, a bad value with what is taken', async () => {
    const good = await propertiesOf(join(root, 'data'))
    const cases: readonly [Record<string, string>, RegExp][] = [
      [
        { 'log.retension.ms': '5' },
        /line 7 of \S+: there is no setting log\.retension\.ms; did you mean log\.retention\.ms\?/,
      ],
      [{ 'log.segment.bytes': 'many' }, /line 7 .*log\.segment\.bytes/],
      [{ 'log.segment.bytes': '-5' }, /log\.segment\.bytes/],
      [{ 'flush.policy': 'never' }, /flush\.policy.*group.*interval.*none/],
      [{ 'process.roles': 'king' }, /process\.roles/],
      [{ 'node.id': '-1' }, /node\.id/],
      [{ listeners: 'PLAINTEXT//127.0.0.1:9' }, /listeners/],
      [{ listeners: 'PLAINTEXT://127.0.0.1:99999' }, /listeners/],
      [{ 'advertised.listeners': 'PLAINTEXT://0.0.0.0:9092' }, /advertised\.listeners/],
      [{ 'http.address': 'nonsense' }, /http\.address/],
      [{ 'http.insecure': 'perhaps' }, /http\.insecure/],
      [{ 'metrics.partition.level': 'fine' }, /metrics\.partition\.level/],
      [{ 'controller.quorum.voters': '7@127.0.0.1:1' }, /controller\.quorum\.voters/],
    ]
    for (const [more, expected] of cases) {
      // What reads settings is asked itself: a process for each would take long.
      const text = linesOf({ ...good, ...more })
      assert.throws(
        () => loadSettings({ file: { path: 'server.properties', text } }),
        (error: unknown) => error instanceof UserError && expected.test(error.message),
        JSON.stringify(more),
      )
    }
    const unknown = await sentenceOf({ ...good, 'log.retension.ms': '5' })
    assert.match(unknown, /line 7 of \S+: .* did you mean log\.retention\.ms\?/)
    assert.match(await sentenceOf({ ...good, 'http.address': '0.0.0.0:0' }), /http\.insecure=true/)
  })

  it('settings: a file that is missing, a directory, or no text at all', async () => {
    const missing = await runMain(['start', join(root, 'no-such.properties')])
    assert.equal(missing.code, 2)
    assert.match(missing.stderr, /no-such\.properties can't be read/)
    const directory = await runMain(['start', root])
    assert.equal(directory.code, 2)
    assert.match(directory.stderr, ONE_SENTENCE)
    assert.match(await sentenceOf('\0\x01\x02\xff\n=====\n'), /odradek: /)
    assert.match(await sentenceOf(''), /node\.id|process\.roles/)
  })

  it('ports: one that another program has', async () => {
    const [kafka, http] = await freePorts(2)
    const properties = await propertiesOf(join(root, 'ports'))
    const listeners = `PLAINTEXT://127.0.0.1:${kafka},CONTROLLER://127.0.0.1:0`
    const atKafka = await listen(kafka!)
    assert.match(await sentenceOf({ ...properties, listeners }), new RegExp(`${kafka}`))
    atKafka.close()
    const atHttp = await listen(http!)
    const address = `127.0.0.1:${http}`
    const sentence = await sentenceOf({ ...properties, 'http.address': address })
    assert.match(sentence, new RegExp(`http\\.address ${address} is taken`))
    atHttp.close()
  })

  it('directories: one that another node has, and a file in its place', async () => {
    const server = await startServer({ peer: 'odradek' })
    const taken = await sentenceOf(await propertiesOf(server.dataDirectory))
    assert.match(taken, /is in use by another node: stop that one/)
    await server.remove()
    const file = join(root, 'a-file')
    writeFileSync(file, '')
    assert.match(await sentenceOf(await propertiesOf(file)), /a-file/)
    assert.match(await sentenceOf(await propertiesOf(join(file, 'below'))), /a-file/)
  })

  it('directories: one of another node or another cluster', async () => {
    const server = await startServer({ peer: 'odradek' })
    await server.stop()
    const properties = await propertiesOf(server.dataDirectory)
    assert.match(await sentenceOf({ ...properties, 'node.id': '2' }), /node/)
    const otherCluster = { ...properties, 'cluster.id': 'AAAAAAAAAAAAAAAAAAAAAQ' }
    assert.match(await sentenceOf(otherCluster), /cluster/)
    await server.remove()
  })

  it('open files: too few to load the program, and few for a node', async function () {
    if (process.platform !== 'linux') skip(this, 'other systems show no limits')
    const properties = await propertiesOf(join(root, 'few-files'))
    for (const openFiles of [30, 50, 100]) {
      const { code, stderr } = await failedStart(properties, { openFiles })
      assert.equal(code, 1, stderr)
      assert.match(stderr, ONE_SENTENCE)
      assert.match(stderr, /too few files may be open: raise the limit \(ulimit -n\)/)
    }
    const nowhere = { ...properties, 'log.dirs': '/proc/odradek' }
    const { stderr } = await failedStart(nowhere, { logLevel: 'warn', openFiles: 1000 })
    assert.match(stderr, /1000 may be open: raise it.*Few files may be open/)
  })

  it('directories: one where nothing can be made', async function () {
    if (process.platform !== 'linux') skip(this, 'needs /proc')
    const sentence = await sentenceOf(await propertiesOf('/proc/odradek'))
    assert.match(sentence, /\/proc\/odradek/)
  })

  it('directories: one that is read only', async function () {
    const mount = join(root, 'read-only')
    mkdirSync(mount)
    const reason = canMount()
    if (reason !== undefined) skip(this, reason)
    mountTmpfs(mount, '8m')
    try {
      execFileSync('mount', ['-o', 'remount,ro', mount])
      const sentence = await sentenceOf(await propertiesOf(join(mount, 'data')))
      assert.match(sentence, /read-only.*read.only/)
      const itself = await sentenceOf(await propertiesOf(mount))
      assert.match(itself, /read-only.*read.only/)
    } finally {
      unmount(mount)
    }
  })
})
