/**
 * What clients and observers saw: one format for simulated and real runs, one JSON object a line.
 * An operation is one entry with its start and its end; one that never ended has no `endMs` and an
 * outcome of 'unknown', which means that it may have happened, may not, or may happen still.
 *
 * Times are milliseconds of one clock that all entries of a history share.
 */

export type Outcome = 'ok' | 'refused' | 'unknown'

interface Timed {
  readonly client: string
  readonly startMs: number
  endMs?: number
}

/** One batch to one partition. */
export interface Send extends Timed {
  readonly op: 'send'
  /** Values of one producer are sent in the order of the entries. */
  readonly producer: string
  readonly topic: string
  readonly partition: number
  readonly acks: -1 | 0 | 1
  readonly isIdempotent: boolean
  /** Each value of a history is written by one send, once. */
  readonly values: readonly string[]
  outcome: Outcome
  /** Of the first value, when it is known. */
  offset?: number
  error?: string
}

/** One answer for one partition, or one final reading of a whole partition. */
export interface Poll extends Timed {
  readonly op: 'poll'
  /** Positions of one session go on from one poll to the next. */
  readonly session: string
  readonly topic: string
  readonly partition: number
  readonly fromOffset: number
  /** The next position. */
  readonly toOffset: number
  readonly records: readonly (readonly [offset: number, value: string])[]
}

/** ListOffsets(latest), or the end that a fetch told. */
export interface Latest extends Timed {
  readonly op: 'latest'
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export interface Owned {
  readonly topic: string
  readonly partition: number
  /** The committed offset that was found; -1: none. */
  readonly offset: number
}

/** A member of a group took a share. */
export interface Assign extends Timed {
  readonly op: 'assign'
  readonly group: string
  readonly generation: number
  readonly member: string
  /** Of a static member, which has another id after each restart. */
  readonly instance?: string
  readonly owned: readonly Owned[]
}

export interface Commit extends Timed {
  readonly op: 'commit'
  readonly group: string
  readonly generation: number
  readonly member: string
  readonly offsets: readonly Owned[]
  outcome: Outcome
  error?: string
}

/** Committed offsets as read after everything. */
export interface Committed extends Timed {
  readonly op: 'committed'
  readonly group: string
  readonly offsets: readonly Owned[]
}

/** A change of metadata, or a reading of it. */
export interface Admin extends Timed {
  readonly op: 'admin'
  readonly action: 'create' | 'delete' | 'grow' | 'configure' | 'read'
  readonly topic: string
  /** Created with, grown to, or read (0: the topic is not there). */
  partitions?: number
  /** Written or read. */
  config?: string
  /** A reading of a node's own image may be so much older than its start. */
  readonly staleMs?: number
  outcome: Outcome
  error?: string
}

/** Somebody had records deleted, up to an offset. */
export interface Trim extends Timed {
  readonly op: 'trim'
  readonly topic: string
  readonly partition: number
  readonly offset: number
  outcome: Outcome
  lowWatermark?: number
  error?: string
}

/** Somebody claims to lead: a term of the Raft group (scope 'raft') or a partition ('topic-0'). */
export interface Leader {
  readonly op: 'leader'
  readonly scope: string
  readonly epoch: number
  readonly node: number
  readonly atMs: number
}

/** What a node's disk says, when that has changed. */
export interface DurableVote {
  readonly op: 'vote'
  readonly node: number
  /** Counts what makes its disk forget: a new disk, or damage to it. */
  readonly life: number
  /** The id under which it votes since it gave up the one of its directory; else empty. */
  readonly voter: string
  readonly term: number
  /** -1: nobody. */
  readonly votedId: number
  readonly atMs: number
}

/** A member of the Raft group leads. */
export interface Elected {
  readonly op: 'elected'
  readonly term: number
  readonly node: number
  /** How many have a vote. */
  readonly voters: number
  /** Nodes on whose disks it has a vote of this term, or that are in a later one. */
  readonly backers: readonly number[]
  readonly atMs: number
}

/** A high watermark as a node shows it. */
export interface Watermark {
  readonly op: 'watermark'
  readonly scope: string
  readonly node: number
  /** Tells one life of the replica from the next: a start of the process, or a move back to it. */
  readonly boot: number
  readonly offset: number
  readonly atMs: number
}

/** A member of an ISR whose log ends before a watermark that somebody has shown. */
export interface Behind {
  readonly op: 'behind'
  readonly scope: string
  readonly node: number
  readonly isr: readonly number[]
  readonly endOffset: number
  readonly highWatermark: number
  readonly atMs: number
}

/** Something was done to the cluster. */
export interface Fault {
  readonly op: 'fault'
  readonly name: string
  readonly target: string
  readonly atMs: number
  readonly forMs: number
}

/** What a disk holds of one partition after everything: base offset and checksum of each batch. */
export interface Replica {
  readonly op: 'replica'
  readonly topic: string
  readonly partition: number
  readonly node: number
  /** What lies below it is deleted, though its file may still be there. */
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly batches: readonly (readonly [baseOffset: number, lastOffset: number, crc: number])[]
}

export type Entry =
  | Send
  | Poll
  | Latest
  | Assign
  | Commit
  | Committed
  | Admin
  | Trim
  | Leader
  | DurableVote
  | Elected
  | Watermark
  | Behind
  | Fault
  | Replica

export type History = readonly Entry[]

export interface Violation {
  readonly checker: string
  /** A sentence with the topic, the offset, the values. */
  readonly message: string
}

export function serialize(history: History): string {
  return history.map((entry) => `${JSON.stringify(entry)}\n`).join('')
}

/** Throws SyntaxError for a line that is no JSON. */
export function parse(text: string): Entry[] {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as Entry)
}

export function entriesOf<Op extends Entry['op']>(
  history: History,
  op: Op,
): Extract<Entry, { op: Op }>[] {
  return history.filter((entry): entry is Extract<Entry, { op: Op }> => entry.op === op)
}
