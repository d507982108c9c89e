import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Rpc, RpcError, RpcStream, RpcStreamHandler } from '../rpc.ts'
import { CutList, CutRpc } from './cut-rpc.ts'

/** Answers each message with the same. */
class Echo implements Rpc {
  readonly reached: string[] = []

  serve(): Promise<never> {
    throw new Error('not asked for')
  }

  peer({ port }: { readonly host: string; readonly port: number }) {
    return {
      stream: (_: string, handler: RpcStreamHandler): RpcStream => ({
        remote: `echo:${port}`,
        send: (message) => {
          this.reached.push(String(message))
          handler.onMessage(Buffer.from(message))
          return true
        },
        end: () => handler.onClose(undefined),
        cancel: () => handler.onClose({ code: 'cancelled' } as RpcError),
      }),
      call: async (_: string, request: Uint8Array) => Buffer.from(request),
      close: () => undefined,
    }
  }
}

class Heard implements RpcStreamHandler {
  readonly messages: string[] = []
  readonly ends: (string | undefined)[] = []
  onMessage(message: Buffer): void {
    this.messages.push(String(message))
  }
  onDrain(): void {}
  onClose(error: RpcError | undefined): void {
    this.ends.push(error?.code)
  }
}

const text = (words: string) => Buffer.from(words)

describe('base/real/cut-rpc', () => {
  let cut: Set<string>
  let echo: Echo
  let rpc: CutRpc
  const peer = () => rpc.peer({ host: 'node', port: 2 })

  beforeEach(() => {
    cut = new Set()
    echo = new Echo()
    rpc = new CutRpc(echo, (address) => cut.has(address))
  })

  it('loses what a cut link is given, and breaks the stream when it is whole again', () => {
    const heard = new Heard()
    const stream = peer().stream('m', heard)
    stream.send(text('a'))
    cut.add('node:2')
    assert.equal(stream.send(text('b')), true)
    assert.deepEqual([echo.reached, heard.messages, heard.ends], [['a'], ['a'], []])
    cut.clear()
    stream.send(text('c'))
    assert.deepEqual([echo.reached, heard.messages], [['a'], ['a']])
    assert.deepEqual(heard.ends, ['unavailable'])
  })

  it('leaves other links alone', () => {
    const heard = new Heard()
    cut.add('node:3')
    const stream = peer().stream('m', heard)
    stream.send(text('a'))
    stream.end()
    assert.deepEqual([heard.messages, heard.ends], [['a'], [undefined]])
  })

  it('opens no stream on a link that is cut, and says so when it is whole again', async () => {
    const heard = new Heard()
    cut.add('node:2')
    const stream = peer().stream('m', heard)
    stream.send(text('a'))
    assert.deepEqual([echo.reached, heard.ends], [[], []])
    cut.clear()
    stream.send(text('b'))
    stream.cancel()
    await Promise.resolve()
    assert.deepEqual([echo.reached, heard.ends], [[], ['unavailable']])
  })

  it('ends streams that nobody heard of with their peer', async () => {
    const heard = new Heard()
    cut.add('node:2')
    const one = peer()
    one.stream('m', heard)
    one.close()
    await Promise.resolve()
    assert.deepEqual(heard.ends, ['cancelled'])
  })

  it('answers no call on a link that is cut', async () => {
    assert.equal(String(await peer().call('m', text('a'), 1)), 'a')
    cut.add('node:2')
    await assert.rejects(peer().call('m', text('a'), 1), { code: 'timeout' })
  })

  it('reads the addresses of a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'odradek-'))
    try {
      const file = join(folder, 'cuts')
      assert.equal(new CutList(file).has('node:2'), false)
      writeFileSync(file, 'node:1\nnode:2\n')
      assert.equal(new CutList(file).has('node:2'), true)
      assert.equal(new CutList(file).has('node:3'), false)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
