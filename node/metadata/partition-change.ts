/**
 * The next state of one partition: from what somebody wants of it (another ISR, other replicas, an
 * election) and who lives, to one PartitionChangeRecord. Everything that changes a partition goes
 * through here, so that the rules hold whatever the cause.
 *
 * Kept, for every record:
 * - the leader is -1 or in the ISR, and ISR and ELR are apart and among the replicas;
 * - who is not active leaves the ISR, but for the one replica of a partition, and for those about to
 *   go without whom producers would be refused;
 * - whoever leaves the ISR while it is (or gets) smaller than the least that producers accept stays
 *   eligible (ELR, KIP-966): it has all that was acknowledged to acks=all;
 * - leaders come from the ISR, then from the ELR, then from the last that are known to have been
 *   eligible, and only where a topic or a person allows it from any replica; an election from outside
 *   of ISR and ELR is marked as recovering;
 * - the last known are the one that led last, and whoever was eligible but for a doubt, for as long as
 *   nobody could acknowledge anything since. They count only when all of ISR and ELR are known to be
 *   lost, the first of them before the others, and it is waited for (docs/decisions/0006);
 * - a new leader, and the removal of a replica, are a new leader epoch (KIP-320).
 */
import { assert } from '../../base/assert.ts'
import type { PartitionImage } from './image.ts'
import { NO_LEADER, partitionChangeRecord, type RecordOf } from './records.ts'

export const RECOVERED = 0
export const RECOVERING = 1

/** What a change of a partition depends on, beside the partition. */
export interface PartitionRules {
  /** May this replica join the ISR, and become leader? */
  isActive(partition: PartitionImage, brokerId: number): boolean
  /** Its broker serves, though perhaps not for long: a leader may go on leading. */
  isServing(partition: PartitionImage, brokerId: number): boolean
  /** Where a new replica lies. */
  directoryOf(brokerId: number): string
  readonly isElrEnabled: boolean
  readonly minInsyncReplicas: number
  readonly isUncleanAllowed: boolean
  /** Replicas keep what they acknowledged, whatever happens to their machine. */
  readonly isDurable: boolean
  isRegistered(brokerId: number): boolean
}

/** What is wanted; what is not given stays. */
export interface PartitionTarget {
  readonly isr?: readonly number[]
  readonly replicas?: readonly number[]
  readonly adding?: readonly number[]
  readonly removing?: readonly number[]
  readonly leaderRecoveryState?: number
  /** Replica -> its directory from now on. */
  readonly directories?: ReadonlyMap<number, string>
  /** These may lack what they had: neither in sync nor eligible, though the last to lead may again. */
  readonly uncertain?: ReadonlySet<number>
  /** As uncertain, but most likely they have all they had: a last resort, when the others are lost. */
  readonly doubtful?: ReadonlySet<number>
  /** These have lost what they had. */
  readonly lost?: ReadonlySet<number>
  /** `preferred`: the first replica, if it is in sync. `unclean`: any replica, when there is no other. */
  readonly election?: 'preferred' | 'unclean'
}

type Change = RecordOf<'PartitionChangeRecord'>

const NOBODY: ReadonlySet<number> = new Set()

/** undefined: nothing changes. */
export function changePartition(
  topicId: string,
  before: PartitionImage,
  target: PartitionTarget,
  rules: PartitionRules,
): Change | undefined {
  return new PartitionChange(before, target, rules).record(topicId)
}

/** The partition after the record: for replay, and for who decides on it. */
export function changedPartition(before: PartitionImage, change: Change): PartitionImage {
  const isLeaderNamed = change.leader >= NO_LEADER
  return {
    index: before.index,
    replicas: change.replicas ?? before.replicas,
    isr: change.isr ?? before.isr,
    removingReplicas: change.removingReplicas ?? before.removingReplicas,
    addingReplicas: change.addingReplicas ?? before.addingReplicas,
    leader: isLeaderNamed ? change.leader : before.leader,
    leaderRecoveryState:
      change.leaderRecoveryState >= 0 ? change.leaderRecoveryState : before.leaderRecoveryState,
    leaderEpoch: isLeaderNamed ? before.leaderEpoch + 1 : before.leaderEpoch,
    partitionEpoch: before.partitionEpoch + 1,
    directories: change.directories ?? before.directories,
    eligibleLeaderReplicas: change.eligibleLeaderReplicas ?? before.eligibleLeaderReplicas,
    lastKnownElr: change.lastKnownElr ?? before.lastKnownElr,
  }
}

class PartitionChange {
  readonly #before: PartitionImage
  /** With the directories that are to be, which say what is in service. */
  readonly #seen: PartitionImage
  readonly #target: PartitionTarget
  readonly #rules: PartitionRules
  readonly #uncertain: ReadonlySet<number>
  readonly #doubtful: ReadonlySet<number>
  readonly #lost: ReadonlySet<number>
  #replicas: readonly number[]
  #adding: readonly number[]
  #removing: readonly number[]
  #isr: readonly number[]
  #elr: readonly number[] = []
  #lastKnown: readonly number[] = []
  #leader = NO_LEADER
  #recovery: number

