import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { ClientError } from '../../kafka/client/connection.ts'
import { makeProgram } from './program.ts'
import { addressesOf, EXIT, withCluster } from './session.ts'

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url))

function odradek(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

function* commandsBelow(command: Command): Generator<Command> {
  for (const one of command.commands) {
    yield one
    yield* commandsBelow(one)
  }
}

describe('node/cli/program', function () {
  this.timeout(30_000)

  it('describes each command and each option', () => {
    let count = 0
    for (const command of commandsBelow(makeProgram())) {
      count++
      assert.notEqual(command.description(), '', command.name())
      for (const { flags, description } of command.options) {
        assert.notEqual(description, '', `${command.name()} ${flags}`)
      }
    }
    assert.ok(count > 30, `${count} commands`)
  })

  it('shows a stranger where to begin, and says nothing on the output without a command', () => {
    const { status, stdout, stderr } = odradek()
    assert.equal(status, EXIT.usage)
    assert.equal(stdout, '')
    assert.match(stderr, /odradek dev +three nodes on this machine/)
    const help = odradek('--help').stdout
    assert.match(help, /Exit codes: 0 ok/)
    assert.ok(!help.includes('\u001b'), 'no colours where there is no terminal')
  })

  it('answers what is no command or no address with one sentence', () => {
    for (const [words, code, sentence] of [
      [['bogus'], EXIT.usage, /unknown command 'bogus'/],
      [['topic', 'lst'], EXIT.usage, /Did you mean list\?/],
      [['topic', 'list', '-b', 'nowhere'], EXIT.usage, /takes HOST:PORT, by comma, not 'nowhere'/],
      [['topic', 'list', '-b', '127.0.0.1:1'], EXIT.unreachable, /no broker answers/],
      [['start', 'no-such-file'], EXIT.usage, /no-such-file can't be read: there is no such file/],
    ] as const) {
      const { status, stdout, stderr } = odradek(...words)
      assert.equal(status, code, stderr)
      assert.equal(stdout, '')
      assert.match(stderr, sentence)
      assert.doesNotMatch(stderr, /\n\s+at /)
    }
  })

  it('says how to begin to who has no cluster, and to no one else', async () => {
    const options = { output: 'text', timeout: '1000' }
    const nobody = () => Promise.reject(new ClientError('unreachable', 'no broker answers'))
    const asked = (bootstrap: string) => withCluster({ ...options, bootstrap }, nobody)
    await assert.rejects(asked('127.0.0.1:9092'), /start a cluster by `odradek dev`/)
    await assert.rejects(asked('127.0.0.1:9093'), { message: 'no broker answers' })
  })

  it('takes names and addresses of both kinds with their ports', () => {
    assert.deepEqual(addressesOf('a:1, [::1]:9092'), ['a:1', '[::1]:9092'])
    for (const odd of ['', 'a', 'a:', ':1', '::1', 'a:1,', 'http://a:1/']) {
      assert.throws(() => addressesOf(odd), UserError, odd)
    }
  })
})
