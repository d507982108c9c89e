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
  /** Whether a segment that was whole then, by the monotonic clock, is to be read again. */
  isDue(scrubbedMs: number): boolean
  /** After so many bytes. False: no more is wanted. */
  rest(bytes: number): Promise<boolean>
}

/** 'left': it was not read to its end, or is no part of the log any more. */
type Outcome = { readonly damagedFrom: number } | 'whole' | 'left'

/**
 * Offsets at which damage begins, one a segment. What is whole is not read again until it is due;
 * what is damaged is, until it is mended. Rejects with StorageError.
 */
export async function* scrubSegments(state: LogState, pace: ScrubPace): AsyncGenerator<number> {
  for (const segment of state.segments.slice(0, -1)) {
    if (!isWhole(segment) || segment.nextOffset <= state.logStartOffset) continue
    if (!pace.isDue(segment.scrubbedMs)) continue
    const outcome = await damageIn(state, segment, pace.rest.bind(pace))
    if (outcome === 'whole') segment.scrubbedMs = state.parts.clock.monotonicMs()
    if (typeof outcome === 'string' || outcome.damagedFrom < state.logStartOffset) continue
    // Read again: it may have been cut, and written anew, between two pieces.
    const again = isWhole(segment) ? await damageIn(state, segment, NO_REST) : 'left'
    if (typeof again !== 'string' && isWhole(segment)) yield again.damagedFrom
  }
}

const NO_REST = () => Promise.resolve(true)

function isWhole(segment: Segment): boolean {
  return segment.isSealed && !segment.isGone
}

async function damageIn(
  state: LogState,
  segment: Segment,
  rest: ScrubPace['rest'],
): Promise<Outcome> {
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
    if (!isWhole(segment)) return 'left'
    if (wrongAt !== undefined) return { damagedFrom: wrongAt }
    if (end.isDamaged) return { damagedFrom: end.offset }
    if (!(await rest(end.position - from.position)) || !isWhole(segment)) return 'left'
  }
  const isShort = !allowsGaps && end.offset < segment.nextOffset
  return isShort ? { damagedFrom: end.offset } : 'whole'
}
