/**
 * The node's side as a leader: takes the streams of followers, and keeps the subscriptions that
 * came before this node knew that it leads.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import type { RpcStream, RpcStreamHandler } from '../base/rpc.ts'
import type { Turn } from '../base/turn.ts'
import type { Subscribe } from './messages.ts'
import type { Partition } from './partition.ts'
import type { ReplicationProbe } from './probe.ts'
import { RecentReads } from './recent.ts'
import { FollowerSession } from './session.ts'
import { Throttle } from './throttle.ts'

export interface ReplicaServiceParts {
  readonly clock: Clock
  readonly turn: Turn
  readonly logger: Logger
  readonly probe: ReplicationProbe
  /** The replica of this node; undefined when it has none (yet). */
  find(topicId: string, index: number): Partition | undefined
  /** Bytes a second for followers that catch up with throttled replicas; no limit when undefined. */
  throttleRate?(): number | undefined
  isThrottled?(partition: Partition): boolean
}

/** A subscription that waits for this node's metadata to catch up with the follower's. */
export interface Parked {
  readonly session: FollowerSession
  /** With the latest position that the follower has told. */
  subscribe: Subscribe
}

export class ReplicaService {
  readonly #parts: ReplicaServiceParts
  /** Of the messages to all followers. */
  readonly recent = new RecentReads()
  /** Of all followers of this node together. */
  readonly throttle: Throttle
  readonly #sessions = new Set<FollowerSession>()
  /** The latest of each follower. */
  readonly #latest = new Map<number, FollowerSession>()
  /** By topic id and index. */
  readonly #parked = new Map<string, Set<Parked>>()

  constructor(parts: ReplicaServiceParts) {
    this.#parts = parts
    const rate = () => parts.throttleRate?.() ?? Number.MAX_SAFE_INTEGER
    this.throttle = new Throttle(parts.clock, rate)
  }

  get parts(): ReplicaServiceParts {
    return this.#parts
  }

  /** `followerId`: who the other end has proved to be; undefined where nobody asks for proof. */
  accept(stream: RpcStream, followerId?: number): RpcStreamHandler {
    const session = new FollowerSession(this, stream, followerId)
    this.#sessions.add(session)
    return session
  }

  /** The partition's leadership, replicas or readiness changed: who waits for that is looked at. */
  reconsider(partition: Partition): void {
    if (this.#parked.size === 0) return
    const key = keyOf(partition.topicId, partition.index)
    const waiting = this.#parked.get(key)
    if (waiting === undefined) return
    this.#parked.delete(key)
    for (const { session, subscribe } of waiting) session.subscribe(subscribe)
  }

  park(session: FollowerSession, subscribe: Subscribe): Parked {
    const key = keyOf(subscribe.topicId, subscribe.index)
    const parked: Parked = { session, subscribe }
    const waiting = this.#parked.get(key)
    if (waiting === undefined) this.#parked.set(key, new Set([parked]))
    else waiting.add(parked)
    return parked
  }

  unpark(parked: Parked): void {
    const key = keyOf(parked.subscribe.topicId, parked.subscribe.index)
    const waiting = this.#parked.get(key)
    waiting?.delete(parked)
    if (waiting?.size === 0) this.#parked.delete(key)
  }

  /**
   * The session knows who its follower is. Two connections are not in order: what a follower said on
   * an earlier stream may come late, when it is not true any more, so that stream ends.
   */
  introduce(session: FollowerSession): void {
    const { followerId } = session
    assert(followerId >= 0, 'a session that is introduced has a name')
    const known = this.#latest.get(followerId)
    if (known === session) return
    if (known !== undefined && session.isBefore(known)) {
      session.close()
      return
    }
    this.#latest.set(followerId, session)
    known?.close()
  }

  forget(session: FollowerSession): void {
    this.#sessions.delete(session)
  }

  close(): void {
    for (const session of [...this.#sessions]) session.close()
  }
}

function keyOf(topicId: string, index: number): string {
  return `${topicId}/${index}`
}
