/**
 * Term and vote, the two things that a voter must never forget, and how far its log reached at
 * least: one that is shorter has lost records that were promised. One small file with two slots of
 * the same content, each with its checksum, written one after the other with a sync after each: one
 * torn write or one damaged slot costs nothing. A vote counts from the first sync on; the second
 * slot follows before the next vote. When both are unreadable the node must not vote.
 */
import { assert } from '../../base/assert.ts'
import { crc32c } from '../../base/crc32c.ts'
import type { Disk, DiskFile } from '../../base/disk.ts'
import { CorruptionError } from '../../base/errors.ts'

export interface Vote {
  readonly term: number
  /** -1: none in this term. */
  readonly votedId: number
  /** 22 characters; of the voter that was voted for. */
  readonly votedDirectoryId: string
}

export const QUORUM_STATE = 'quorum-state'
export const NO_VOTE: Vote = { term: 0, votedId: -1, votedDirectoryId: 'AAAAAAAAAAAAAAAAAAAAAA' }

/** A sector each, so that a torn write can't reach the other. */
const SLOT_BYTES = 4096
const MAGIC = 0x6f647173
const FORMAT = 2
// crc32c, magic, format, sequence (8), term (8), votedId, votedDirectoryId (16), logEnd (8)
const CONTENT_BYTES = 4 + 4 + 4 + 8 + 8 + 4 + 16 + 8
/** The first format did not know the log's end. */
const CONTENT_BYTES_1 = CONTENT_BYTES - 8

interface Slot extends Vote {
  readonly sequence: number
  readonly logEnd: number
}

function encode(slot: Slot): Buffer {
  const buffer = Buffer.alloc(SLOT_BYTES)
  buffer.writeUInt32BE(MAGIC, 4)
  buffer.writeUInt32BE(FORMAT, 8)
  buffer.writeBigUInt64BE(BigInt(slot.sequence), 12)
  buffer.writeBigUInt64BE(BigInt(slot.term), 20)
  buffer.writeInt32BE(slot.votedId, 28)
  assert(Buffer.from(slot.votedDirectoryId, 'base64url').copy(buffer, 32) === 16)
  buffer.writeBigUInt64BE(BigInt(slot.logEnd), 48)
  buffer.writeUInt32BE(crc32c(buffer, 4, CONTENT_BYTES), 0)
  return buffer
}

function decode(buffer: Buffer): Slot | undefined {
  if (buffer.length < CONTENT_BYTES) return undefined
  const format = buffer.readUInt32BE(8)
  if (buffer.readUInt32BE(4) !== MAGIC || (format !== FORMAT && format !== 1)) return undefined
  const end = format === 1 ? CONTENT_BYTES_1 : CONTENT_BYTES
  if (buffer.readUInt32BE(0) !== crc32c(buffer, 4, end)) return undefined
  return {
    sequence: Number(buffer.readBigUInt64BE(12)),
    term: Number(buffer.readBigUInt64BE(20)),
    votedId: buffer.readInt32BE(28),
    votedDirectoryId: buffer.subarray(32, 48).toString('base64url'),
    logEnd: format === 1 ? 0 : Number(buffer.readBigUInt64BE(48)),
  }
}

export class QuorumState {
  readonly #file: DiskFile
  #slot: Slot
  /** One write at a time: each takes over what the one before has saved, in both slots. */
  #writing: Promise<void> = Promise.resolve()
  /** The second slot could not be written. */
  #failure: unknown

  private constructor(file: DiskFile, slot: Slot) {
    this.#file = file
    this.#slot = slot
  }

