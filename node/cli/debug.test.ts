import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Command } from 'commander'
import { skip } from '../../base/mocha-reporter.ts'
import { addDebugCommands, withoutSecretSettings, withoutSecrets } from './debug.ts'
import { tarOf } from './tar.ts'

/** Name and text of each entry, read as the format says. */
function entriesOf(archive: Buffer): Map<string, string> {
  const entries = new Map<string, string>()
  for (let at = 0; archive[at] !== 0; ) {
    const text = (from: number, to: number) =>
      archive.toString('utf8', at + from, at + to).split('\0', 1)[0]!
    const size = Number.parseInt(text(124, 136), 8)
    const sum = archive
      .subarray(at, at + 512)
      .reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0)
    assert.equal(Number.parseInt(text(148, 156), 8), sum, 'the sum of a header')
    entries.set(text(0, 100), archive.toString('utf8', at + 512, at + 512 + size))
    at += 512 + Math.ceil(size / 512) * 512
  }
  return entries
}

describe('node/cli/debug', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'odradek-bundle-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  it('writes archives that tar reads', function () {
    const file = join(directory, 'a.tar')
    const content = Buffer.alloc(1000, 'x')
    writeFileSync(
      file,
      tarOf(
        [
          { name: 'a/b.txt', content },
          { name: 'c', content },
        ],
        1e12,
      ),
    )
    const tar = spawnSync('tar', ['-xOf', file, 'a/b.txt'])
    if (tar.error !== undefined) skip(this, 'there is no tar on this machine')
    assert.equal(tar.status, 0, tar.stderr.toString())
    assert.deepEqual(tar.stdout, content)
    assert.deepEqual([...entriesOf(readFileSync(file)).keys()], ['a/b.txt', 'c'])
  })

  it('takes secrets out of settings, also those that go on over lines', () => {
    const text = [
      'node.id=1',
      'ssl.key.password = hunter2',
      'listener.name.x.sasl.jaas.config=org.Module required \\',
      '  username="u" password="hunter2";',
      'ssl.keystore.key=-----BEGIN PRIVATE KEY----- \\',
      ' hunter2',
      'log.dirs=/data',
    ].join('\n')
    const shown = withoutSecretSettings(text)
    assert.ok(!shown.includes('hunter2'), shown)
    assert.ok(!shown.includes('BEGIN'), shown)
    assert.match(shown, /^node\.id=1\nssl\.key\.password=\(hidden\)\n/)
    assert.match(shown, /\nlog\.dirs=\/data$/)
  })

  it('takes secrets out of logs', () => {
    const lines = [
      '{"msg":"x","ssl.key.password":"hun\\"ter2","n":1}',
      'password=hunter2, user=u',
      "secret: 'hunter2'",
      '-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END EC PRIVATE KEY-----',
    ]
    for (const line of lines) assert.doesNotMatch(withoutSecrets(line), /ter2/, line)
    assert.match(withoutSecrets(lines[0]!), /"n":1/)
    assert.equal(withoutSecrets('12 records, node 3'), '12 records, node 3')
  })

  it('puts what nodes show into one file, and says who did not answer', async () => {
    const server: Server = createServer((request, response) => {
      response.end(JSON.stringify({ path: request.url, 'ssl.key.password': 'hunter2' }))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const settings = join(directory, 'node.properties')
    const log = join(directory, 'node.log')
    const file = join(directory, 'out.tar.gz')
    writeFileSync(settings, 'node.id=1\nssl.key.password=hunter2\n')
    writeFileSync(log, `${'x'.repeat(99)}\n`.repeat(30_000))
    const program = new Command()
    addDebugCommands(program)
    const http = `127.0.0.1:${port},127.0.0.1:1`
    const words = ['debug', 'bundle', '--http', http, '--file', file]
    words.push('--settings', settings, '--log', log)
    await program.parseAsync(words, { from: 'user' })
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    const entries = entriesOf(gunzipSync(readFileSync(file)))
    const all = [...entries.values()].join('\n')
    assert.ok(!all.includes('hunter2'))
    assert.match(entries.get(`node-127.0.0.1_${port}/quorum.json`)!, /"\/api\/v1\/quorum"/)
    assert.match(entries.get('node-127.0.0.1_1/no-answer.txt')!, /ECONNREFUSED|bad port/)
    assert.equal(
      entries.get('settings-1-node.properties'),
      'node.id=1\nssl.key.password=(hidden)\n',
    )
    const end = entries.get('log-1-node.log')!
    assert.ok(end.length > 2_000_000 && end.length % 100 === 0, String(end.length))
    await assert.rejects(program.parseAsync(words, { from: 'user' }), /is there already: pass/)
  })
})
