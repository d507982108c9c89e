/**
 * What a core wants of its storage, done beside the loop and told back to it.
 *
 * Invariants: one storage operation at a time but for the vote; while the log is cut or replaced
 * (`isBlocked`) the core is told of nothing else; after `stop` it is told of nothing at all.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import type { RaftCore } from './core.ts'
import { type Entry, endOf, type SnapshotMessage } from './messages.ts'
import type { RaftProbe } from './probe.ts'
import type { Ready } from './ready.ts'
import { type RaftStorage, type Snapshot, StorageFull, type Vote } from './storage.ts'

export interface DiskParts {
  readonly core: RaftCore
  readonly storage: RaftStorage
  readonly clock: Clock
  readonly logger: Logger
  readonly probe: RaftProbe
  /** Replaces the state machine by the storage's newest snapshot. */
  restore(snapshot: Snapshot): Promise<void>
  /** The core was told of something: it may have more to do. */
  onDone(): void
  /** There was no room for what lies behind `endOffset`: it is gone. */
  onLost(endOffset: number, error: unknown): void
  /** The state machine is that of a snapshot which ends here. */
  onRestored(endOffset: number): void
  onFailed(error: unknown): void
}

export class RaftDisk {
  /** The log is being cut or replaced. */
  isBlocked = false
  readonly #parts: DiskParts
  readonly #underWay = new Set<Promise<void>>()
  #syncing: Promise<void> | undefined = undefined
  /** The last append found no room. */
  #isFull = false
  #isStopped = false

  constructor(parts: DiskParts) {
    this.#parts = parts
  }

  /** What `ready` asks of the storage. Throws what is not for lack of room. */
  handle(ready: Ready): void {
    assert(!this.isBlocked, 'nothing is asked while the log is cut or replaced')
    if (ready.vote !== undefined) this.#saveVote(ready.vote)
    if (ready.entries.length > 0) this.#append(ready.entries)
    if (ready.truncateTo !== undefined) this.#truncate(ready.truncateTo)
    if (ready.incoming !== undefined) this.#receive(ready.incoming)
    if (ready.install !== undefined) this.#install(ready.install)
  }

  /** One sync covers all that was appended while the one before ran. */
  sync(): void {
    const { core, storage, clock, probe } = this.#parts
    const { log } = core.state
    const isDue = log.durableEnd < log.writtenEnd
    if (!isDue || this.#syncing !== undefined || this.isBlocked || this.#isStopped) return
    const startedMs = clock.monotonicMs()
    const before = log.durableEnd
    this.#syncing = this.#inBackground(storage.sync(), (endOffset) => {
      probe.syncSeconds.observe((clock.monotonicMs() - startedMs) / 1000)
      assert(this.#syncing !== undefined, 'one sync at a time')
      assert(endOffset >= before, 'what was durable stays so')
      this.#syncing = undefined
      core.synced(endOffset)
    })
  }

  stop(): void {
    this.#isStopped = true
  }

  /** Resolves when the storage is at rest. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled([...this.#underWay])
  }

  #saveVote(vote: Vote): void {
    const { core, storage } = this.#parts
    assert(vote.term <= core.state.term, 'no vote is for a term to come')
    void this.#inBackground(storage.saveVote(vote), () => core.voteSaved(vote))
  }

  #append(entries: readonly Entry[]): void {
    const { core, storage, logger, probe } = this.#parts
    assert(entries[0]!.baseOffset === core.state.log.writtenEnd, 'entries follow what is written')
    try {
      storage.append(entries)
    } catch (error) {
      if (!(error instanceof StorageFull)) throw error
      this.#appendedInPart(entries, error)
      return
    }
    if (this.#isFull) logger.info('The disk of the metadata has room again.')
    this.#isFull = false
    probe.appendedEntries += entries.length
    for (const { data } of entries) probe.appendedBytes += data.length
    core.written(entries)
  }

  /** The disk is full: what it did not take is refused, and the member goes on. */
  #appendedInPart(entries: readonly Entry[], error: StorageFull): void {
    const { core, logger, onLost } = this.#parts
    assert(error.endOffset < endOf(entries.at(-1)!), 'something was not taken')
    if (!this.#isFull) {
      logger.warn('The disk of the metadata is full: nothing is appended.', {
        error: String(error.cause ?? error),
      })
    }
    this.#isFull = true
    const kept = entries.filter((entry) => endOf(entry) <= error.endOffset)
    if (kept.length > 0) core.written(kept)
    core.refused(error.endOffset)
    onLost(error.endOffset, error.cause ?? error)
  }

  #truncate(endOffset: number): void {
    const { core, storage, logger, probe } = this.#parts
    assert(endOffset >= core.state.log.commit, 'what is committed stays')
    probe.truncations++
    logger.info('The end of the metadata log differs from the leader: it is cut.', { endOffset })
    this.#block(
      () => storage.truncateTo(endOffset),
      () => core.truncated(endOffset),
    )
  }

  #receive(message: SnapshotMessage): void {
    const { core, storage } = this.#parts
    const { snapshot, position, data } = message
    try {
      const received = storage.receivedBytes(snapshot)
      assert(received <= snapshot.sizeBytes, 'no more than there is')
      if (received === position) storage.receive(snapshot, position, data)
    } catch (error) {
      if (!(error instanceof StorageFull)) throw error
      return
    }
    core.received(message, storage.receivedBytes(snapshot))
  }

  #install(snapshot: Snapshot): void {
    const { core, storage, logger, probe, restore, onRestored } = this.#parts
    const { endOffset } = snapshot
    assert(endOffset > core.state.log.commit, 'a snapshot brings something')
    this.#block(
      async () => {
        const isWhole = await storage.install(snapshot)
        if (isWhole) await restore(snapshot)
        return isWhole
      },
      (isWhole) => {
        core.installed(snapshot, isWhole)
        if (isWhole) {
          probe.snapshotsInstalled++
          probe.snapshotSizeBytes = snapshot.sizeBytes
          logger.info('A snapshot of the metadata came from the leader.', { endOffset })
          onRestored(endOffset)
        } else logger.warn('A snapshot came damaged: it is fetched again.', { endOffset })
      },
    )
  }

  /** Nothing else happens until it is done, but for the sync before it. */
  #block<T>(run: () => Promise<T>, then: (result: T) => void): void {
    assert(!this.isBlocked, 'the log is cut or replaced once at a time')
    this.isBlocked = true
    const work = async () => {
      await this.#syncing
      return run()
    }
    void this.#inBackground(work(), (result) => {
      this.isBlocked = false
      then(result)
    })
  }

  #inBackground<T>(work: Promise<T>, then: (result: T) => void): Promise<void> {
    const { onDone, onFailed } = this.#parts
    const running = work.then(
      (result) => {
        if (this.#isStopped) return
        then(result)
        onDone()
      },
      (error: unknown) => onFailed(error),
    )
    const settled = running.catch((error: unknown) => onFailed(error))
    this.#underWay.add(settled)
    void settled.finally(() => this.#underWay.delete(settled))
    return settled
  }
}
