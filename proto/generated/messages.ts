/**
 * The messages of the .proto files, as proto-loader reads and writes them. Written by
 * `node dist/proto/generate.js`; a test compares the two.
 */

export interface Hello {
  readonly clusterId: string
  readonly nodeId: number
  readonly directoryId: string
  readonly incarnationId: string
  readonly softwareVersion: string
  readonly protocolMin: number
  readonly protocolMax: number
  readonly metadataVersionMin: number
  readonly metadataVersionMax: number
  readonly toNodeId: number
  readonly refusal: string
  readonly voterIds: readonly number[]
}

export interface FirstFrame {
  readonly hello: Hello | null
}

export interface RaftFrame {
  readonly hello: Hello | null
  readonly messages: readonly RaftMessage[]
  readonly clusterId: string
}

export interface RaftMessage {
  readonly from: number
  readonly directoryId: string
  readonly to: number
  readonly term: number
  readonly vote?: RaftVote | null
  readonly voteResponse?: RaftVoteResponse | null
  readonly append?: RaftAppend | null
  readonly appendResponse?: RaftAppendResponse | null
  readonly heartbeat?: RaftHeartbeat | null
  readonly heartbeatResponse?: RaftHeartbeatResponse | null
  readonly snapshot?: RaftSnapshot | null
  readonly snapshotResponse?: RaftSnapshotResponse | null
  readonly timeoutNow?: RaftTimeoutNow | null
  readonly follow?: RaftFollow | null
  readonly read?: RaftRead | null
  readonly readResponse?: RaftReadResponse | null
}

export interface RaftVote {
  readonly isPreVote: boolean
  readonly endOffset: number
  readonly lastTerm: number
  readonly isTransfer: boolean
  readonly deadLeaderId: number
}

export interface RaftVoteResponse {
  readonly isPreVote: boolean
  readonly isGranted: boolean
  readonly refusal: string
}

export interface RaftAppend {
  readonly prevEnd: number
  readonly prevTerm: number
  readonly commit: number
  readonly entries: readonly RaftEntry[]
}

export interface RaftEntry {
  readonly baseOffset: number
  readonly count: number
  readonly term: number
  readonly kind: RaftEntryKind
  readonly data: Buffer
}

export type RaftEntryKind = 'NORMAL' | 'LEADER' | 'MEMBERSHIP'

export interface RaftAppendResponse {
  readonly isRejected: boolean
  readonly prevEnd: number
  readonly match: number
  readonly hintEnd: number
  readonly hintTerm: number
}

export interface RaftHeartbeat {
  readonly commit: number
  readonly round: number
  readonly progress: number
}

export interface RaftHeartbeatResponse {
  readonly round: number
  readonly endOffset: number
  readonly progress: number
  readonly hasRoom: boolean
}

export interface RaftSnapshotId {
  readonly endOffset: number
  readonly term: number
  readonly sizeBytes: number
  readonly checksum: number
}

export interface RaftMember {
  readonly nodeId: number
  readonly directoryId: string
}

export interface RaftSnapshot {
  readonly snapshot: RaftSnapshotId | null
  readonly voters: readonly RaftMember[]
  readonly outgoing: readonly RaftMember[]
  readonly position: number
  readonly data: Buffer
}

export interface RaftSnapshotResponse {
  readonly snapshot: RaftSnapshotId | null
  readonly position: number
}

export type RaftTimeoutNow = Readonly<Record<never, never>>

export interface RaftFollow {
  readonly endOffset: number
  readonly nodeId: number
}

export interface RaftRead {
  readonly context: number
}

export interface RaftReadResponse {
  readonly context: number
  readonly offset: number
}

export interface SessionRequest {
  readonly hello: Hello | null
  readonly heartbeat: Heartbeat | null
}

export interface SessionResponse {
  readonly hello: Hello | null
  readonly answer: HeartbeatAnswer | null
}

export interface Heartbeat {
  readonly sequence: number
  readonly brokerEpoch: number
  readonly appliedOffset: number
  readonly wantsFence: boolean
  readonly wantsShutdown: boolean
  readonly offlineDirectoryIds: readonly string[]
  readonly loopProgress: number
  readonly wallClockMs: number
}

export interface HeartbeatAnswer {
  readonly sequence: number
  readonly errorCode: number
  readonly isCaughtUp: boolean
  readonly isFenced: boolean
  readonly shouldShutDown: boolean
  readonly metadataOffset: number
}

export interface ForwardRequest {
  readonly hello: Hello | null
  readonly request: Buffer
  readonly failedReplica: FailedReplica | null
}

export interface FailedReplica {
  readonly brokerId: number
  readonly brokerEpoch: number
  readonly topicId: string
  readonly partitionIndex: number
  readonly leaderEpoch: number
  readonly isDamaged: boolean
}

export interface ForwardResponse {
  readonly hello: Hello | null
  readonly outcome: ForwardOutcome
  readonly sentence: string
  readonly metadataOffset: number
  readonly response: Buffer
  readonly leaderId: number
  readonly errorCode: number
  readonly storageCode: string
}

export type ForwardOutcome = 'ANSWERED' | 'NOT_CONTROLLER' | 'UNKNOWN' | 'FORBIDDEN' | 'FAILED'

export interface StatusRequest {
  readonly hello: Hello | null
}

export interface StatusResponse {
  readonly hello: Hello | null
  readonly state: string
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly appliedOffset: number
  readonly logEndOffset: number
  readonly uptimeMs: number
}

export interface ThroughputRequest {
  readonly hello: Hello | null
}

export interface ThroughputResponse {
  readonly hello: Hello | null
  readonly partitions: readonly PartitionRate[]
  readonly history: readonly number[]
}

export interface PartitionRate {
  readonly topic: string
  readonly partition: number
  readonly recordsPerSecond: number
  readonly bytesPerSecond: number
}
