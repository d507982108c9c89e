/**
 * The state machine of the metadata group: committed entries become the next image, and whoever
 * listens hears of each.
 *
 * Invariants: no offset of the log is skipped or replayed twice; listeners hear of images in the
 * order of the log, after `image` has changed.
 */
import { assert } from '../../base/assert.ts'
import { decodeBatches } from '../../log/records.ts'
import { type Entry, endOf } from '../../raft/messages.ts'
import { ImageBuilder } from './apply.ts'
import type { LoadedCheckpoint } from './checkpoints.ts'
import { EMPTY_IMAGE, type MetadataImage } from './image.ts'
import { deltaBetween } from './image-delta.ts'
import type { AppliedListener } from './quorum.ts'
import { decodeRecord, type MetadataRecord } from './records.ts'
import { imageOfSnapshot } from './snapshot-records.ts'

/** Where a snapshot ends. */
export interface SnapshotEnd {
  readonly endOffset: number
  readonly term: number
}

export class ReplayedImage {
  image: MetadataImage = EMPTY_IMAGE
  /** Replayed since the last snapshot was begun or taken over. */
  bytesSinceSnapshot = 0
  readonly #listeners: AppliedListener[] = []

  /** Returns the way to end it. */
  onApplied(listener: AppliedListener): () => void {
    return addTo(this.#listeners, listener)
  }

  apply(entries: readonly Entry[]): void {
    assert(entries.length > 0, 'something was committed')
    const builder = new ImageBuilder(this.image)
    let hasRecords = false
    let expected = this.image.offset + 1
    for (const entry of entries) {
      assert(entry.baseOffset === expected, 'nothing is skipped')
      expected = endOf(entry)
      this.bytesSinceSnapshot += entry.data.length
      if (entry.kind !== 'normal') continue
      hasRecords = true
      for (const { value } of decodeBatches(entry.data)) {
        assert(value !== null, 'a metadata record has a value')
        builder.replay(decodeRecord(value))
      }
    }
    const epoch = entries.at(-1)!.term
    assert(epoch >= this.image.epoch, 'terms do not fall')
    const { image, delta } = builder.finish(expected - 1, epoch)
    this.image = image
    if (hasRecords) for (const listener of [...this.#listeners]) listener(image, delta)
  }

  /** At the start, before anybody listens. */
  load({ records }: LoadedCheckpoint, end: SnapshotEnd): void {
    assert(this.image === EMPTY_IMAGE, 'loaded once')
    this.image = imageOf(records, end)
  }

  /** A snapshot came from the leader. */
  restore({ records }: LoadedCheckpoint, end: SnapshotEnd): void {
    const before = this.image
    assert(end.endOffset > before.offset + 1, 'a snapshot brings something')
    this.image = imageOf(records, end)
    this.bytesSinceSnapshot = 0
    const delta = deltaBetween(before, this.image)
    for (const listener of [...this.#listeners]) listener(this.image, delta)
  }
}

function imageOf(records: Iterable<MetadataRecord>, { endOffset, term }: SnapshotEnd) {
  return imageOfSnapshot(records, endOffset - 1, term)
}

export function addTo<T>(list: T[], item: T): () => void {
  list.push(item)
  return () => {
    const at = list.indexOf(item)
    if (at >= 0) list.splice(at, 1)
  }
}
