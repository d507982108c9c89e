import assert from 'node:assert/strict'
import { StorageError } from '../../base/errors.ts'
import { ForwardError } from '../../kafka/forward.ts'
import { Unavailable } from '../../kafka/unavailable.ts'
import { NotLeaderError } from '../metadata/quorum.ts'
import { ForwardFailure } from '../peers/forwarder.ts'
import { orUnavailable } from './unavailable.ts'

describe('node/ports/unavailable', () => {
  const codeOf = async (error: Error) => {
    const caught = await orUnavailable(Promise.reject(error)).catch((one: unknown) => one)
    if (!(caught instanceof Unavailable)) return undefined
    assert.equal(caught.message, error.message)
    assert.equal(caught.cause, error)
    return caught.errorCode
  }

  it('has a code for what a client may try again, and for what it should not', async () => {
    assert.equal(await codeOf(new NotLeaderError('no node leads')), 7)
    assert.equal(await codeOf(new StorageError('ENOSPC', '/log', 'write')), 56)
    assert.equal(await codeOf(new ForwardFailure('another cluster')), -1)
    assert.equal(await codeOf(new ForwardError('too-large', 'over the limit')), 42)
  })

  it('leaves answers and faults alone', async () => {
    assert.equal(await orUnavailable(Promise.resolve(3)), 3)
    assert.equal(await codeOf(new TypeError('a fault')), undefined)
    assert.equal(await codeOf(new ForwardError('malformed', 'a fault')), undefined)
  })
})
