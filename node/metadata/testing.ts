/** For tests: records and images made in one line. */

import { replay } from './apply.ts'
import { EMPTY_IMAGE, type MetadataImage } from './image.ts'
import type { MetadataRecord, RecordOf } from './records.ts'

/** 22 characters that name `number`. */
export function idOf(number: number): string {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32BE(number, 12)
  return bytes.toString('base64url')
}

export function topicRecord(name: string, topicId: string): MetadataRecord {
  return { type: 'TopicRecord', name, topicId }
}

export function partitionRecord(
  topicId: string,
  partitionId: number,
  more: Partial<RecordOf<'PartitionRecord'>> = {},
): MetadataRecord {
  return {
    type: 'PartitionRecord',
    topicId,
    partitionId,
    replicas: [1],
    isr: [1],
    removingReplicas: [],
    addingReplicas: [],
    leader: 1,
    leaderRecoveryState: 0,
    leaderEpoch: 0,
    partitionEpoch: 0,
    directories: [idOf(101)],
    eligibleLeaderReplicas: null,
    lastKnownElr: null,
    ...more,
  }
}

export function brokerRecord(
  brokerId: number,
  brokerEpoch: number,
  more: Partial<RecordOf<'RegisterBrokerRecord'>> = {},
): MetadataRecord {
  return {
    type: 'RegisterBrokerRecord',
    brokerId,
    isMigratingZkBroker: false,
    incarnationId: idOf(1000 + brokerId),
    brokerEpoch,
    endPoints: [
      { name: 'PLAINTEXT', host: 'localhost', port: 9092 + brokerId, securityProtocol: 0 },
    ],
    features: [],
    rack: null,
    fenced: false,
    inControlledShutdown: false,
    logDirs: [idOf(100 + brokerId)],
    cordonedLogDirs: null,
    ...more,
  }
}

/** The image after the records, as if they were one batch at the log's end. */
export function imageOf(
  records: readonly MetadataRecord[],
  base: MetadataImage = EMPTY_IMAGE,
): MetadataImage {
  return replay(base, records, base.offset + records.length, 1).image
}
