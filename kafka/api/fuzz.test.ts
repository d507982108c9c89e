/** A short run of the fuzzer; fuzz-run.ts is the long one. */
import assert from 'node:assert/strict'
import { SimRandom } from '../../base/sim/random.ts'
import { definitions } from './definitions.ts'
import { checkRequest, Fuzzer } from './fuzz.ts'

const COUNT = 6_000

describe('fuzzed requests', () => {
  it('are accepted or refused, alike by all decoders', () => {
    const { SEED: seed = String(Math.floor(Math.random() * 2 ** 32)) } = process.env
    const fuzzer = new Fuzzer(new SimRandom(seed), definitions)
    let accepted = 0
    for (let i = 0; i < COUNT; i++) {
      const request = fuzzer.next()
      try {
        if (checkRequest(request)) accepted++
      } catch (error) {
        const { api, version, frame } = request
        throw new Error(`SEED=${seed} ${api.name} v${version} ${frame.toString('hex')}`, {
          cause: error,
        })
      }
    }
    assert.ok(accepted > COUNT / 10, `SEED=${seed}: ${accepted} accepted`)
    assert.ok(accepted < (COUNT * 9) / 10, `SEED=${seed}: ${accepted} accepted`)
  }).timeout(30_000)
})
