/**
 * Looks into the nodes while they run, now and then: who claims to lead what, and how far each
 * watermark is. What must never happen at all is found by checkers of what is noted here.
 */
import type { SimCluster } from './cluster.ts'
import { InSync } from './in-sync.ts'
import type { Recorder } from './recorder.ts'
import { durableVote, durableVoter } from './votes.ts'

const LOOK_US = 100_000

export class Watch {
  readonly #cluster: SimCluster
  readonly #recorder: Recorder
  readonly #inSync: InSync
  readonly #leaders = new Set<string>()
  readonly #watermarks = new Map<string, number>()
  /** A replica that was moved away and back begins anew in the same process. */
  readonly #lives = new WeakMap<object, number>()
  #lifeCount = 0
  readonly #votes = new Map<number, { readonly who: string; readonly what: string }>()
  #isOver = false

  constructor(cluster: SimCluster, recorder: Recorder) {
    this.#cluster = cluster
    this.#recorder = recorder
    this.#inSync = new InSync(cluster, recorder)
    cluster.onStarted = ({ id }, running) => {
      this.#inSync.follow(running)
      running.quorum.onLeadership((leads, epoch) => {
        if (!leads) return
        this.#leads({ scope: 'raft', epoch, node: id, atMs: recorder.nowMs })
        const electorate = running.quorum.voters.map(({ nodeId }) => nodeId)
        this.#elected(id, epoch, electorate)
      })
    }
  }

  start(): void {
    this.#cluster.sim.scheduler.after(LOOK_US, 'watch', () => {
      if (this.#isOver) return
      this.#look()
      this.start()
    })
  }

  stop(): void {
    this.#isOver = true
  }

  /** Something was acknowledged just now: all who may lead next have it. */
  acknowledged(): void {
    if (!this.#isOver) this.#inSync.look()
  }

  #look(): void {
    this.#lookAtVotes()
    this.#inSync.look()
    const atMs = this.#recorder.nowMs
    for (const { id, running } of this.#cluster.running) {
      for (const partition of running!.partitions.all()) {
        const scope = `${partition.topic}-${partition.index}/${partition.topicId}`
        if (partition.isLeader) this.#leads({ scope, epoch: partition.leaderEpoch, node: id, atMs })
        const offset = partition.highWatermark
        const boot = this.#lifeOf(partition)
        const key = `${scope}/${id}/${boot}`
        if (this.#watermarks.get(key) === offset) continue
        this.#watermarks.set(key, offset)
        this.#recorder.add({ op: 'watermark', scope, node: id, boot, offset, atMs })
      }
    }
  }

  #lifeOf(partition: object): number {
    let life = this.#lives.get(partition)
    if (life === undefined) {
      life = ++this.#lifeCount
      this.#lives.set(partition, life)
    }
    return life
  }

  /** Whose disks remember that they voted for it: those that forgot by a fault are believed. */
  #elected(node: number, term: number, electorate: readonly number[]): void {
    const voters = this.#cluster.nodes.filter(({ id }) => electorate.includes(id))
    const backers = voters.filter((one) => {
      const vote = durableVote(one)
      const hasForgotten = one.diskLife > 1 || durableVoter(one) !== ''
      if (vote === undefined || hasForgotten) return hasForgotten
      return vote.term > term || (vote.term === term && vote.votedId === node)
    })
    const ids = backers.map(({ id }) => id)
    const atMs = this.#recorder.nowMs
    this.#recorder.add({ op: 'elected', term, node, voters: voters.length, backers: ids, atMs })
  }

  #lookAtVotes(): void {
    const atMs = this.#recorder.nowMs
    for (const node of this.#cluster.nodes) {
      const vote = durableVote(node)
      const { id, diskLife: life } = node
      const voter = durableVoter(node)
      const who = `${life}/${voter}`
      const what = `${vote?.term}/${vote?.votedId}`
      const before = this.#votes.get(id)
      // Its new id is on the disk before the state that goes with it.
      const isNews = before?.what !== what || (before.who !== who && voter === '')
      if (vote === undefined || !isNews) continue
      this.#votes.set(id, { who, what })
      this.#recorder.add({ op: 'vote', node: id, life, voter, ...vote, atMs })
    }
  }

  #leads(claim: { scope: string; epoch: number; node: number; atMs: number }): void {
    const key = `${claim.scope}/${claim.epoch}/${claim.node}`
    if (this.#leaders.has(key)) return
    this.#leaders.add(key)
    this.#recorder.add({ op: 'leader', ...claim })
  }
}
