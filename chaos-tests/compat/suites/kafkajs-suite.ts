/* kafkajs: jest; three brokers at the ports that its test helpers name, node ids 0, 1 and 2. */
import { join } from 'node:path'
import { plain, type Suite, type TestOutcome } from './suite.ts'

interface JestReport {
  testResults: {
    name: string
    message: string
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[]
  }[]
}

/** Those whose tests speak with brokers. */
const FOLDERS = 'src/(admin|broker|cluster|consumer|network|producer)/'

export const kafkajsSuite: Suite = {
  name: 'kafkajs',
  ports: [9092, 9095, 9098],
  firstNodeId: 0,
  properties: {
    'num.partitions': '2',
    'default.replication.factor': '2',
    'min.insync.replicas': '1',
  },
  limitMs: 20 * 60_000,
  notHere: [
    { reason: 'TLS and SASL listeners', match: /:909[34679]\b|:9100\b|SASL|SSL connections/ },
    { reason: 'ACLs', match: /[aA]cls? / },
    {
      reason: 'transactions',
      match: /transaction|Transactional Id|Txn|control batch|InitProducerId/i,
    },
    {
      reason: 'versions that Kafka 4.0 removed (KIP-896)',
      match: /ListOffsets v0 request|max timestamp difference/,
    },
    { reason: 'a script that needs Docker', match: /addPartitions\.sh/ },
  ],
  command({ checkout, outDirectory, filter }) {
    const reportFile = join(outDirectory, 'jest.json')
    const jest = ['--ci', '--maxWorkers=2', '--no-watchman', '--forceExit', '--json']
    return {
      command: process.execPath,
      commandArguments: [
        join(checkout, 'node_modules/jest/bin/jest.js'),
        ...jest,
        `--outputFile=${reportFile}`,
        `--testPathPattern=${filter ?? FOLDERS}`,
        // Each of their tests waits for a SASL listener.
        '--testPathIgnorePatterns=Acls.spec',
      ],
      cwd: checkout,
      environment: { NODE_ENV: 'test', KAFKA_VERSION: '2.4', KAFKAJS_DEBUG_PROTOCOL_BUFFERS: '1' },
      reportFile,
    }
  },
  read(report) {
    const { testResults } = JSON.parse(report) as JestReport
    return testResults.flatMap(({ name, message, assertionResults }): TestOutcome[] => {
      const file = name.slice(name.lastIndexOf('/src/') + 1)
      if (assertionResults.length === 0) {
        return [{ name: file, state: 'failed', message: plain(message) }]
      }
      return assertionResults.map((result) => ({
        name: `${file} > ${result.fullName}`,
        state: stateOf(result.status),
        message: plain(result.failureMessages.join('\n')),
      }))
    })
  },
}

function stateOf(status: string): TestOutcome['state'] {
  if (status === 'passed' || status === 'failed') return status
  return 'skipped'
}
