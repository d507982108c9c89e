/* Settings of topics, brokers, groups and loggers: described, and altered in both ways. */
import { apiVersions } from '../../../kafka/api/18-api-versions.ts'
import { describeConfigs } from '../../../kafka/api/32-describe-configs.ts'
import { alterConfigs } from '../../../kafka/api/33-alter-configs.ts'
import { describeLogDirs } from '../../../kafka/api/35-describe-log-dirs.ts'
import { incrementalAlterConfigs } from '../../../kafka/api/44-incremental-alter-configs.ts'
import { describeCluster } from '../../../kafka/api/60-describe-cluster.ts'
import { listConfigResources } from '../../../kafka/api/74-list-config-resources.ts'
import { type Side, versionsOf } from './side.ts'

const [TOPIC, BROKER, LOGGER, METRICS, GROUP] = [2, 4, 8, 16, 32]
const [SET, DELETE, APPEND, SUBTRACT] = [0, 1, 2, 3]

type Setting = readonly [name: string, value: string | null, operation?: number]
type Changed = readonly [type: number, resource: string, ...settings: Setting[]]

/** Changes by label; `v` begins what only this version may touch. */
function changes(topic: string): Record<string, Changed[]> {
  const on = (...settings: Setting[]): Changed[] => [[TOPIC, topic, ...settings]]
  const ofBroker = (...settings: Setting[]): Changed[] => [[BROKER, '1', ...settings]]
  return {
    'one of a topic': on(['retention.ms', '5000']),
    'several of a topic': on(['retention.bytes', '7'], ['cleanup.policy', 'compact']),
    nothing: on(),
    'no resources': [],
    'unknown name': on(['no.such', '1']),
    'empty name': on(['', '1']),
    'wrong type': on(['retention.ms', 'soon']),
    'out of range': on(['max.message.bytes', '-1']),
    'a bad choice': on(['cleanup.policy', 'keep']),
    'null value': on(['retention.ms', null]),
    'empty value': on(['retention.ms', '']),
    'at odds': on(['max.compaction.lag.ms', '5'], ['min.compaction.lag.ms', '10']),
    'a name twice': on(['retention.ms', '1'], ['retention.ms', '2']),
    deleted: on(['retention.bytes', null, DELETE]),
    'deleted though never set': on(['segment.ms', null, DELETE]),
    appended: on(['cleanup.policy', 'delete', APPEND]),
    subtracted: on(['cleanup.policy', 'compact', SUBTRACT]),
    'appended to what is no list': on(['retention.ms', '1', APPEND]),
    'an unknown operation': on(['retention.ms', '1', 9]),
    'a resource twice': [...on(['retention.ms', '1']), ...on(['retention.ms', '2'])],
    'an unknown topic': [[TOPIC, 'nope', ['retention.ms', '1']]],
    'no topic': [[TOPIC, '', ['retention.ms', '1']]],
    'an unknown type': [[77, 'x', ['a', '1']]],
    'no type': [[0, 'x', ['a', '1']]],
    'one of a broker': ofBroker(['log.cleaner.backoff.ms', '15001']),
    'unknown of a broker': ofBroker(['no.such', '1']),
    'of a topic, of a broker': ofBroker(['cleanup.policy', 'compact']),
    'read-only of a broker': ofBroker(['log.dirs', '/tmp/x']),
    'of the cluster alone, of a broker': ofBroker(['log.retention.ms', '900000']),
    'wrong type of a broker': ofBroker(['log.retention.ms', 'soon']),
    'an unknown broker': [[BROKER, '9', ['log.retention.ms', '1']]],
    'no number of a broker': [[BROKER, 'x', ['log.retention.ms', '1']]],
    'of all brokers': [[BROKER, '', ['log.cleaner.threads', '2']]],
    'unknown of all brokers': [[BROKER, '', ['no.such', '1']]],
    'read-only of all brokers': [[BROKER, '', ['process.roles', 'broker']]],
    'deleted of all brokers': [[BROKER, '', ['log.cleaner.threads', null, DELETE]]],
    'one of a group': [[GROUP, 'g', ['consumer.session.timeout.ms', '46000']]],
    'unknown of a group': [[GROUP, 'g', ['no.such', '1']]],
    'out of range of a group': [[GROUP, 'g', ['consumer.session.timeout.ms', '1']]],
    'no group': [[GROUP, '', ['consumer.session.timeout.ms', '46000']]],
    'a logger': [[LOGGER, '1', ['kafka.server', 'INFO']]],
    'a logger of another broker': [[LOGGER, '9', ['kafka.server', 'INFO']]],
    'client metrics': [[METRICS, 'm', ['interval.ms', '1000']]],
    'unknown of client metrics': [[METRICS, 'm', ['no.such', '1']]],
  }
}

