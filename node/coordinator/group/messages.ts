/** Group APIs in the shape of their latest version. */
export interface JoinGroupRequest {
  groupId: string
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  memberId: string
  groupInstanceId: string | null
  protocolType: string
  protocols: readonly { name: string; metadata: Buffer }[]
  reason: string | null
}
export interface JoinGroupResponse {
  throttleTimeMs?: number
  errorCode: number
  generationId?: number
  protocolType?: string | null
  protocolName: string | null
  leader: string
  skipAssignment: boolean
  memberId: string
  members: readonly { memberId: string; groupInstanceId?: string | null; metadata: Buffer }[]
}
export interface SyncGroupRequest {
  groupId: string
  generationId: number
  memberId: string
  groupInstanceId: string | null
  protocolType: string | null
  protocolName: string | null
  assignments: readonly { memberId: string; assignment: Buffer }[]
}
export interface SyncGroupResponse {
  throttleTimeMs?: number
  errorCode: number
  protocolType?: string | null
  protocolName?: string | null
  assignment: Buffer
}
export interface HeartbeatRequest {
  groupId: string
  generationId: number
  memberId: string
  groupInstanceId: string | null
}
export interface HeartbeatResponse {
  throttleTimeMs?: number
  errorCode: number
}
export interface LeaveGroupRequest {
  groupId: string
  memberId: string
  members: readonly { memberId: string; groupInstanceId: string | null; reason: string | null }[]
}
export interface LeaveGroupResponse {
  throttleTimeMs?: number
  errorCode: number
  members: readonly { memberId: string; groupInstanceId: string | null; errorCode: number }[]
}
