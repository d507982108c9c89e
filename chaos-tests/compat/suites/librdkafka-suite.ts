/* librdkafka: its `tests/test-runner`, in quick mode, without the tests that need no broker. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { toolDirectory } from './kafka-tools.ts'
import type { Suite, TestOutcome } from './suite.ts'

interface Report {
  tests: Record<string, { state: string; extra: string; duration: number }>
}

/** What is not run at all; a test that fails ends some others with it. */
const LEFT_OUT = ['0081', '0098', '0103', '0115', '0119', '0129']

export const librdkafkaSuite: Suite = {
  name: 'librdkafka',
  properties: { 'num.partitions': '4', 'min.insync.replicas': '1' },
  needsKafkaLibs: true,
  limitMs: 12 * 60_000,
  notHere: [
    { reason: 'transactions', match: /^(0098|0103|0129)_/ },
    { reason: 'ACLs', match: /^(0081_admin|0109|0115|0119)/ },
    { reason: 'share groups', match: /_share_/ },
    { reason: 'a build of librdkafka with OpenSSL', match: /^(0064_|0097_)/ },
  ],
  async command({ checkout, bootstrap, outDirectory, kafkaLibs, filter }) {
    const cwd = join(checkout, 'tests')
    const configuration = join(outDirectory, 'test.conf')
    const reportFile = join(outDirectory, 'report.json')
    await writeFile(configuration, `metadata.broker.list=${bootstrap.join(',')}\n`)
    return {
      command: join(cwd, 'test-runner'),
      commandArguments: ['-Q', '-p4', '-L'],
      cwd,
      environment: {
        RDKAFKA_TEST_CONF: configuration,
        LD_LIBRARY_PATH: `${join(checkout, 'src')}:${join(checkout, 'src-cpp')}`,
        // From 4.2 on it asks for share groups.
        TEST_KAFKA_VERSION: '4.1.0',
        TEST_CONSUMER_GROUP_PROTOCOL: 'classic',
        TEST_REPORT: reportFile,
        TEST_LEVEL: '1',
        TESTS_SKIP: LEFT_OUT.join(','),
        KAFKA_PATH: await toolDirectory(outDirectory, kafkaLibs),
        BROKERS: bootstrap.join(','),
        ...(filter === undefined ? {} : { TESTS: filter }),
      },
      reportFile,
    }
  },
  read(report) {
    // Its author's printer leaves a comma where there is nothing more.
    const { tests } = JSON.parse(report.replaceAll(/,(\s*[}\]])/g, '$1')) as Report
    return Object.entries(tests).map(([name, { state, extra }]): TestOutcome => {
      if (state === 'PASSED') return { name, state: 'passed', message: '' }
      const isFailed = state === 'FAILED' || state === 'RUNNING'
      return { name, state: isFailed ? 'failed' : 'skipped', message: extra }
    })
  },
}