export async function alteringConfigs(side: Side): Promise<void> {
  for (const at of versionsOf(incrementalAlterConfigs)) {
    const topic = `v${at[1]}-incremental`
    await side.makeTopics([{ name: topic }])
    for (const [label, asked] of Object.entries(changes(topic))) {
      const resources = asked.map(([resourceType, resourceName, ...settings]) => ({
        resourceType,
        resourceName,
        configs: settings.map(([name, value, configOperation = SET]) => ({
          name,
          value,
          configOperation,
        })),
      }))
      await side.ask(`${label}, to validate`, at, { resources, validateOnly: true })
      await side.ask(label, at, { resources, validateOnly: false })
    }
    await overridden(side, `after incremental v${at[1]}`, topic)
  }
  for (const at of versionsOf(alterConfigs)) {
    const topic = `v${at[1]}-whole`
    await side.makeTopics([{ name: topic }])
    for (const [label, asked] of Object.entries(changes(topic))) {
      const resources = asked.map(([resourceType, resourceName, ...settings]) => ({
        resourceType,
        resourceName,
        configs: settings.map(([name, value]) => ({ name, value })),
      }))
      await side.ask(`${label}, to validate`, at, { resources, validateOnly: true })
      await side.ask(label, at, { resources, validateOnly: false })
    }
    await overridden(side, `after whole v${at[1]}`, topic)
  }
  for (const at of versionsOf(listConfigResources)) {
    for (const types of [
      [],
      [TOPIC],
      [BROKER],
      [GROUP],
      [METRICS],
      [LOGGER],
      [77],
      [BROKER, GROUP],
    ]) {
      await side.ask(`of ${types.join(' ')}`, at, { resourceTypes: types })
    }
  }
}

/** What came of the changes. */
async function overridden(side: Side, label: string, topic: string): Promise<void> {
  const resource = (resourceType: number, resourceName: string) => ({
    resourceType,
    resourceName,
    configurationKeys: null,
  })
  const resources = [
    resource(TOPIC, topic),
    resource(BROKER, ''),
    resource(BROKER, '1'),
    resource(GROUP, 'g'),
    resource(METRICS, 'm'),
  ]
  await side.ask(label, [describeConfigs, 4], { resources, includeSynonyms: true })
}

export async function describingConfigs(side: Side): Promise<void> {
  await side.makeTopics([{ name: 'conf', configs: { 'retention.ms': '1234567890' } }])
  for (const at of versionsOf(describeConfigs)) {
    const resources: Record<string, [type: number, name: string]> = {
      topic: [TOPIC, 'conf'],
      'unknown topic': [TOPIC, 'nope'],
      'bad name': [TOPIC, 'a b'],
      'no topic': [TOPIC, ''],
      broker: [BROKER, '1'],
      'other broker': [BROKER, '9'],
      'no number': [BROKER, 'x'],
      'all brokers': [BROKER, ''],
      'other logger': [LOGGER, '9'],
      group: [GROUP, 'any'],
      'no group': [GROUP, ''],
      metrics: [METRICS, 'any'],
      'no metrics': [METRICS, ''],
      'unknown type': [77, 'x'],
      'no type': [0, 'x'],
    }
    const extras =
      at[1] >= 3
        ? { includeSynonyms: true, includeDocumentation: true }
        : { includeSynonyms: at[1] >= 1 }
    for (const [label, [resourceType, resourceName]] of Object.entries(resources)) {
      for (const [which, configurationKeys] of [
        ['all', null],
        ['none', []],
        ['some', ['retention.ms', 'no.such', 'log.retention.ms']],
      ] as const) {
        const one = { resourceType, resourceName, configurationKeys }
        const asked = { resources: [one], ...extras }
        await side.ask(`${label}, ${which}`, at, asked)
      }
    }
    const twice = { resourceType: TOPIC, resourceName: 'conf', configurationKeys: ['retention.ms'] }
    await side.ask('twice', at, { resources: [twice, twice], ...extras })
    await side.ask('nothing', at, { resources: [], ...extras })
  }
}

export async function describingCluster(side: Side): Promise<void> {
  for (const at of versionsOf(apiVersions)) {
    await side.ask('well', at, { clientSoftwareName: 'a', clientSoftwareVersion: '1' })
    await side.ask('bad name', at, { clientSoftwareName: 'a b', clientSoftwareVersion: '1' })
    await side.ask('no name', at, { clientSoftwareName: '', clientSoftwareVersion: '' })
  }
  for (const at of versionsOf(describeCluster)) {
    const plain = { includeClusterAuthorizedOperations: false }
    await side.ask('well', at, plain)
    await side.ask('with operations', at, { includeClusterAuthorizedOperations: true })
    await side.ask('of controllers', at, { ...plain, endpointType: 2 })
    await side.ask('of an unknown kind', at, { ...plain, endpointType: 7 })
    await side.ask('with fenced ones', at, { ...plain, includeFencedBrokers: true })
  }
  await side.makeTopics([{ name: 'dirs', partitions: 2 }])
  for (const at of versionsOf(describeLogDirs)) {
    const of = (topic: string, ...partitions: number[]) => ({ topics: [{ topic, partitions }] })
    await side.ask('some', at, of('dirs', 0, 1))
    await side.ask('unknown', at, of('nope', 0))
    await side.ask('unknown partition', at, of('dirs', 7))
    await side.ask('no partitions', at, of('dirs'))
    await side.ask('none', at, { topics: [] })
  }
}
