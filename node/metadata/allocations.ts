/** Producer ids, given to brokers in blocks (KIP-730). */
import { assert } from '../../base/assert.ts'
import type {
  AllocateProducerIdsRequest,
  AllocateProducerIdsResponse,
} from '../../kafka/api/67-allocate-producer-ids.ts'
import { NONE, STALE_BROKER_EPOCH } from '../../kafka/wire/errors.ts'
import type { Decision, View } from './decision.ts'
import type { MetadataRecord } from './records.ts'

/** As in Kafka: a broker asks once in so many producers. */
export const PRODUCER_ID_BLOCK = 1000

/** A block that nobody else gets, ever. */
export function decideAllocation(
  { image }: View,
  { brokerId, brokerEpoch }: AllocateProducerIdsRequest,
): Decision<AllocateProducerIdsResponse> {
  if (image.brokers.get(brokerId)?.epoch !== brokerEpoch) {
    const errorCode = STALE_BROKER_EPOCH
    return { records: [], answer: { errorCode, producerIdStart: -1, producerIdLen: 0 } }
  }
  const first = image.nextProducerId
  const nextProducerId = first + PRODUCER_ID_BLOCK
  assert(Number.isSafeInteger(nextProducerId), 'there are producer ids left')
  const record: MetadataRecord = {
    type: 'ProducerIdsRecord',
    brokerId,
    brokerEpoch,
    nextProducerId,
  }
  return {
    records: [record],
    answer: { errorCode: NONE, producerIdStart: first, producerIdLen: PRODUCER_ID_BLOCK },
  }
}
