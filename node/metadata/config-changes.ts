/** AlterConfigs and IncrementalAlterConfigs: which resources there are, and the records of a change. */
import type { AlterConfigsRequest } from '../../kafka/api/33-alter-configs.ts'
import type { IncrementalAlterConfigsRequest } from '../../kafka/api/44-incremental-alter-configs.ts'
import {
  BROKER_ID_NOT_REGISTERED,
  INVALID_CONFIG,
  INVALID_REQUEST,
  UNKNOWN_TOPIC_OR_PARTITION,
} from '../../kafka/wire/errors.ts'
import {
  alterIncrementally,
  alterWhole,
  type Changes,
  isRefused,
  type Refused,
  type ResourceKind,
} from '../config/alter.ts'
import { ELR_FEATURE } from '../features.ts'
import { replay } from './apply.ts'
import { ClusterRules } from './cluster-rules.ts'
import type { View } from './decision.ts'
import { LEAST_REPLICAS } from './founding.ts'
import { type MetadataImage, overridesOf, RESOURCE } from './image.ts'
import { someRepairs } from './leadership.ts'
import type { MetadataRecord } from './records.ts'

export interface ConfigOutcome {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly resourceType: number
  readonly resourceName: string
}

interface Decided {
  readonly records: MetadataRecord[]
  readonly answer: { readonly responses: ConfigOutcome[] }
}

type Kind = { readonly kind: ResourceKind } | Refused

const KINDS: ReadonlyMap<number, ResourceKind> = new Map([
  [RESOURCE.topic, 'topic'],
  [RESOURCE.broker, 'broker'],
  [RESOURCE.group, 'group'],
  [RESOURCE.clientMetrics, 'clientMetrics'],
])

export function decideWholeConfigs(view: View, request: AlterConfigsRequest): Decided {
  const { image, settings } = view
  return decideAll(view, request.resources, request.validateOnly, (kind, resource) => {
    const current = overridesOf(image, resource.resourceType, resource.resourceName)
    return alterWhole(kind, current, [...resource.configs], settings)
  })
}

export function decideIncrementalConfigs(
  view: View,
  request: IncrementalAlterConfigsRequest,
): Decided {
  const { image, settings } = view
  return decideAll(view, request.resources, request.validateOnly, (kind, resource) => {
    const current = overridesOf(image, resource.resourceType, resource.resourceName)
    const changes = [...resource.configs].map(({ name, configOperation, value }) => ({
      name,
      operation: configOperation,
      value,
    }))
    return alterIncrementally(kind, current, changes, settings)
  })
}

function decideAll<R extends { readonly resourceType: number; readonly resourceName: string }>(
  view: View,
  resources: readonly R[],
  validateOnly: boolean,
  decide: (kind: ResourceKind, resource: R) => Changes | Refused,
): Decided {
  const { image } = view
  const counts = new Map<string, number>()
  const keyOf = ({ resourceType, resourceName }: R) => `${resourceType}/${resourceName}`
  for (const resource of resources) {
    counts.set(keyOf(resource), (counts.get(keyOf(resource)) ?? 0) + 1)
  }
  const records: MetadataRecord[] = []
  const responses: ConfigOutcome[] = []
  for (const resource of resources) {
    const { resourceType, resourceName } = resource
    const kind: Kind =
      counts.get(keyOf(resource))! > 1
        ? { error: INVALID_REQUEST, message: 'A resource is named more than once.' }
        : kindOf(image, resourceType, resourceName)
    const outcome = 'error' in kind ? kind : withoutFault(image, kind, decide(kind.kind, resource))
    const refused = isRefused(outcome) ? outcome : undefined
    responses.push({
      errorCode: refused?.error ?? 0,
      errorMessage: refused?.message ?? null,
      resourceType,
      resourceName,
    })
    if (isRefused(outcome)) continue
    for (const [name, value] of outcome) {
      records.push({ type: 'ConfigRecord', resourceType, resourceName, name, value })
    }
  }
  const answer = { responses }
  if (validateOnly) return { records: [], answer }
  return { records: [...records, ...consequences(view, records)], answer }
}

/** With ELRs the least ISR is the cluster's: no broker has one of its own, and it can't go. */
function withoutFault(
  image: MetadataImage,
  { kind }: { readonly kind: ResourceKind },
  changes: Changes | Refused,
): Changes | Refused {
  if (isRefused(changes) || !changes.has(LEAST_REPLICAS)) return changes
  if ((image.features.get(ELR_FEATURE) ?? 0) === 0) return changes
  const value = changes.get(LEAST_REPLICAS)
  if (kind === 'broker' && value !== null) {
    const message = `${LEAST_REPLICAS} is of the whole cluster while eligible leader replicas are on: no broker has its own.`
    return { error: INVALID_CONFIG, message }
  }
  if (kind === 'brokerDefault' && value === null) {
    const message = `${LEAST_REPLICAS} of the cluster has to be set while eligible leader replicas are on.`
    return { error: INVALID_CONFIG, message }
  }
  return changes
}

/** Who may lead depends on these. */
const OF_LEADERSHIP: ReadonlySet<string> = new Set([
  'min.insync.replicas',
  'unclean.leader.election.enable',
  'flush',
  'flush.policy',
])

/**
 * Changes of partitions that have to come in the same batch: once fewer replicas may acknowledge,
 * those that are eligible outside the ISR may lack what is acknowledged from then on.
 */
function consequences(view: View, records: readonly MetadataRecord[]): MetadataRecord[] {
  const concerns = records.some(
    (record) => record.type === 'ConfigRecord' && OF_LEADERSHIP.has(record.name),
  )
  if (!concerns) return []
  const { image, nextOffset, settings } = view
  const offset = nextOffset + records.length - 1
  const after = replay(image, records, offset, Math.max(image.epoch, 0)).image
  return someRepairs(new ClusterRules(after, settings), CONSEQUENCES_MAX)
}

/** All of them, as long as a batch can be written at all. */
const CONSEQUENCES_MAX = 100_000

/** What the resource is, if it is there and may be changed. */
function kindOf(image: MetadataImage, type: number, name: string): Kind {
  const kind = KINDS.get(type)
  const refused = (message: string) => ({ error: INVALID_REQUEST, message })
  if (kind === undefined) return refused(`There are no settings of resources of type ${type}.`)
  if (kind === 'broker') return brokerKind(image, name)
  if (name === '') {
    const what = { topic: 'topic', group: 'group', clientMetrics: 'client metrics' }[
      kind as 'topic' | 'group' | 'clientMetrics'
    ]
    return refused(`There is no default for each ${what}: name one.`)
  }
  if (kind === 'topic' && !image.topics.has(name)) {
    const message = `There is no topic '${name}'.`
    return { error: UNKNOWN_TOPIC_OR_PARTITION, message }
  }
  return { kind }
}

function brokerKind(image: MetadataImage, name: string): Kind {
  if (name === '') return { kind: 'brokerDefault' }
  if (!/^\d{1,10}$/.test(name)) {
    const message = `A broker is named by its number, not by '${name}'.`
    return { error: INVALID_REQUEST, message }
  }
  if (image.brokers.has(Number(name))) return { kind: 'broker' }
  return { error: BROKER_ID_NOT_REGISTERED, message: `There is no broker ${name}.` }
}
