import assert from 'node:assert/strict'
import { formatOf, yamlOf } from './output.ts'

describe('node/cli/output', () => {
  it('writes nested rows as YAML', () => {
    const rows = [{ name: 'a: b', partitions: [{ leader: 1 }, { leader: 2 }], none: [], nil: null }]
    assert.deepEqual(yamlOf(rows, ''), [
      '- name: "a: b"',
      '  partitions:',
      '    - leader: 1',
      '    - leader: 2',
      '  none: []',
      '  nil: null',
    ])
  })

  it('refuses an unknown format with the list of known ones', () => {
    assert.throws(() => formatOf('xml'), /text, wide, json, yaml, ndjson/)
  })
})
