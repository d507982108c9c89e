/**
 * Reads the segments of one log to their ends, and says where damage begins that nobody has met yet:
 * format, CRC, length, order, leader epochs, and that a segment ends where the next one begins. The
 * active one is read as far as it was written when that began.
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
  for (const segment of [...state.segments]) {
    const { isSealed } = segment
    if (segment.isGone || segment.writtenBytes === 0) continue
    if (isSealed && segment.nextOffset <= state.logStartOffset) continue
    if (!pace.isDue(segment.scrubbedMs)) continue
    const outcome = await damageIn(state, segment, pace.rest.bind(pace))
    // One that was closed meanwhile has an end that was not read.
    const isRead = outcome === 'whole' && isSealed === segment.isSealed
    if (isRead) segment.scrubbedMs = state.parts.clock.monotonicMs()
    if (typeof outcome === 'string' || outcome.damagedFrom < state.logStartOffset) continue
    // Read again: it may have been cut, and written anew, between two pieces.
    const again = segment.isGone ? 'left' : await damageIn(state, segment, NO_REST)
    if (typeof again !== 'string') yield again.damagedFrom
  }
}

const NO_REST = () => Promise.resolve(true)

async function damageIn(
  state: LogState,
  segment: Segment,
  rest: ScrubPace['rest'],
): Promise<Outcome> {
  segment.load() // whether it has gaps
  const { baseOffset, hasGaps: allowsGaps, writtenBytes, cuts } = segment
  const nextOffset = segment.isSealed ? segment.nextOffset : state.writtenOffset
  const isAsRead = () => !segment.isGone && segment.cuts === cuts
  // What is being cut off is no part of the log, though the file has some of it still.
  const damage = (damagedFrom: number): Outcome =>
    damagedFrom < state.writtenOffset ? { damagedFrom } : 'left'
  let end: ScanEnd = { position: 0, offset: baseOffset, epoch: -1, isDamaged: false }
  while (end.position < writtenBytes) {
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
    if (!isAsRead()) return 'left'
    if (wrongAt !== undefined) return damage(wrongAt)
    if (end.isDamaged) return damage(end.offset)
    if (!(await rest(end.position - from.position)) || !isAsRead()) return 'left'
  }
  const isShort = !allowsGaps && end.offset < nextOffset
  return isShort ? damage(end.offset) : 'whole'
}
