import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { firstFrame, forwardResponse, ProtocolError, raftFrame, sessionRequest } from './codecs.ts'
import { definitions } from './load.ts'
import { grpcPath, METHODS } from './methods.ts'
import { messageTypes } from './types.ts'

describe('proto/codecs', () => {
  it('has the types of the .proto files', () => {
    const path = new URL('../../proto/generated/messages.ts', import.meta.url)
    const hint = 'run node dist/proto/generate.js'
    assert.equal(readFileSync(path, 'utf8').trimEnd(), messageTypes().trimEnd(), hint)
  })

  it('serves the methods of the .proto files', () => {
    const declared: string[] = []
    for (const [name, definition] of Object.entries(definitions())) {
      if ('format' in definition) continue
      for (const method of Object.values(definition)) {
        assert.equal(method.requestStream, method.responseStream, `${name}: both ways or none`)
        declared.push(`${method.path} ${method.requestStream}`)
      }
    }
    const served = METHODS.map(({ name, isStream }) => `${grpcPath(name)} ${isStream}`)
    assert.deepEqual(served.sort(), declared.sort())
  })

  it('fills in what is left out, and keeps numbers whole', () => {
    const heartbeat = {
      sequence: 2 ** 40 + 1,
      brokerEpoch: -1,
      appliedOffset: Number.MAX_SAFE_INTEGER,
      wantsFence: true,
      wantsShutdown: false,
      offlineDirectoryIds: ['a', 'b'],
      loopProgress: 0,
      wallClockMs: 0,
    }
    assert.deepEqual(sessionRequest.decode(sessionRequest.encode({ heartbeat })), {
      hello: null,
      heartbeat,
    })
    assert.deepEqual(forwardResponse.decode(Buffer.alloc(0)), {
      hello: null,
      outcome: 'ANSWERED',
      sentence: '',
      metadataOffset: 0,
      response: Buffer.alloc(0),
      leaderId: 0,
      errorCode: 0,
      storageCode: '',
    })
  })

  it('gives views of bytes, not copies', () => {
    const data = Buffer.alloc(1000, 7)
    const append = {
      prevEnd: 0,
      prevTerm: 0,
      commit: 0,
      entries: [{ baseOffset: 0, count: 1, term: 1, kind: 'LEADER' as const, data }],
    }
    const bytes = raftFrame.encode({
      messages: [{ from: 1, directoryId: 'd', to: 2, term: 1, append }],
    })
    const [message] = raftFrame.decode(bytes).messages
    const entry = message!.append!.entries[0]!
    assert.equal(entry.kind, 'LEADER')
    assert.deepEqual(entry.data, data)
    assert.equal(entry.data.buffer, bytes.buffer)
    assert.equal(message!.vote, undefined)
  })

  it('refuses what is no message', () => {
    for (const bytes of ['ff', '0a05ff', '0a01']) {
      assert.throws(() => firstFrame.decode(Buffer.from(bytes, 'hex')), ProtocolError, bytes)
    }
  })
})
