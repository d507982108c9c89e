/** A member of a consumer group: takes its share, reads, commits, and sometimes goes away. */
import { Cluster } from '../../kafka/client/cluster.ts'
import { Consumer } from '../../kafka/client/consumer.ts'
import { GroupMember } from '../../kafka/client/group-member.ts'
import type { Commit } from '../checkers/history.ts'
import type { ClientContext } from './client-context.ts'
import { Reading } from './readers.ts'

export interface MemberSpec {
  readonly kind: 'member'
  readonly group: string
  readonly topic: string
  readonly pauseMs: number
  readonly timeoutMs: number
  readonly sessionTimeoutMs: number
  /** Of a commit after a poll. */
  readonly commitChance: number
  /** Of going away after a poll, to join again. */
  readonly leaveChance: number
  /** Whether it comes back to its share after a restart (group.instance.id). */
  readonly isStatic?: boolean
}

export async function runMember(context: ClientContext, spec: MemberSpec): Promise<void> {
  const instance = spec.isStatic === true ? { instanceId: instanceOf(context) } : {}
  for (let life = 0; !context.isOver; life++) {
    const cluster = new Cluster(context.world, {
      bootstrap: context.bootstrap,
      clientId: context.name,
      timeoutMs: spec.timeoutMs,
    })
    const member = new GroupMember(cluster, {
      group: spec.group,
      topics: [spec.topic],
      sessionTimeoutMs: spec.sessionTimeoutMs,
      heartbeatMs: Math.floor(spec.sessionTimeoutMs / 4),
      ...instance,
    })
    try {
      await live(context, spec, { cluster, member, life })
    } catch {
      await context.pause(100)
    }
    await member.close().catch(() => undefined)
    await cluster.close()
    await context.pause(context.random.below(300))
  }
}

/** The same in each life of the client. */
const instanceOf = ({ name }: ClientContext): string => name.replace(/\..*/, '')

async function live(
  context: ClientContext,
  spec: MemberSpec,
  parts: { cluster: Cluster; member: GroupMember; life: number },
): Promise<void> {
  const { recorder, random } = context
  const { cluster, member } = parts
  const consumer = new Consumer(cluster, { startAt: 'earliest', maxWaitMs: 100 })
  for (let round = 0; !context.isOver; round++) {
    const startMs = recorder.nowMs
    const share = await member.join()
    const { memberId, generation } = member.identity
    const session = `${context.name}/${parts.life}/${round}`
    recorder.add({
      op: 'assign',
      client: context.name,
      group: spec.group,
      generation,
      member: memberId,
      ...(spec.isStatic === true ? { instance: instanceOf(context) } : {}),
      owned: share.map(({ topic, partition, offset }) => {
        return { topic, partition, offset: offset ?? -1 }
      }),
      startMs,
      endMs: recorder.nowMs,
    })
    const reading = new Reading(context, session, consumer)
    await reading.assign(share)
    while (!member.mustRejoin && !context.isOver) {
      if (!(await reading.poll())) await context.pause(100)
      if (random.chance(spec.commitChance)) await commit(context, spec, { member, reading })
      if (random.chance(spec.leaveChance)) return
      await context.pause(random.below(spec.pauseMs + 1))
    }
  }
}

async function commit(
  context: ClientContext,
  spec: MemberSpec,
  parts: { member: GroupMember; reading: Reading },
): Promise<void> {
  const { recorder } = context
  const { member, reading } = parts
  const { memberId, generation } = member.identity
  const offsets = reading.places.map((place) => ({ ...place }))
  if (offsets.length === 0 || member.mustRejoin) return
  const entry = recorder.begin<Commit>({
    op: 'commit',
    client: context.name,
    group: spec.group,
    generation,
    member: memberId,
    offsets,
    startMs: recorder.nowMs,
    outcome: 'unknown',
  })
  try {
    await member.commit(offsets)
    entry.endMs = recorder.nowMs
    // A member that must join again was refused, by a heartbeat or by this very commit.
    if (!member.mustRejoin) entry.outcome = 'ok'
  } catch (error) {
    recorder.failed(entry, error)
    throw error
  }
}
