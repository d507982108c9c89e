/** What the core wants done. Each part is told back to the core when it is. */
import type { Entry, Message, SnapshotMessage } from './messages.ts'
import type { ReadAnswer } from './state.ts'
import type { Snapshot, Vote } from './storage.ts'

export interface Ready {
  /** To be made durable -> `voteSaved`. */
  readonly vote: Vote | undefined
  /** First, and before anything else -> `truncated`. */
  readonly truncateTo: number | undefined
  /** To be appended -> `written` or `refused`; then `synced` when they are durable. */
  readonly entries: readonly Entry[]
  /** To be sent; all that they promise is durable. */
  readonly messages: readonly Message[]
  /** A part of a snapshot to be received -> `received`. */
  readonly incoming: SnapshotMessage | undefined
  /** All parts are there: to be checked and put in force -> `installed`. */
  readonly install: Snapshot | undefined
  readonly reads: readonly ReadAnswer[]
  /** Nodes to look at: somebody says that they are dead. */
  readonly suspects: readonly number[]
  /** Nodes that have lost records which they had acknowledged; they are sent again. */
  readonly losses: readonly number[]
}

export function isEmpty(ready: Ready): boolean {
  return (
    ready.vote === undefined &&
    ready.truncateTo === undefined &&
    ready.entries.length === 0 &&
    ready.messages.length === 0 &&
    ready.incoming === undefined &&
    ready.install === undefined &&
    ready.reads.length === 0 &&
    ready.suspects.length === 0 &&
    ready.losses.length === 0
  )
}
