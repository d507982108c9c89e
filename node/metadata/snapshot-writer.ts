/** An image as the batches of a checkpoint: a header, the records, a footer. */

import { encodeBatch } from '../../log/records.ts'
import type { Snapshot } from '../../raft/storage.ts'
import type { Checkpoints } from './checkpoints.ts'
import { snapshotFooterBatch, snapshotHeaderBatch } from './control-records.ts'
import { encodeRecord, type MetadataRecord } from './records.ts'

/** A batch of the file: the loop is not held up for longer. */
const BATCH_RECORDS = 500

type Id = Pick<Snapshot, 'endOffset' | 'term' | 'membership'>

export interface SnapshotContent {
  readonly records: Iterable<MetadataRecord>
  readonly nowMs: number
  readonly pause: () => Promise<void>
}

/** False: a newer snapshot came meanwhile. Rejects with StorageError. */
export function takeSnapshot(
  checkpoints: Checkpoints,
  id: Id,
  content: SnapshotContent,
): Promise<boolean> {
  return checkpoints.write(id, batchesOf(id, content), content.pause)
}

function* batchesOf(id: Id, { records, nowMs }: SnapshotContent): Generator<Buffer> {
  const options = { leaderEpoch: id.term, nowMs }
  yield snapshotHeaderBatch(id.membership, options)
  let baseOffset = 3
  let rows: { timestampMs: number; key: null; value: Buffer }[] = []
  for (const record of records) {
    rows.push({ timestampMs: nowMs, key: null, value: encodeRecord(record) })
    if (rows.length < BATCH_RECORDS) continue
    yield encodeBatch(rows, { baseOffset, leaderEpoch: id.term })
    baseOffset += rows.length
    rows = []
  }
  if (rows.length > 0) {
    yield encodeBatch(rows, { baseOffset, leaderEpoch: id.term })
    baseOffset += rows.length
  }
  yield snapshotFooterBatch({ ...options, baseOffset })
}
