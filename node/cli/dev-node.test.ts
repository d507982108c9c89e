import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expectNodes } from './dev-node.ts'

describe('node/cli/dev-node', () => {
  let root: string
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'odradek-'))
  })
  afterEach(() => rmSync(root, { recursive: true }))

  const holds = (nodes: readonly number[]) => {
    for (const id of nodes) writeFileSync(join(root, `node-${id}.properties`), '')
  }
  const started = (id: number) => {
    mkdirSync(join(root, String(id)))
    writeFileSync(join(root, String(id), 'meta.properties'), '')
  }

  it('does not wait for a majority that --nodes left out', () => {
    holds([1, 2, 3])
    started(1)
    expectNodes(root, 3)
    assert.throws(() => expectNodes(root, 1), /has a cluster of 3 nodes: run it with --nodes 3, or/)
    assert.throws(() => expectNodes(root, 5), /has a cluster of 3 nodes/)
  })

  it('takes any number of nodes where none has started yet', () => {
    expectNodes(join(root, 'not-there'), 1)
    expectNodes(root, 1)
    holds([1, 2, 3, 4, 5])
    expectNodes(root, 3)
  })
})
