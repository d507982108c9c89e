/**
 * Files of snapshots beside the metadata log, named as Kafka names them: end offset and epoch.
 *
 * Invariant: a file under its final name is whole and durable; what is being written or received
 * lies under a name of its own, and is removed at the next start.
 */
import { assert } from '../../base/assert.ts'
import { crc32c } from '../../base/crc32c.ts'
import type { Disk, DiskFile } from '../../base/disk.ts'
import { CorruptionError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import { CONTROL_SNAPSHOT_FOOTER, CONTROL_SNAPSHOT_HEADER } from '../../log/format.ts'
import { decodeBatch, readBatchHeader, verifyBatch } from '../../log/records.ts'
import type { Membership, SnapshotId } from '../../raft/messages.ts'
import type { Snapshot } from '../../raft/storage.ts'
import { readControlRecord } from './control-records.ts'
import { decodeRecord, type MetadataRecord } from './records.ts'

const NAME = /^(\d{20})-(\d{10})\.checkpoint$/
const PARTIAL = /\.checkpoint\.(part|new)$/
const READ_BYTES = 1024 * 1024

export function checkpointName(endOffset: number, term: number): string {
  return `${String(endOffset).padStart(20, '0')}-${String(term).padStart(10, '0')}.checkpoint`
}

export interface LoadedCheckpoint {
  readonly membership: Membership
  readonly records: readonly MetadataRecord[]
}

/** Reads a whole one. Throws CorruptionError. */
export function readCheckpoint(path: string, bytes: Buffer): LoadedCheckpoint {
  const records: MetadataRecord[] = []
  let membership: Membership | undefined
  let isBegun = false
  let isEnded = false
  for (let at = 0; at < bytes.length; ) {
    const sizeBytes = verifyBatch(bytes, at, bytes.length)
    if (sizeBytes === 0) throw new CorruptionError(path, 'it is cut off')
    const { isControl } = readBatchHeader(bytes, at)
    if (isEnded) throw new CorruptionError(path, 'it goes on behind its end')
    for (const { key, value } of decodeBatch(bytes, at, at + sizeBytes)) {
      if (!isControl) {
        if (!isBegun || value === null) throw new CorruptionError(path, 'a record out of place')
        records.push(decodeRecord(value))
        continue
      }
      const control = readControlRecord(key, value)
      if (control.type === CONTROL_SNAPSHOT_HEADER) isBegun = true
      if (control.type === CONTROL_SNAPSHOT_FOOTER) isEnded = true
      membership = control.membership ?? membership
    }
    at += sizeBytes
  }
  if (!isEnded || membership === undefined) throw new CorruptionError(path, 'it is not whole')
  return { membership, records }
}

interface Incoming {
  readonly id: SnapshotId
  readonly file: DiskFile
  bytes: number
  crc: number
}

export class Checkpoints {
  newest: Snapshot | undefined = undefined
  /** The newest one can't be sent: another is needed. */
  onDamaged: () => void = () => {}
  #isDamaged = false
  readonly #disk: Disk
  readonly #logger: Logger
  readonly #directory: string
  #reading: { readonly name: string; readonly file: DiskFile } | undefined
  #incoming: Incoming | undefined

  constructor(disk: Disk, directory: string, logger: Logger) {
    this.#disk = disk
    this.#logger = logger
    this.#directory = directory
  }

  /** Finds the newest one that is whole; removes what was never finished, and what is damaged. */
  async open(): Promise<LoadedCheckpoint | undefined> {
    const names: string[] = []
    for (const { name } of this.#disk.list(this.#directory)) {
      if (PARTIAL.test(name)) await this.#disk.remove(this.#path(name))
      else if (NAME.test(name)) names.push(name)
    }
    for (const name of names.sort().reverse()) {
      try {
        return this.#load(name)
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error
        this.#logger.warn('A snapshot of the metadata is damaged.', { error: error.message })
        await this.#disk.remove(this.#path(name))
      }
    }
    return undefined
  }

  #load(name: string): LoadedCheckpoint {
    const path = this.#path(name)
    const bytes = this.#disk.readFile(path)
    const loaded = readCheckpoint(path, bytes)
    const match = NAME.exec(name)
    assert(match !== null, 'a name of a checkpoint')
    this.newest = {
      endOffset: Number(match[1]),
      term: Number(match[2]),
      sizeBytes: bytes.length,
      checksum: crc32c(bytes, 0, bytes.length),
      membership: loaded.membership,
    }
    return loaded
  }

  /** The content of the newest one. Throws CorruptionError. */
  read(): LoadedCheckpoint {
    assert(this.newest !== undefined, 'there is a snapshot')
    const path = this.#path(checkpointName(this.newest.endOffset, this.newest.term))
    return readCheckpoint(path, this.#disk.readFile(path))
  }

  readPart(id: SnapshotId, position: number, lengthBytes: number): Buffer {
    const name = checkpointName(id.endOffset, id.term)
    if (this.#reading?.name !== name) {
      this.#reading?.file.close()
      this.#reading = { name, file: this.#disk.open(this.#path(name), 'read') }
      this.#check(name, id)
    }
    const part = Buffer.alloc(lengthBytes)
    const length = this.#reading.file.read(part, 0, lengthBytes, position)
    assert(length === lengthBytes, 'a part lies within the file')
    return part
  }

  /** What is about to be sent. The receiver refuses what is damaged; here it is made anew. */
  #check(name: string, id: SnapshotId): void {
    const bytes = this.#disk.readFile(this.#path(name))
    if (bytes.length === id.sizeBytes && crc32c(bytes) === id.checksum) return
    this.#logger.error('A snapshot of the metadata is damaged: it is written anew.', { name })
    this.#isDamaged = true
    this.onDamaged()
  }

  /**
   * Writes batches one after the other, with a pause after each. Durable, and the newest, when it
   * resolves. False: a newer one came meanwhile.
   */
  async write(
    id: Pick<Snapshot, 'endOffset' | 'term' | 'membership'>,
    batches: Iterable<Buffer>,
    pause: () => Promise<void>,
  ): Promise<boolean> {
    const name = checkpointName(id.endOffset, id.term)
    const path = this.#path(`${name}.new`)
    if (this.#disk.exists(path)) await this.#disk.remove(path)
    const file = this.#disk.open(path, 'new')
    let sizeBytes = 0
    let checksum = 0
    try {
      for (const batch of batches) {
        file.write(batch, 0, batch.length, sizeBytes)
        sizeBytes += batch.length
        checksum = crc32c(batch, 0, batch.length, checksum)
        await pause()
      }
      await file.sync()
    } catch (error) {
      file.close()
      await this.#disk.remove(path)
      throw error
    }
    file.close()
    const newestEnd = this.newest?.endOffset ?? -1
    if (newestEnd > id.endOffset || (newestEnd === id.endOffset && !this.#isDamaged)) {
      await this.#disk.remove(path)
      return false
    }
    await this.#adopt(path, { ...id, sizeBytes, checksum })
    return true
  }

  async #adopt(path: string, snapshot: Snapshot): Promise<void> {
    const name = checkpointName(snapshot.endOffset, snapshot.term)
    if (this.#reading?.name === name) {
      this.#reading.file.close()
      this.#reading = undefined
    }
    this.#disk.rename(path, this.#path(name))
    await this.#disk.syncDirectory(this.#directory)
    this.newest = snapshot
    this.#isDamaged = false
    for (const other of this.#disk.list(this.#directory)) {
      if (!NAME.test(other.name) || other.name >= name) continue
      if (this.#reading?.name === other.name) {
        this.#reading.file.close()
        this.#reading = undefined
      }
      await this.#disk.remove(this.#path(other.name))
    }
  }

  receivedBytes(id: SnapshotId): number {
    const incoming = this.#incoming
    if (incoming === undefined) return 0
    const { endOffset, term, sizeBytes, checksum } = incoming.id
    const isSame =
      endOffset === id.endOffset &&
      term === id.term &&
      sizeBytes === id.sizeBytes &&
      checksum === id.checksum
    return isSame ? incoming.bytes : 0
  }

  receive(id: SnapshotId, position: number, data: Buffer): void {
    if (position === 0) this.#begin(id)
    const incoming = this.#incoming
    assert(incoming !== undefined && incoming.bytes === position, 'parts follow each other')
    incoming.file.write(data, 0, data.length, position)
    incoming.bytes += data.length
    incoming.crc = crc32c(data, 0, data.length, incoming.crc)
  }

  #begin(id: SnapshotId): void {
    this.#incoming?.file.close()
    const path = this.#path(`${checkpointName(id.endOffset, id.term)}.part`)
    this.#incoming = { id, file: this.#disk.open(path, 'write'), bytes: 0, crc: 0 }
  }

  /** False: what was received is not what was sent, and is gone. */
  async install(snapshot: Snapshot): Promise<boolean> {
    const incoming = this.#incoming
    assert(incoming !== undefined && incoming.bytes === snapshot.sizeBytes, 'all is there')
    this.#incoming = undefined
    const { file, crc } = incoming
    const { path } = file
    if (file.size() > snapshot.sizeBytes) await file.truncate(snapshot.sizeBytes)
    await file.sync()
    const isWhole = crc === snapshot.checksum && isReadable(path, file)
    file.close()
    if (!isWhole) {
      await this.#disk.remove(path)
      return false
    }
    await this.#adopt(path, snapshot)
    return true
  }

  close(): void {
    this.#reading?.file.close()
    this.#incoming?.file.close()
    this.#reading = undefined
    this.#incoming = undefined
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`
  }
}

/** What is on the disk now, read again: the checksum was taken of what came. */
function isReadable(path: string, file: DiskFile): boolean {
  const bytes = Buffer.alloc(file.size())
  for (let at = 0; at < bytes.length; at += READ_BYTES) {
    file.read(bytes, at, Math.min(READ_BYTES, bytes.length - at), at)
  }
  try {
    readCheckpoint(path, bytes)
    return true
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error
    return false
  }
}
