/**
 * The life of a registered broker: fenced, unfenced, about to go (KIP-631). Decided from heartbeats,
 * from silence and from proof of death; each change brings the changes of leaders and ISRs that
 * follow from it, as many as fit.
 */
import type {
  BrokerHeartbeatRequest,
  BrokerHeartbeatResponse,
} from '../../kafka/api/63-broker-heartbeat.ts'
import { NONE, STALE_BROKER_EPOCH } from '../../kafka/wire/errors.ts'
import { replay } from './apply.ts'
import { ClusterRules } from './cluster-rules.ts'
import type { View } from './decision.ts'
import { type BrokerImage, isActive, type MetadataImage } from './image.ts'
import { someRepairs } from './leadership.ts'
import type { MetadataRecord, RecordOf } from './records.ts'

/** What is to become of the broker that sent a heartbeat. */
export type Step = 'stay' | 'fence' | 'unfence' | 'depart' | 'leave'

/** What the controller knows of a broker beside the image. */
export interface BrokerProgress {
  /** The metadata that the slowest of the other active brokers has applied; -1 not known. */
  readonly slowestOffset: number
  /** From this offset on nobody needs the broker; undefined: somebody still does. */
  readonly departedOffset: number | undefined
}

/** `stay`: nothing changes. `leave`: it may end now, and is fenced. */
export function nextStep(
  image: MetadataImage,
  broker: BrokerImage,
  request: BrokerHeartbeatRequest,
  progress: BrokerProgress,
): Step {
  if (broker.isFenced) {
    if (request.wantShutDown || request.wantFence) return 'stay'
    // What it has applied must have its own registration, or it would serve an older past.
    return request.currentMetadataOffset >= broker.epoch ? 'unfence' : 'stay'
  }
  if (!request.wantShutDown) return request.wantFence ? 'fence' : 'stay'
  // Nobody is there to take over, and nobody to notice: the next start finds all as it was.
  if (isAlone(image, broker.id)) return 'stay'
  if (!broker.isInControlledShutdown) return 'depart'
  const { departedOffset, slowestOffset } = progress
  if (departedOffset === undefined) return 'stay'
  // To leave is to be fenced, and nobody waits for the lease of who is fenced (decision 4): until the
  // broker itself has applied that others lead, it may answer with an end that is old by then.
  const knownOffset = Math.min(slowestOffset, request.currentMetadataOffset)
  return knownOffset >= departedOffset ? 'leave' : 'stay'
}

function isAlone(image: MetadataImage, brokerId: number): boolean {
  for (const { id } of image.brokers.values()) {
    if (id !== brokerId && isActive(image, id)) return false
  }
  return true
}

/** The answer to a heartbeat, once its step is taken. */
export function heartbeatAnswer(
  image: MetadataImage,
  request: BrokerHeartbeatRequest,
): BrokerHeartbeatResponse {
  const broker = image.brokers.get(request.brokerId)
  if (broker === undefined || broker.epoch !== request.brokerEpoch) return STALE
  return {
    errorCode: NONE,
    isCaughtUp: request.currentMetadataOffset >= broker.epoch,
    isFenced: broker.isFenced,
    shouldShutDown: request.wantShutDown && (broker.isFenced || isAlone(image, broker.id)),
  }
}

export const STALE: BrokerHeartbeatResponse = {
  errorCode: STALE_BROKER_EPOCH,
  isCaughtUp: false,
  isFenced: true,
  shouldShutDown: false,
}

/** The records of a step, and of what follows from it for partitions. */
export function stepRecords(view: View, broker: BrokerImage, step: Step): MetadataRecord[] {
  if (step === 'stay') return []
  const records: MetadataRecord[] = [stepRecord(broker, step)]
  const { image, nextOffset } = view
  const after = replay(image, records, nextOffset, Math.max(image.epoch, 0)).image
  for (const record of someRepairs(new ClusterRules(after, view.settings))) records.push(record)
  return records
}

function stepRecord(
  { id, epoch }: BrokerImage,
  step: Exclude<Step, 'stay'>,
): RecordOf<'BrokerRegistrationChangeRecord'> {
  const fenced = { fence: 1, leave: 1, unfence: -1, depart: 0 }[step]
  return {
    type: 'BrokerRegistrationChangeRecord',
    brokerId: id,
    brokerEpoch: epoch,
    fenced,
    inControlledShutdown: step === 'depart' ? 1 : 0,
    logDirs: [],
    cordonedLogDirs: null,
  }
}
