/* `odradek produce` reads from a pipe: what was written is sent, whether or not more follows. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type ServerProcess, startServer } from '../cluster/processes.ts'
import { makeTopic } from '../cluster/wire.ts'
import { metric, until } from './nodes.ts'

const MAIN = fileURLToPath(new URL('../../node/main.js', import.meta.url))
const TOPIC = 'pipes'

describe('hardship/pipes', function () {
  this.timeout(60_000)
  let server: ServerProcess
  let child: ChildProcess | undefined

  before(async () => {
    server = await startServer({ peer: 'odradek' })
    await makeTopic(server.ports.kafka, { name: TOPIC, partitions: 1 })
  })
  after(async () => {
    child?.kill('SIGKILL')
    await server.remove()
  })

  function produceFromPipe(port: number): { child: ChildProcess; ended: Promise<string> } {
    const started = spawn(process.execPath, [MAIN, 'produce', TOPIC, '-b', `127.0.0.1:${port}`], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    child = started
    let said = ''
    for (const stream of [started.stdout, started.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString()
      })
    }
    return {
      child: started,
      ended: new Promise((resolve) => started.once('close', (code) => resolve(`${code}: ${said}`))),
    }
  }

  const written = (): Promise<number> =>
    metric(server.ports.http, 'odradek_partition_log_end_offset', `topic="${TOPIC}"`)

  it('a line is sent although the pipe stays open, and the rest when it ends', async () => {
    const before = await written()
    const { child: producer, ended } = produceFromPipe(server.ports.kafka)
    producer.stdin!.write('first\n')
    await until('the first line is in the log', async () => (await written()) === before + 1)
    const more = Array.from({ length: 3000 }, (_, i) => `line ${i}\n`).join('')
    producer.stdin!.end(`${more}without an end of line`)
    assert.match(await ended, /^0: sent 3002 records to pipes\n$/)
    assert.equal(await written(), before + 3002)
  })

  it('a failed send ends the command, although the pipe stays open', async () => {
    const { child: producer, ended } = produceFromPipe(server.ports.kafka)
    producer.stdin!.write(`${'x'.repeat(2_000_000)}\n`)
    assert.match(await ended, /^1: odradek: MESSAGE_TOO_LARGE: /)
  })
})
