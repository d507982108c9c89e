import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** Where each client's checks are written. */
const DRIVERS: Readonly<Record<string, readonly string[]>> = {
  'Java clients': ['java/ClientChecks.java'],
  kafkajs: ['kafkajs.ts', 'driver.ts'],
  platformatic: ['node22/driver.mjs'],
  'kafka-python': ['python/kafka_python_driver.py', 'python/common.py'],
  'confluent-kafka': ['python/confluent_driver.py', 'python/common.py'],
  aiokafka: ['python/aiokafka_driver.py', 'python/common.py'],
  'franz-go': ['go/checks.go', 'go/main.go'],
  kcat: ['kcat.ts', 'driver.ts'],
}

const read = (path: string) => readFileSync(`${ROOT}${path}`, 'utf8')
const cells = (line: string) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())

/** The table of docs/clients.md whose first cell is 'Check'. */
function matrix(): { clients: readonly string[]; rows: readonly (readonly string[])[] } {
  const lines = read('docs/clients.md').split('\n')
  const head = lines.findIndex((line) => line.startsWith('| Check |'))
  assert.ok(head !== -1, 'docs/clients.md has the matrix')
  const end = lines.findIndex((line, at) => at > head && !line.startsWith('|'))
  return { clients: cells(lines[head]!).slice(1), rows: lines.slice(head + 2, end).map(cells) }
}

describe('the matrix of docs/clients.md', () => {
  it('says of each client the checks that its driver has', () => {
    const { clients, rows } = matrix()
    assert.deepEqual(clients, Object.keys(DRIVERS))
    assert.ok(rows.length >= 12)
    for (const [client, files] of Object.entries(DRIVERS)) {
      const source = files.map((file) => read(`chaos-tests/compat/${file}`)).join('\n')
      for (const row of rows) {
        const isSaid: boolean = row[1 + clients.indexOf(client)] === 'yes'
        const hasCheck = ["'", '"', '`'].some((quote) => source.includes(`${quote}${row[0]}`))
        assert.equal(hasCheck, isSaid, `${client}: ${row[0]}`)
      }
    }
  })
})
