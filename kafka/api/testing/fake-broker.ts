/**
 * For tests of handlers: a broker of which each test gives the parts it needs. Anything else that is
 * asked fails, so a handler can't ask more than the test expects.
 */
import type { Broker, DataPort, PartitionPort, TopicPort } from '../../broker.ts'
import type {
  AdminPort,
  BrokerDescription,
  ClusterPort,
  ConfigsPort,
  GroupsPort,
  PartitionDescription,
  ProducersPort,
  TopicDescription,
  TopicsPort,
} from '../../control.ts'
import type { Infer, Struct, Written } from '../../wire/schema.ts'
import type { Api, HandlerContext } from '../define.ts'
import { registry } from '../registry.ts'

/** An object that has `given`, and throws for whatever else is looked up. */
function only<T extends object>(kind: string, given: Partial<T> = {}): T {
  return new Proxy(given, {
    get(target, name) {
      if (name in target) return Reflect.get(target, name)
      throw new Error(`${kind}.${String(name)} was not expected`)
    },
  }) as T
}

export interface FakeParts {
  data?: Partial<DataPort>
  cluster?: Partial<ClusterPort>
  topics?: Partial<TopicsPort>
  configs?: Partial<ConfigsPort>
  groups?: Partial<GroupsPort>
  producers?: Partial<ProducersPort>
  admin?: Partial<AdminPort>
}

export function fakeBroker(parts: FakeParts): Broker {
  return {
    data: only('data', parts.data),
    cluster: only('cluster', parts.cluster),
    topics: only('topics', parts.topics),
    configs: only('configs', parts.configs),
    groups: only('groups', parts.groups),
    producers: only('producers', parts.producers),
    admin: only('admin', parts.admin),
  }
}

export const fakePartition = (given: Partial<PartitionPort>): PartitionPort =>
  only('partition', given)

/** Topics by name and id, each with `partitionCount` partitions, of which `hosted` are here. */
export function fakeData(
  topics: readonly { name: string; id: string; count: number; hosted?: PartitionPort[] }[],
): Partial<DataPort> {
  const ports: TopicPort[] = topics.map(({ name, id, count, hosted = [] }) => ({
    name,
    id,
    isInternal: false,
    partitionCount: count,
    partitions: hosted,
  }))
  return {
    topic: (name) => ports.find((topic) => topic.name === name),
    topicById: (id) => ports.find((topic) => topic.id === id),
  }
}

export function partition(index: number, given: Partial<PartitionDescription> = {}) {
  return {
    index,
    leaderId: 1,
    leaderEpoch: 0,
    replicas: [1],
    isr: [1],
    offlineReplicas: [],
    eligibleLeaderReplicas: [],
    lastKnownEligibleLeaderReplicas: [],
    ...given,
  }
}

/** The look-ups of a TopicsPort over these topics. */
export function fakeTopics(topics: readonly TopicDescription[]): Partial<TopicsPort> {
  return {
    names: () => topics.map(({ name }) => name).sort(),
    describe: (name) => topics.find((topic) => topic.name === name),
    describeById: (id) => topics.find((topic) => topic.id === id),
  }
}

export const BROKER_1: BrokerDescription = {
  nodeId: 1,
  host: '127.0.0.1',
  port: 39092,
  rack: null,
  isFenced: false,
}

export const CLUSTER: Partial<ClusterPort> = {
  clusterId: 'MkU3OEVBNTcwNTJENDM2Qg',
  controllerId: 1,
  brokers: () => [BROKER_1],
}

/**
 * Sends a request through the wire forms of `version`: it is encoded and decoded, handled, and the
 * answer encoded and decoded again, so an answer that this version can't say fails.
 */
export async function ask<Q extends Struct, S extends Struct>(
  api: Api<Q, S>,
  version: number,
  broker: Broker,
  request: Written<Q>,
): Promise<Infer<S>> {
  const context: HandlerContext = {
    clientId: 'test',
    clientHost: '127.0.0.1',
    listener: 'PLAINTEXT',
    principal: 'User:ANONYMOUS',
    apiKey: api.key,
    apiVersion: version,
    connectionId: 1,
    nowMs: () => 1_000,
    broker,
    apis: registry,
  }
  const codec = api.requestCodec(version)
  const answer = await api.handle!(context, codec.decode(codec.encode(request)))
  const answers = api.responseCodec(version)
  return answers.decode(answers.encode(answer))
}
