/**
 * Somebody who makes, grows, changes, deletes and looks at topics of his own, one call at a time.
 * Each topic name is used by one client only, so his own calls and their answers are a history that
 * can be checked.
 */
import { createTopics } from '../../kafka/api/19-create-topics.ts'
import { deleteTopics } from '../../kafka/api/20-delete-topics.ts'
import { createPartitions } from '../../kafka/api/37-create-partitions.ts'
import { incrementalAlterConfigs } from '../../kafka/api/44-incremental-alter-configs.ts'
import { Cluster, check, KafkaError } from '../../kafka/client/cluster.ts'
import { ZERO_UUID } from '../../kafka/wire/schema.ts'
import type { Admin } from '../checkers/history.ts'
import type { ClientContext } from './client-context.ts'

export interface AdminSpec {
  readonly kind: 'admin'
  readonly prefix: string
  readonly pauseMs: number
  readonly timeoutMs: number
  /** How far the image of a node that nothing troubles may lag behind. */
  readonly staleMs: number
}

const NAMES = 4
const ADMIN_TIMEOUT_MS = 3000

export async function runAdmin(context: ClientContext, spec: AdminSpec): Promise<void> {
  const { random, recorder, name: client } = context
  const cluster = new Cluster(context.world, {
    bootstrap: context.bootstrap,
    clientId: client,
    timeoutMs: spec.timeoutMs,
  })
  while (!context.isOver) {
    const entry = recorder.begin<Admin>({
      op: 'admin',
      client,
      action: random.pick(['create', 'create', 'grow', 'configure', 'delete', 'read', 'read']),
      topic: `${spec.prefix}-${client}-${random.below(NAMES)}`,
      // A node that is cut off shows what it knew, as a broker does, however long ago that was.
      staleMs: spec.staleMs > 0 && !context.isCalm ? recorder.nowMs : spec.staleMs,
      startMs: recorder.nowMs,
      outcome: 'unknown',
    })
    try {
      await act(cluster, context, entry)
      entry.outcome = 'ok'
      entry.endMs = recorder.nowMs
    } catch (error) {
      recorder.failed(entry, error)
      if (error instanceof KafkaError && isRefusal(error.code)) entry.outcome = 'refused'
      await context.pause(100)
    }
    await context.pause(random.below(spec.pauseMs + 1))
  }
  await cluster.close()
}

async function act(cluster: Cluster, context: ClientContext, entry: Admin): Promise<void> {
  const { topic: name } = entry
  const { random } = context
  const timeoutMs = ADMIN_TIMEOUT_MS
  switch (entry.action) {
    case 'create': {
      entry.partitions = 1 + random.below(3)
      const wanted = { name, numPartitions: entry.partitions, replicationFactor: -1 }
      const topics = [{ ...wanted, assignments: [], configs: [] }]
      const answer = await cluster.request(undefined, createTopics, {
        topics,
        timeoutMs,
        validateOnly: false,
      })
      return check(answer.topics[0]?.errorCode ?? -1, name)
    }
    case 'grow': {
      entry.partitions = 2 + random.below(4)
      const topics = [{ name, count: entry.partitions, assignments: null }]
      const request = { topics, timeoutMs, validateOnly: false }
      const answer = await cluster.request(undefined, createPartitions, request)
      return check(answer.results[0]?.errorCode ?? -1, name)
    }
    case 'configure':
      entry.config = String(1000 * (1 + random.below(1000)))
      return configure(cluster, name, entry.config)
    case 'delete': {
      const topics = [{ name, topicId: ZERO_UUID }]
      const request = { topics, topicNames: [name], timeoutMs }
      const answer = await cluster.request(undefined, deleteTopics, request)
      return check(answer.responses[0]?.errorCode ?? -1, name)
    }
    case 'read': {
      const found = (await cluster.metadata([name])).topics[0]
      if (found?.errorCode !== 3 && found?.errorCode !== 5) check(found?.errorCode ?? -1, name)
      entry.partitions = found?.errorCode === 3 ? 0 : (found?.partitions.length ?? 0)
    }
  }
}

async function configure(cluster: Cluster, name: string, value: string): Promise<void> {
  const configs = [{ name: 'flush.ms', configOperation: 0, value }]
  const answer = await cluster.request(undefined, incrementalAlterConfigs, {
    resources: [{ resourceType: 2, resourceName: name, configs }],
    validateOnly: false,
  })
  check(answer.responses[0]?.errorCode ?? -1, name)
}

/** The controller looked at the topic and said no: nothing has changed. */
function isRefusal(code: number): boolean {
  return [3, 36, 37].includes(code)
}
