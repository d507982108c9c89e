/** The pure step machine (types; the body follows). */
import type { Membership } from './messages.ts'

export interface RaftTiming {
  readonly heartbeatMs: number
  readonly electionTimeoutMinMs: number
  readonly electionTimeoutMaxMs: number
}

/** How the entries that the core itself makes lie on disk. Each covers one offset. */
export interface EntryCodec {
  encodeLeader(baseOffset: number, term: number, leaderId: number, membership: Membership): Buffer
  encodeMembership(baseOffset: number, term: number, membership: Membership): Buffer
  decodeMembership(data: Buffer): Membership
}
