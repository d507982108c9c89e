/** The examples of docs/embedding.md are programs, and work as they are shown. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url))
const MOCHA = join(REPOSITORY, 'node_modules/mocha/bin/mocha.js')
const EXAMPLES = ['orders.mocha.mjs', 'orders.test.mjs']

function run(...words: readonly string[]): void {
  // A runner of tests inside one tells the other of itself by its environment.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const options = { cwd: REPOSITORY, encoding: 'utf8', env } as const
  const { status, stdout, stderr } = spawnSync(process.execPath, words, options)
  assert.equal(status, 0, stdout + stderr)
}

describe('docs/examples', function () {
  this.timeout(60_000)

  it('work with mocha', () => run(MOCHA, '--no-config', '--exit', 'docs/examples/orders.mocha.mjs'))

  it('work with node:test', () => run('--test', 'docs/examples/orders.test.mjs'))

  it('stand in docs/embedding.md as they are', () => {
    const page = readFileSync(join(REPOSITORY, 'docs/embedding.md'), 'utf8')
    for (const name of EXAMPLES) {
      const text = readFileSync(join(REPOSITORY, 'docs/examples', name), 'utf8')
      assert.ok(page.includes(`\`\`\`js\n${text}\`\`\``), `${name} differs`)
    }
  })
})
