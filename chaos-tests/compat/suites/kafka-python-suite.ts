/* kafka-python: the integration tests of pytest, against brokers that run already. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { toolDirectory } from './kafka-tools.ts'
import { readJunit, type Suite } from './suite.ts'

/** The other two start brokers of their own. */
const FILES = ['admin', 'consumer', 'producer']
  .map((name) => `test/integration/test_${name}_integration.py`)
  .join(' ')

export const kafkaPythonSuite: Suite = {
  name: 'kafka-python',
  firstNodeId: 0,
  properties: { 'num.partitions': '4' },
  limitMs: 12 * 60_000,
  notHere: [
    { reason: 'transactions', match: /transaction/i },
    { reason: 'ACLs', match: /_acls/ },
    { reason: 'AlterReplicaLogDirs: a node has one directory', match: /alter_replica_log_dirs/ },
    {
      reason: 'brokers that the suite starts itself (SASL, TLS)',
      match: /_(sasl|ssl)_integration/,
    },
  ],
  async command({ checkout, bootstrap, outDirectory, kafkaLibs, filter }) {
    const reportFile = join(outDirectory, 'pytest.xml')
    const own = join(checkout, '.venv/bin/python')
    const pytest = ['-q', '-p', 'no:cacheprovider', '--tb=short', '--timeout=150']
    return {
      command: existsSync(own) ? own : 'python3',
      commandArguments: [
        '-m',
        'pytest',
        ...pytest,
        '--timeout-method=signal',
        `--junitxml=${reportFile}`,
        ...(filter ?? FILES).split(' '),
      ],
      cwd: checkout,
      environment: {
        KAFKA_URI: `kafka://${bootstrap[0]}`,
        KAFKA_VERSION: '4.3.0',
        // It only looks whether the directory is there.
        KAFKA_ROOT: await toolDirectory(outDirectory, kafkaLibs),
      },
      reportFile,
    }
  },
  read: readJunit,
}
