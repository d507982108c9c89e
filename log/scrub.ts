/**
 * Reads the closed segments of one log to their ends, and says where damage begins that nobody has
 * met yet: format, CRC, length, order, leader epochs, and that a segment ends where the next one
 * begins.
 *
 * Invariant: damage is said only of a segment that is part of the log still, as it was read.
 */

import { leaderEpochAt } from './format.ts'
import type { LogState } from './log-state.ts'
import { type ScanEnd, scanSegment } from './scan.ts'
import type { Segment } from './segment.ts'

/** So much is read between two looks at the pace. */
const PIECE_BYTES = 262_144

export interface ScrubPace {
  /** After so many bytes. False: no more is wanted. */
  rest(bytes: number): Promise<boolean>
}

/** Offsets at which damage begins, one a segment. Rejects with StorageError. */
export async function* scrubSegments(state: LogState, pace: ScrubPace): AsyncGenerator<number> {
  for (const segment of state.segments.slice(0, -1)) {
    if (!isWhole(segment) || segment.nextOffset <= state.logStartOffset) continue
    const offset = await damageIn(state, segment, pace)
    if (offset === undefined || offset < state.logStartOffset) continue
    // Read again: it may have been cut, and written anew, between two pieces.
    const again = isWhole(segment) ? await damageIn(state, segment, NO_PACE) : undefined
    if (again !== undefined && isWhole(segment)) yield again
  }
}

const NO_PACE: ScrubPace = { rest: () => Promise.resolve(true) }

function isWhole(segment: Segment): boolean {
  return segment.isSealed && !segment.isGone
}

async function damageIn(
  state: LogState,
  segment: Segment,
  pace: ScrubPace,
): Promise<number | undefined> {
  segment.load() // whether it has gaps
  const { baseOffset, hasGaps: allowsGaps } = segment
  let end: ScanEnd = { position: 0, offset: baseOffset, epoch: -1, isDamaged: false }
  while (end.position < segment.writtenBytes) {
    const from: ScanEnd = end
    let wrongAt: number | undefined
    end = await scanSegment(
      segment,
      { ...from, allowsGaps, pieceBytes: PIECE_BYTES },
      (buffer, at, _next, position, base, last) => {
        const isKnown = base >= state.logStartOffset
        const isRight = !isKnown || leaderEpochAt(buffer, at) === state.epochs.at(base)
        if (!isRight || !segment.agreesWithIndex(position, last)) wrongAt = base
        return wrongAt !== undefined
      },
    )
    if (!isWhole(segment)) return undefined
    if (wrongAt !== undefined) return wrongAt
    if (end.isDamaged) return end.offset
    if (!(await pace.rest(end.position - from.position)) || !isWhole(segment)) return undefined
  }
  return !allowsGaps && end.offset < segment.nextOffset ? end.offset : undefined
}
