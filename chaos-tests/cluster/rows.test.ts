import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { playRow } from './rows.ts'

describe('chaos-tests/cluster/rows', () => {
  it('a signal ends the runs that are under way, and no other begins', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'odradek-rows-'))
    const program = join(folder, 'waits.mjs')
    writeFileSync(program, "console.log('begun')\nsetInterval(() => {}, 1000)\n")
    const printed: string[] = []
    try {
      const sum = await playRow({
        runs: Array.from({ length: 4 }, () => ({ words: [], folder })),
        atOnce: 2,
        program,
        print: (line) => {
          printed.push(line)
          if (printed.length === 2) process.emit('SIGTERM', 'SIGTERM')
        },
      })
      assert.deepEqual(printed.toSorted(), ['run 1: begun', 'run 2: begun'])
      assert.equal(sum.failed, 2)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
