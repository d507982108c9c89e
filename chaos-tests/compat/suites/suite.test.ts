import assert from 'node:assert/strict'
import { kafkajsSuite } from './kafkajs-suite.ts'
import { librdkafkaSuite } from './librdkafka-suite.ts'
import { sortOutcomes } from './run-suite.ts'
import { readJunit } from './suite.ts'

describe('the reports of suites', () => {
  it('reads the form of JUnit', () => {
    const report = `<testsuite><testcase classname="a" name="one" time="1"/>
      <testcase classname="a" name="two &lt;x&gt;"><failure message="not &quot;3&quot;">at</failure></testcase>
      <testcase name="three"><skipped message="no"/></testcase></testsuite>`
    assert.deepEqual(
      readJunit(report).map(({ name, state }) => [name, state]),
      [
        ['a > one', 'passed'],
        ['a > two <x>', 'failed'],
        ['three', 'skipped'],
      ],
    )
    assert.match(readJunit(report)[1]!.message, /not "3"/)
  })

  it('reads that of librdkafka, in which what still ran at the end has failed', () => {
    const report = `{ "tests": {"0001_a": {"name": "0001_a", "state": "PASSED", "extra": "", "report": []},
      "0002_b": {"state": "RUNNING", "extra": ""}, "0003_c": {"state": "DNS", "extra": ""}, }, "duration": 1 }`
    assert.deepEqual(
      librdkafkaSuite.read(report).map(({ name, state }) => `${name} ${state}`),
      ['0001_a passed', '0002_b failed', '0003_c skipped'],
    )
  })

  it('tells what failed from what is not here', () => {
    const outcomes = [
      { name: 'a', state: 'failed', message: 'connect ECONNREFUSED 127.0.0.1:9094' },
      { name: 'b', state: 'failed', message: 'expected 1' },
      { name: 'c', state: 'passed', message: '' },
    ] as const
    const { failed, notHere, passed } = sortOutcomes(kafkajsSuite, outcomes)
    assert.deepEqual([failed.map(({ name }) => name), passed], [['b'], 1])
    assert.deepEqual([...notHere], [['TLS and SASL listeners', 1]])
  })
})
