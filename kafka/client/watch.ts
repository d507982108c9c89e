/**
 * A node that is frozen, or cut off, keeps its connections and answers nothing: nobody hears of its
 * end but by the others. So whoever waits long for an answer asks other nodes now and then whether
 * it waits at the right place.
 */
import type { Clock, Timer } from '../../base/clock.ts'
import { type BrokerConnection, ClientError } from './connection.ts'

export interface WatchOptions {
  /** From the request to the first look. */
  readonly firstLookMs: number
  /** How often in a row others have to say it: one of them may know less than who is waited for. */
  readonly looks: number
  /** Asks other nodes. What it throws counts as no. */
  readonly isElsewhere: () => Promise<boolean>
}

const LOOK_AGAIN_MS = 100

/**
 * Waits for `answer`, which comes on `connection`. Ends the connection, so that all who wait on it
 * get ClientError 'moved', when what is asked for is elsewhere.
 */
export async function watched<T>(
  clock: Clock,
  connection: BrokerConnection,
  answer: Promise<T>,
  options: WatchOptions,
): Promise<T> {
  let isOver = false
  let timer: Timer | undefined
  let said = 0
  const look = async (): Promise<void> => {
    const isElsewhere = await options.isElsewhere().catch(() => false)
    said = isElsewhere ? said + 1 : 0
    if (isOver) return
    if (said >= options.looks) connection.abort(new ClientError('moved', 'another node took over'))
    else timer = clock.after(LOOK_AGAIN_MS, () => void look())
  }
  timer = clock.after(options.firstLookMs, () => void look())
  try {
    return await answer
  } finally {
    isOver = true
    timer.cancel()
  }
}