  /** Throws CorruptionError when there is a file and no slot of it can be read. */
  static async open(disk: Disk, directory: string): Promise<QuorumState> {
    const path = `${directory}/${QUORUM_STATE}`
    const isNew = !disk.exists(path)
    const file = disk.open(path, 'write')
    if (isNew || file.size() === 0) {
      const state = new QuorumState(file, { ...NO_VOTE, sequence: 0, logEnd: 0 })
      await state.#write({ ...NO_VOTE, sequence: 1, logEnd: 0 })
      await state.#put(state.#slot, SLOT_BYTES)
      await disk.syncDirectory(directory)
      return state
    }
    const slots = [0, 1].map((at) => {
      const buffer = Buffer.alloc(SLOT_BYTES)
      const length = file.read(buffer, 0, SLOT_BYTES, at * SLOT_BYTES)
      return decode(buffer.subarray(0, length))
    })
    const newest = slots
      .filter((slot) => slot !== undefined)
      .sort((one, other) => other.sequence - one.sequence)[0]
    if (newest === undefined) {
      file.close()
      throw new CorruptionError(path, 'neither slot can be read: this node must not vote')
    }
    // The sync of the process before this one may have failed: then readers see a vote that the
    // device does not have, and that no later sync would bring there. Written again, it is durable.
    const state = new QuorumState(file, newest)
    await state.#write({ ...newest, sequence: newest.sequence + 1 })
    await state.#put(state.#slot, SLOT_BYTES)
    return state
  }

  get vote(): Vote {
    return this.#slot
  }

  /** The log reached at least so far, durably, when this was saved. */
  get logEnd(): number {
    return this.#slot.logEnd
  }

  /** Durable when it resolves. Terms never go back, and there is one vote a term. */
  save(vote: Vote, logEnd = this.#slot.logEnd): Promise<void> {
    return this.#next(async () => {
      const { term, votedId, votedDirectoryId } = vote
      const before = this.#slot
      assert(term >= before.term, 'terms do not go back')
      const isFree = term > before.term || before.votedId === -1
      assert(isFree || before.votedId === votedId, 'one vote a term')
      await this.#write({
        term,
        votedId,
        votedDirectoryId,
        sequence: before.sequence + 1,
        logEnd: Math.max(logEnd, before.logEnd),
      })
    })
  }

  /** The log is durable up to there. Durable when it resolves. */
  raiseLogEnd(logEnd: number): Promise<void> {
    return this.#next(async () => {
      if (logEnd <= this.#slot.logEnd) return
      await this.#write({ ...this.#slot, sequence: this.#slot.sequence + 1, logEnd })
    })
  }

  /** Before the end of the log is cut off on purpose. Durable when it resolves. */
  lowerLogEnd(logEnd: number): Promise<void> {
    return this.#next(async () => {
      if (logEnd >= this.#slot.logEnd) return
      await this.#write({ ...this.#slot, sequence: this.#slot.sequence + 1, logEnd })
    })
  }

  /** Resolves when both slots are the same. No other call may follow. */
  async close(): Promise<void> {
    await this.#writing
    this.#file.close()
  }

  /** Lets go of the file at once. */
  abandon(): void {
    this.#file.close()
  }

  #next(run: () => Promise<void>): Promise<void> {
    const running = this.#writing.then(() => {
      if (this.#failure !== undefined) throw this.#failure
      return run()
    })
    this.#writing = running.then(
      () => this.#copy(),
      () => undefined,
    )
    return running
  }

  async #write(slot: Slot): Promise<void> {
    await this.#put(slot, 0)
    this.#slot = slot
  }

  async #copy(): Promise<void> {
    try {
      await this.#put(this.#slot, SLOT_BYTES)
    } catch (error) {
      this.#failure = error
    }
  }

  async #put(slot: Slot, position: number): Promise<void> {
    const buffer = encode(slot)
    this.#file.write(buffer, 0, SLOT_BYTES, position)
    await this.#file.sync()
    const check = Buffer.alloc(SLOT_BYTES)
    this.#file.read(check, 0, SLOT_BYTES, position)
    if (!check.equals(buffer)) {
      throw new CorruptionError(this.#file.path, 'what was written is not what is read')
    }
  }
}