  constructor(before: PartitionImage, target: PartitionTarget, rules: PartitionRules) {
    this.#before = before
    this.#seen = withDirectories(before, target.directories)
    this.#target = target
    this.#rules = rules
    this.#uncertain = target.uncertain ?? NOBODY
    this.#doubtful = target.doubtful ?? NOBODY
    this.#lost = target.lost ?? NOBODY
    this.#replicas = target.replicas ?? before.replicas
    this.#adding = target.adding ?? before.addingReplicas
    this.#removing = target.removing ?? before.removingReplicas
    this.#recovery = target.leaderRecoveryState ?? before.leaderRecoveryState
    this.#isr = (target.isr ?? before.isr).filter(
      (id) => this.#replicas.includes(id) && !this.#isUnfit(id),
    )
    this.#completeReassignment()
    this.#shrink()
    this.#keepEligible()
    this.#keepLastKnown()
    this.#elect()
    // An election from outside the ISR may have made it complete.
    if (this.#leader !== NO_LEADER && !this.#removing.includes(this.#leader)) {
      this.#completeReassignment()
      const isLeft = (id: number) => this.#replicas.includes(id)
      this.#elr = this.#isEnough() ? [] : this.#elr.filter(isLeft)
      this.#forgetLastKnown()
    }
    assert(this.#leader === NO_LEADER || this.#isr.includes(this.#leader), 'a leader is in sync')
    assert(
      this.#isr.every((id) => this.#replicas.includes(id) && !this.#elr.includes(id)),
      'the ISR is among the replicas, and apart from the ELR',
    )
    assert(
      this.#elr.every((id) => this.#replicas.includes(id)),
      'the ELR is among the replicas',
    )
    assert(
      this.#lastKnown.every((id) => !this.#lost.has(id) && !this.#isr.includes(id)),
      'the last known are outside of the ISR, and have what they had',
    )
  }

