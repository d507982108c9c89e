import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { VERSION } from './version.ts'

describe('node/version', () => {
  it('is the one of package.json', () => {
    const url = new URL('../../package.json', import.meta.url)
    assert.equal(VERSION, JSON.parse(readFileSync(url, 'utf8')).version)
  })
})
