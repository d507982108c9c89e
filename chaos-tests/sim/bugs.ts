/**
 * Deliberate bugs: each is one change to one line of the compiled product, and simulation has to
 * find it. `npm run chaos:bugs` makes them in a copy, one at a time, and counts the seeds.
 */

export interface Bug {
  readonly name: string
  /** Below dist/. */
  readonly file: string
  /** Stands in the file exactly once; else the table is out of date, and the run says so. */
  readonly find: string
  readonly replace: string
  /** Faults that bring it out; all, when absent. */
  readonly faults?: string
  /** Of the cluster that brings it out; three, when absent. */
  readonly nodes?: number
}

const POWER = 'power-loss,power-loss-all,kill,reset'
const FAILOVER = 'kill,restart,isolate,cut,pause,power-loss'

export const BUGS: readonly Bug[] = [
  {
    name: 'acknowledge before the sync',
    file: 'replication/partition.js',
    find: "return this.log.config.flush === 'group' ? this.log.syncedOffset : this.log.writtenOffset",
    replace: 'return this.log.writtenOffset',
    faults: POWER,
  },
  {
    name: 'the watermark waits for nobody',
    file: 'replication/leader.js',
    find: 'if (remote.position < lowest && this.isr.counts(remote.nodeId))',
    replace: 'if (false)',
    faults: FAILOVER,
  },
  {
    name: 'a follower is admitted without a look at its epochs',
    file: 'replication/admission.js',
    find: 'if (epoch < lastEpoch || endOffset < fetchOffset)',
    replace: 'if (false)',
    faults: FAILOVER,
  },
  {
    name: 'the watermark moves with too few in sync',
    file: 'replication/leader.js',
    find: 'if (this.isr.committed.length < minIsr)',
    replace: 'if (false)',
    faults: FAILOVER,
  },
  {
    name: 'readers see what is not committed',
    file: 'replication/partition.js',
    find: "return isolation === 'committed' ? this.lastStableOffset : this.#highWatermark",
    replace: 'return this.log.logEndOffset',
    faults: FAILOVER,
  },
  {
    name: 'a leader that was cut off answers for ever',
    file: 'replication/partition.js',
    find: 'return clock.monotonicMs() < leaseUntilMs()',
    replace: 'return true',
    faults: 'isolate,pause,isolate-one-way',
  },
  {
    name: 'a follower joins the ISR before it has caught up',
    file: 'replication/leader.js',
    find: 'remote.position >= this.#led.highWatermark &&',
    replace: '',
    faults: 'isolate,bandwidth,slow-links',
  },
  {
    name: 'retries are not recognised',
    file: 'log/appender.js',
    find: 'const duplicate = isClient ? producers.findDuplicate(batch) : undefined',
    replace: 'if (isClient) return true; const duplicate = undefined',
    faults: 'reset,reset-all,cut-client,kill',
  },
  {
    name: 'two votes in a term',
    file: 'raft/election.js',
    find: 'if (!isSame)',
    replace: 'if (false)',
    faults: 'isolate,cut,split,kill-all,loss',
  },
  {
    name: 'a vote for a shorter log',
    file: 'raft/election.js',
    find: 'if (!isAtLeastAsLong(message, log.lastTerm, log.endOffset))',
    replace: 'if (false)',
    faults: FAILOVER,
  },
  {
    name: 'a vote counts before it is durable',
    file: 'raft/election.js',
    find: 'return this.isPreVote || isVoteDurable ? true : undefined',
    replace: 'return true',
    faults: POWER,
    nodes: 1,
  },
  {
    name: 'metadata is acknowledged before it is durable',
    file: 'raft/follower.js',
    find: 'const match = Math.min(this.#verifiedEnd, log.durableEnd)',
    replace: 'const match = Math.min(this.#verifiedEnd, log.endOffset)',
    faults: POWER,
  },
  {
    name: 'a follower commits what it was not sent',
    file: 'raft/follower.js',
    find: 'const position = Math.min(this.#leaderCommit, this.#verifiedEnd, log.writtenEnd);',
    replace: 'const position = Math.min(this.#leaderCommit, log.writtenEnd);',
    faults: FAILOVER,
  },
  {
    name: 'a failed sync is forgotten over a restart',
    file: 'log/doubt.js',
    find: 'if (disk.exists(file.path)) {',
    replace: 'if (false) {',
    faults: 'sync-error,power-loss-all,kill-all',
  },
  {
    name: 'what a start cut off is not told to the controller',
    file: 'node/partitions.js',
    find: 'if (partition.log.cutBytes > 0 && replicas !== undefined && replicas.length > 1) {',
    replace: 'if (false) {',
    faults: 'flip,kill,kill-all,power-loss-all',
  },
  {
    name: 'a generation is given twice',
    file: 'node/coordinator/group/classic-group.js',
    find: 'this.generation++',
    replace: 'this.generation = Math.max(this.generation, 1)',
    faults: 'client-crash,client-pause,reset',
  },
  {
    name: 'whoever was a member may commit',
    file: 'node/coordinator/group/membership.js',
    find: 'const error = checkClaim(group, claim);',
    replace:
      'if (!group.members.has(claim.memberId)) return NONE; const error = checkClaim(group, claim);',
    faults: 'client-pause,cut-client,pause',
  },
  {
    name: 'a failed sync is ignored',
    file: 'log/syncer.js',
    find: 'await file.sync();',
    replace: 'try { await file.sync() } catch {}',
    faults: 'sync-error,power-loss-all,kill-all',
  },
  {
    name: 'names of new segments are not synced',
    file: 'log/syncer.js',
    find: 'work.push(state.syncNames())',
    replace: 'state.isDirectoryDirty = false',
    faults: POWER,
  },
  {
    name: 'a log ends at its recovery point after a crash, and offsets are given again',
    file: 'log/recovery-scan.js',
    find: 'state.logEndOffset = end;',
    replace: 'state.logEndOffset = Math.min(end, recoveryPoint);',
    faults: POWER,
  },
  {
    name: 'a start forgets the sequences of producers',
    file: 'log/recovery-scan.js',
    find: 'const aborted = replayBatch(',
    replace: 'const aborted = undefined; if (false) replayBatch(',
    faults: 'kill,kill-all,reset,reset-all',
  },
  {
    name: 'a start forgets the leader epochs',
    file: 'log/recovery-scan.js',
    find: 'epochs.assign(leaderEpochAt(buffer, at), baseOffset);',
    replace: '',
    faults: FAILOVER,
  },
  {
    name: 'damaged records are served',
    file: 'log/reader.js',
    find: 'if (crc32c(source, at + ATTRIBUTES_AT, at + size) !== crcAt(source, at)) {',
    replace: 'if (false) {',
    faults: 'flip,restart',
  },
  {
    name: 'a follower cuts its log at the watermark',
    file: 'replication/follower.js',
    find: 'this.#cut(() => this.partition.cut(target));',
    replace: 'this.#cut(() => this.partition.cut(this.partition.highWatermark));',
    faults: FAILOVER,
  },
  {
    name: 'a follower of an earlier epoch is admitted',
    file: 'replication/admission.js',
    find: 'if (subscribe.leaderEpoch < leaderEpoch)',
    replace: 'if (false)',
    faults: FAILOVER,
  },
  {
    name: 'a new leader shows all that it has',
    file: 'replication/partition.js',
    find: 'this.#highWatermark = Math.min(this.#highWatermark, this.log.logEndOffset);',
    replace: 'this.#highWatermark = this.log.logEndOffset;',
    faults: FAILOVER,
  },
  {
    name: 'an acknowledgement does not wait for the followers',
    file: 'replication/partition.js',
    find: 'return lastOffset < this.#highWatermark;',
    replace: 'return true;',
    faults: FAILOVER,
  },
  {
    name: 'whoever is alive may lead',
    file: 'node/metadata/partition-change.js',
    find: "if (!this.#rules.isUncleanAllowed && this.#target.election !== 'unclean')",
    replace: 'if (false)',
    faults: 'kill,kill-all,power-loss,isolate',
  },
  {
    name: 'a replica with an empty disk stays in the ISR',
    file: 'node/metadata/broker-registrations.js',
    find: 'return { lost: self, directories };',
    replace: 'return undefined;',
    faults: 'wipe',
  },
  {
    name: 'a replica that is about to leave counts no more',
    file: 'replication/isr.js',
    find: 'return this.#committed.includes(nodeId) || this.#proposed?.includes(nodeId) === true',
    replace: 'return (this.#proposed ?? this.#committed).includes(nodeId)',
    faults: 'cut,cut-one-way',
  },
  {
    name: 'messages leave before the vote is durable',
    file: 'raft/core.js',
    find: 'if (!state.isVoteDurable)\n            return [];',
    replace: '',
    faults: POWER,
  },
  {
    name: 'a leader is not asked for its lease: whoever wants may begin a term',
    file: 'raft/election.js',
    find: 'if (!message.isTransfer && (isLeading || state.isInLease))',
    replace: 'if (false)',
    faults: 'isolate-one-way,cut-one-way,cut',
  },
  {
    name: 'one vote is a majority',
    file: 'raft/quorum.js',
    find: 'if (granted >= needed)',
    replace: 'if (granted >= 1)',
    faults: 'isolate,split,cut',
  },
  {
    name: 'a commit is answered before it is replicated',
    file: 'node/coordinator/shard.js',
    find: 'this.#await(batch, lastOffset, log);',
    replace:
      'for (const waiting of batch.waiting.splice(0)) waiting.settle(0); this.#await(batch, lastOffset, log);',
    faults: 'isolate,client-crash',
  },
  {
    name: 'a coordinator that moves leaves out the newest commit',
    file: 'node/coordinator/load.js',
    find: 'const endOffset = log.logEndOffset;',
    replace: 'const endOffset = Math.max(log.logStartOffset, log.logEndOffset - 1);',
    faults: 'kill,restart,client-crash',
  },
]