  #isUnfit(id: number): boolean {
    return this.#uncertain.has(id) || this.#doubtful.has(id) || this.#lost.has(id)
  }

  #isActive(id: number): boolean {
    return !this.#lost.has(id) && this.#rules.isActive(this.#seen, id)
  }

  /** Perhaps not for long. Whoever is active serves. */
  #isServing(id: number): boolean {
    return !this.#lost.has(id) && this.#rules.isServing(this.#seen, id)
  }

  /** KIP-455: done when all that are added are in sync, and somebody is left who can lead. */
  #completeReassignment(): void {
    if (this.#adding.length === 0 && this.#removing.length === 0) return
    const isr = this.#isr.filter((id) => !this.#removing.includes(id))
    const replicas = this.#replicas.filter((id) => !this.#removing.includes(id))
    if (!this.#adding.every((id) => isr.includes(id))) return
    if (!isr.some((id) => this.#isActive(id))) return
    this.#isr = isr
    this.#replicas = replicas
    this.#adding = []
    this.#removing = []
  }

  /** Who is not active leaves the ISR, as far as that may be. */
  #shrink(): void {
    if (this.#isSole() || this.#isr.length === 0) return
    const active = this.#isr.filter((id) => this.#isActive(id))
    const serving = this.#isr.filter((id) => this.#isServing(id))
    if (active.length >= this.#least()) this.#isr = active
    else if (serving.length > 0) this.#isr = serving
    else if (this.#rules.isElrEnabled) this.#isr = []
  }

  /**
   * The one replica of a partition: nobody else could lead, whatever becomes of its broker, and when
   * it is back it has all that it ever showed to anybody. Naming it again would only cost a record.
   */
  #isSole(): boolean {
    const [only] = this.#replicas
    if (this.#replicas.length !== 1 || this.#isr.length !== 1) return false
    return this.#rules.isDurable && this.#rules.isRegistered(only!)
  }

  #keepEligible(): void {
    if (!this.#rules.isElrEnabled || this.#isEnough()) return
    const { eligibleLeaderReplicas, isr } = this.#before
    const candidates = new Set([...eligibleLeaderReplicas, ...isr])
    this.#elr = [...candidates].filter(
      (id) => this.#replicas.includes(id) && !this.#isr.includes(id) && !this.#isUnfit(id),
    )
  }

  /** The newest first: who led last has at least what the others had when they left. */
  #keepLastKnown(): void {
    if (!this.#rules.isElrEnabled || this.#isEnough()) return
    const { eligibleLeaderReplicas, isr, leader, lastKnownElr } = this.#before
    const eligible = [...isr, ...eligibleLeaderReplicas]
    const known = new Set([
      ...(this.#isr.length === 0 && leader !== NO_LEADER ? [leader] : []),
      ...lastKnownElr,
      ...eligible.filter((id) => this.#doubtful.has(id)),
    ])
    this.#lastKnown = [...known].filter(
      (id) => this.#replicas.includes(id) && !this.#isr.includes(id) && !this.#lost.has(id),
    )
  }

  /** Does the ISR suffice for an acknowledgement? Then those outside may lack what is acknowledged. */
  #isEnough(): boolean {
    return this.#isr.length >= this.#least()
  }

  #least(): number {
    return Math.min(this.#rules.minInsyncReplicas, this.#replicas.length)
  }

  #elect(): void {
    const clean = this.#cleanLeader()
    if (clean !== undefined) {
      this.#leader = clean
      if (!this.#isr.includes(clean)) {
        this.#isr = [clean]
        this.#elr = this.#isEnough() ? [] : this.#elr.filter((id) => id !== clean)
      }
      this.#forgetLastKnown()
      return
    }
    const resort = this.#lastResort()
    const unclean = resort ?? this.#uncleanLeader()
    if (unclean === undefined) return
    this.#leader = unclean
    this.#isr = [unclean]
    this.#elr = []
    if (resort === undefined) this.#lastKnown = []
    this.#forgetLastKnown()
    this.#recovery = RECOVERING
  }

  /** Somebody leads: once its ISR suffices, others may lack what it acknowledges. */
  #forgetLastKnown(): void {
    const isLeft = (id: number) =>
      this.#replicas.includes(id) && !this.#isr.includes(id) && !this.#elr.includes(id)
    this.#lastKnown = this.#isEnough() ? [] : this.#lastKnown.filter(isLeft)
  }

  #cleanLeader(): number | undefined {
    const { leader } = this.#before
    const inSync = this.#replicas.filter((id) => this.#isr.includes(id))
    const active = inSync.filter((id) => this.#isActive(id))
    const [first] = this.#replicas
    if (this.#target.election === 'preferred' && active.includes(first!)) return first
    if (inSync.includes(leader)) {
      if (active.includes(leader) || this.#isSole()) return leader
      if (active.length === 0 && this.#isServing(leader)) return leader
    }
    return active[0] ?? this.#replicas.find((id) => this.#elr.includes(id) && this.#isActive(id))
  }

  /** All that had everything for sure are lost. What others may have is waited for. */
  #lastResort(): number | undefined {
    if (this.#isr.length > 0 || this.#elr.length > 0) return undefined
    const [first] = this.#lastKnown
    return first !== undefined && this.#isActive(first) ? first : undefined
  }

  /** What this leader lacks is gone: a topic or a person wants it so. */
  #uncleanLeader(): number | undefined {
    if (!this.#rules.isUncleanAllowed && this.#target.election !== 'unclean') return undefined
    const isActive = (id: number) => this.#rules.isActive(this.#seen, id)
    const known = this.#lastKnown.find(isActive)
    if (known !== undefined) return known
    const candidates = this.#replicas.filter(isActive)
    return candidates.find((id) => !this.#adding.includes(id)) ?? candidates[0]
  }

  record(topicId: string): Change | undefined {
    const before = this.#before
    const changes: { -readonly [K in keyof Change]?: Change[K] } = {}
    const isLeft = before.replicas.some((id) => !this.#replicas.includes(id))
    if (this.#leader !== before.leader || (isLeft && this.#leader !== NO_LEADER)) {
      changes.leader = this.#leader
    }
    if (!isSameSet(this.#isr, before.isr)) changes.isr = [...this.#isr]
    if (!isSameList(this.#replicas, before.replicas)) changes.replicas = [...this.#replicas]
    if (!isSameSet(this.#adding, before.addingReplicas)) changes.addingReplicas = [...this.#adding]
    if (!isSameSet(this.#removing, before.removingReplicas)) {
      changes.removingReplicas = [...this.#removing]
    }
    if (!isSameSet(this.#elr, before.eligibleLeaderReplicas)) {
      changes.eligibleLeaderReplicas = [...this.#elr]
    }
    if (!isSameList(this.#lastKnown, before.lastKnownElr)) {
      changes.lastKnownElr = [...this.#lastKnown]
    }
    if (this.#recovery !== before.leaderRecoveryState) changes.leaderRecoveryState = this.#recovery
    const directories = this.#directories()
    if (!isSameList(directories, before.directories)) changes.directories = directories
    if (Object.keys(changes).length === 0) return undefined
    return partitionChangeRecord(topicId, before.index, changes)
  }

  #directories(): string[] {
    const { replicas, directories } = this.#seen
    return this.#replicas.map((id) => {
      const at = replicas.indexOf(id)
      return (at === -1 ? undefined : directories[at]) ?? this.#rules.directoryOf(id)
    })
  }
}

function withDirectories(
  partition: PartitionImage,
  changed: ReadonlyMap<number, string> | undefined,
): PartitionImage {
  if (changed === undefined || changed.size === 0) return partition
  const { replicas, directories } = partition
  return {
    ...partition,
    directories: replicas.map((id, at) => changed.get(id) ?? directories[at]!),
  }
}

function isSameList<T>(one: readonly T[], other: readonly T[]): boolean {
  return one.length === other.length && one.every((value, at) => value === other[at])
}

function isSameSet(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((value) => other.includes(value))
}
