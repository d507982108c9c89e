/** Where the records of a log can't be read any more: all of it is read, a piece at a time. */
import { CorruptionError } from '../base/errors.ts'
import { type PartitionLog, ReadPlan } from '../log/partition-log.ts'

const PIECE_BYTES = 1024 * 1024
const CORRUPT_MESSAGE = 2

/** The offset of the first damaged record; undefined when all can be read. Rejects with StorageError. */
export async function findDamage(log: PartitionLog): Promise<number | undefined> {
  const plan = new ReadPlan()
  let target = Buffer.allocUnsafeSlow(PIECE_BYTES)
  let offset = log.logStartOffset
  while (offset < log.writtenOffset) {
    const upTo = log.writtenOffset
    log.locate(offset, upTo, plan)
    if (plan.error === CORRUPT_MESSAGE) return offset
    if (plan.error !== 0 || plan.firstBatchBytes === 0) return undefined
    if (plan.firstBatchBytes > target.length) {
      target = Buffer.allocUnsafeSlow(plan.firstBatchBytes)
    }
    offset = plan.nextOffset
    try {
      const copied = await log.copyAsync(plan, upTo, target, 0, target.length)
      if (copied === 0) return undefined
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      return offset
    }
    offset = plan.nextOffset
  }
  return undefined
}
