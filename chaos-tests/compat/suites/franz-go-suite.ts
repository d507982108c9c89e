/* franz-go: a test program of one of its packages (`go test -c`), kgo or kadm, that runs by itself. */
import { join } from 'node:path'
import { plain, type Suite, type TestOutcome } from './suite.ts'

const LINE = /^\s*--- (PASS|FAIL|SKIP): (\S+) \(/

export const franzGoSuite: Suite = {
  name: 'franz-go',
  properties: { 'num.partitions': '4', 'min.insync.replicas': '1' },
  limitMs: 15 * 60_000,
  notHere: [
    { reason: 'transactions', match: /Txn|Transaction|ETL/ },
    { reason: 'share groups', match: /Share/ },
    { reason: 'the protocol of KIP-848', match: /848/ },
    { reason: 'SCRAM', match: /Scram|SCRAM/ },
  ],
  command({ checkout, bootstrap, filter }) {
    return {
      command: join(checkout, 'kgo.test'),
      // Those of transactions wait for ever.
      commandArguments: [
        '-test.v',
        '-test.timeout=14m',
        '-test.skip=Txn',
        `-test.run=${filter ?? '.'}`,
      ],
      cwd: checkout,
      environment: {
        KGO_SEEDS: bootstrap.join(','),
        KGO_TEST_RF: `${Math.min(3, bootstrap.length)}`,
        KGO_TEST_RECORDS: '20000',
      },
    }
  },
  read(report) {
    const lines = report.split('\n')
    return lines.flatMap((line, at): TestOutcome[] => {
      const [, word, name] = LINE.exec(line) ?? []
      if (word === undefined || name === undefined) return []
      const state = word === 'PASS' ? 'passed' : word === 'FAIL' ? 'failed' : 'skipped'
      return [{ name, state, message: plain(lines.slice(at + 1, at + 4).join(' ')) }]
    })
  },
}
