import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { UserError } from '../../base/errors.ts'
import { loadSettings, type SettingsSources } from './load.ts'
import { editDistance, nearestName } from './suggest.ts'

const testdata = (name: string) =>
  readFileSync(new URL(`../../../node/config/testdata/${name}`, import.meta.url), 'utf8')

const file = (text: string) => ({ path: 'a.properties', text })
const load = (text: string, more: SettingsSources = {}) =>
  loadSettings({ file: file(`node.id=1\n${text}`), ...more })

function refusal(text: string, more: SettingsSources = {}): string {
  try {
    load(text, more)
  } catch (error) {
    assert.ok(error instanceof UserError, String(error))
    return error.message
  }
  throw new Error('nothing was refused')
}

const WITH_CONTROLLER = 'listeners=PLAINTEXT://:9092,CONTROLLER://:9093'

describe('node/config/load', () => {
  it('loads the properties file that Kafka is shipped with', () => {
    const settings = loadSettings({ file: file(testdata('server.properties')) })
    assert.equal(settings.nodeId, 1)
    assert.ok(settings.isBroker && settings.isController)
    assert.deepEqual(settings.clientListeners, [{ name: 'PLAINTEXT', host: '', port: 9092 }])
    assert.deepEqual(settings.controllerListener, { name: 'CONTROLLER', host: '', port: 9093 })
    assert.deepEqual(settings.advertisedListeners, [
      { name: 'PLAINTEXT', host: 'localhost', port: 9092 },
    ])
    assert.deepEqual(settings.logDirectories, ['/tmp/kraft-combined-logs'])
    assert.deepEqual(settings.voters, [])
    assert.ok(settings.notes.some((note) => note.startsWith('num.network.threads is accepted')))
  })

  it('needs no more than a node id', () => {
    const settings = load('')
    assert.deepEqual(settings.clientListeners, [{ name: 'PLAINTEXT', host: '', port: 9092 }])
    assert.equal(settings.controllerListener, undefined)
    assert.deepEqual(settings.logDirectories, ['.odradek'])
    assert.equal(settings.metadataDirectory, '.odradek')
    assert.deepEqual(settings.httpAddress, { host: '127.0.0.1', port: 9644 })
    assert.equal(load('http.address=').httpAddress, undefined)
    assert.match(
      (() => {
        try {
          loadSettings({})
          return ''
        } catch (error) {
          return (error as Error).message
        }
      })(),
      /node.id is missing/,
    )
  })

  it('prefers flag, then ODRADEK_, then KAFKA_, then file, then profile', () => {
    const text = 'num.partitions=1'
    const environment = { KAFKA_NUM_PARTITIONS: '2', ODRADEK_NUM_PARTITIONS: '3' }
    const flags = { 'num.partitions': '4' }
    const count = (more: SettingsSources) => load(text, more).number('num.partitions')
    assert.equal(count({}), 1)
    assert.equal(count({ environment: { KAFKA_NUM_PARTITIONS: '2' } }), 2)
    assert.equal(count({ environment }), 3)
    assert.equal(count({ environment, flags }), 4)
    const delay = 'group.initial.rebalance.delay.ms'
    assert.equal(load('', { profile: 'dev' }).number(delay), 0)
    assert.equal(load(`${delay}=7`, { profile: 'dev' }).number(delay), 7)
    assert.equal(load('').number(delay), 3000)
    const voters = Array.from({ length: 5 }, (_, i) => `${i + 1}@node${i + 1}:9093`).join(',')
    const five = load(`${WITH_CONTROLLER}\ncontroller.quorum.voters=${voters}`, { profile: 'dev' })
    assert.equal(five.number('default.replication.factor'), 3)
  })

  it('takes no notice of variables that other programs use', () => {
    const environment = { KAFKA_HEAP_OPTS: '-Xmx1g', PATH: '/bin', KAFKA_LOG_RETENTION_MS: '5' }
    const settings = load('', { environment })
    assert.equal(settings.number('log.retention.ms'), 5)
    assert.ok(settings.notes.some((note) => note.includes('KAFKA_HEAP_OPTS')))
    assert.match(
      refusal('', { environment: { ODRADEK_NUM_PARTITION: '1' } }),
      /variable ODRADEK_NUM_PARTITION: there is no setting num.partition; did you mean num.partitions\?/,
    )
  })

  it('says where an unknown name stands, and which one may be meant', () => {
    assert.equal(
      refusal('log.retention.hour=1'),
      'line 2 of a.properties: there is no setting log.retention.hour; ' +
        'did you mean log.retention.hours?',
    )
    assert.equal(
      refusal('zzzzzzzzzzzzzzzzzzzzzzzz=1'),
      'line 2 of a.properties: there is no setting zzzzzzzzzzzzzzzzzzzzzzzz',
    )
    assert.match(
      refusal('', { flags: { 'node.ids': '1' } }),
      /^--set node.ids: there is no setting/,
    )
  })

  it('says what to write instead of a bad value', () => {
    assert.equal(
      refusal('num.partitions=0'),
      'line 2 of a.properties: num.partitions can not be 0: ' +
        '1 is the least; num.partitions takes [1,...]',
    )
    assert.match(refusal('log.retention.ms=soon'), /it is no number of type LONG/)
    assert.match(refusal('flush.policy=never'), /takes \[group, interval, none\]/)
    assert.match(
      refusal('process.roles=broker'),
      /controller\.quorum\.voters is missing: a node that is no controller has to know them/,
    )
    for (const role of ['process.roles=broker', 'process.roles=broker,controller']) {
      const text = `${role}\ncontroller.quorum.voters=1@a:9093,2@b:9093\nlisteners=PLAINTEXT://:9092`
      assert.match(refusal(text), /listeners has none for other nodes: add CONTROLLER:\/\/:9093/)
    }
    assert.match(
      refusal('process.roles=broker,zookeeper'),
      /write one of these: broker, controller/,
    )
    assert.match(refusal('follower.replication.throttled.rate=1'), /only be changed while/)
  })

  it('checks listeners against each other', () => {
    const cases: [text: string, message: RegExp][] = [
      ['listeners=PLAINTEXT:9092', /'PLAINTEXT:9092' is not a listener; write for example/],
      ['listeners=PLAINTEXT://:70000', /is not a listener/],
      ['listeners=A://:1', /add A:PLAINTEXT to listener.security.protocol.map/],
      ['listeners=SSL://:1', /asks for SSL, which this release does not have/],
      ['listeners=PLAINTEXT://:1,CONTROLLER://:1', /both want port 1/],
      ['listeners=PLAINTEXT://:1,PLAINTEXT://:2', /a name of its own/],
      ['listeners=CONTROLLER://:1', /has none for clients/],
      ['advertised.listeners=PLAINTEXT://0.0.0.0:1', /tells clients to connect to 0.0.0.0/],
      ['advertised.listeners=OTHER://a:1', /names OTHER, which is not in listeners/],
      ['controller.quorum.voters=1@a', /'1@a' is not a voter/],
      ['controller.quorum.voters=2@a:1', /does not name node 1/],
      ['controller.quorum.voters=1@a:1,1@b:1', /an id of its own/],
      ['broker.id=2\nnode.id=1', /leave broker.id out/],
      ['broker.heartbeat.interval.ms=5000', /less than broker.session.timeout.ms/],
    ]
    for (const [text, message] of cases) assert.match(refusal(text), message, text)
  })

  it('reads listeners of IPv6, names in any case, and named protocols', () => {
    const settings = load(
      'listeners=internal://[::1]:1,EXTERNAL://b.example:0\n' +
        'listener.security.protocol.map=INTERNAL:PLAINTEXT,external:plaintext',
    )
    assert.deepEqual(settings.clientListeners, [
      { name: 'INTERNAL', host: '::1', port: 1 },
      { name: 'EXTERNAL', host: 'b.example', port: 0 },
    ])
    assert.deepEqual(load(`${WITH_CONTROLLER}\ncontroller.quorum.voters=1@a:1,2@[::1]:2`).voters, [
      { id: 1, host: 'a', port: 1 },
      { id: 2, host: '::1', port: 2 },
    ])
  })

  it('passes settings of plugins and of single listeners', () => {
    const settings = load('rsm.config.bucket=x\nlistener.name.plaintext.ssl.key.password=secret')
    assert.ok(settings.notes.some((note) => note.startsWith('rsm.config.bucket is for a plugin')))
  })

  it('puts dynamic values above static ones', () => {
    const settings = load('log.retention.ms=1')
    const changed = settings.withDynamic(
      new Map([['log.retention.ms', '2']]),
      new Map([['log.retention.ms', '3']]),
    )
    assert.equal(settings.number('log.retention.ms'), 1)
    assert.equal(
      settings
        .withDynamic(new Map([['log.retention.ms', '2']]), new Map())
        .number('log.retention.ms'),
      2,
    )
    assert.equal(changed.number('log.retention.ms'), 3)
    assert.ok(changed.isSet('log.retention.ms') && !changed.isSet('log.roll.ms'))
  })

  it('measures how far names are apart', () => {
    assert.equal(editDistance('', 'abc'), 3)
    assert.equal(editDistance('kitten', 'sitting'), 3)
    assert.equal(nearestName('nod.id', ['node.id', 'broker.id']), 'node.id')
    assert.equal(nearestName('completely.else', ['node.id']), undefined)
  })
})
