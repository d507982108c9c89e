/**
 * The bytes of a Fetch request, v4 to v18. `check` walks the whole of it and keeps its fixed
 * fields; `readPartitions` and `readForgotten` then go over the lists, which are known to be well
 * formed.
 */
import { ELEMENTS_MAX, type Reader, WireError } from '../wire/reader.ts'
import { type InternTable, racks, topicIds, topicNames } from './interned.ts'

export const FLEXIBLE_SINCE = 12
export const TOPIC_IDS_SINCE = 13
const REPLICA_ID_UNTIL = 14
const SESSIONS_SINCE = 7
const LOG_START_SINCE = 5
const LEADER_EPOCH_SINCE = 9
const LAST_FETCHED_EPOCH_SINCE = 12
const RACK_SINCE = 11
const UUID_BYTES = 16
const REPLICA_STATE_TAG = 1
/**
 * Each costs an object while the request waits, so that a small frame could ask for much memory.
 */
const PARTITIONS_MAX = 32_768

/** Takes the partitions of a request. */
export interface PartitionSink {
  addPartition(
    topicKey: string,
    index: number,
    leaderEpoch: number,
    fetchOffset: number,
    lastFetchedEpoch: number,
    maxBytes: number,
  ): void
}

export class FetchRequest {
  version = 0
  replicaId = -1
  maxWaitMs = 0
  minBytes = 0
  maxBytes = 0
  isCommitted = false
  sessionId = 0
  sessionEpoch = -1
  /** Where the reader is (KIP-392); '' when it does not say. */
  rack = ''
  partitionCount = 0
  #topicsAt = 0
  #forgottenAt = 0
  readonly #names: InternTable = topicNames()
  readonly #ids: InternTable = topicIds()
  readonly #racks: InternTable = racks()

  get isFlexible(): boolean {
    return this.version >= FLEXIBLE_SINCE
  }

  get usesTopicIds(): boolean {
    return this.version >= TOPIC_IDS_SINCE
  }

  /** `reader` stands behind the header. Throws WireError. */
  check(reader: Reader, version: number): void {
    reader.elements = ELEMENTS_MAX
    this.version = version
    this.partitionCount = 0
    this.replicaId = version <= REPLICA_ID_UNTIL ? reader.int32() : -1
    this.maxWaitMs = reader.int32()
    this.minBytes = reader.int32()
    this.maxBytes = reader.int32()
    const isolation = reader.int8()
    if (isolation !== 0 && isolation !== 1) throw new WireError(`isolation level ${isolation}`)
    this.isCommitted = isolation === 1
    this.sessionId = version >= SESSIONS_SINCE ? reader.int32() : 0
    this.sessionEpoch = version >= SESSIONS_SINCE ? reader.int32() : -1
    this.#topicsAt = reader.position
    this.#checkTopics(reader)
    this.#forgottenAt = reader.position
    if (version >= SESSIONS_SINCE) this.#checkForgotten(reader)
    this.rack = version >= RACK_SINCE ? this.#readRack(reader) : ''
    if (this.isFlexible) this.#checkTags(reader)
    if (reader.position !== reader.end) {
      throw new WireError(`${reader.end - reader.position} bytes after the message`)
    }
  }

  #checkTopics(reader: Reader): void {
    const { isFlexible } = this
    const fixedBytes = this.#partitionBytes()
    const topics = this.#count(reader, 3)
    for (let t = 0; t < topics; t++) {
      this.#checkTopic(reader)
      const partitions = this.#count(reader, fixedBytes)
      this.partitionCount += partitions
      if (this.partitionCount > PARTITIONS_MAX) {
        throw new WireError(`a fetch of more than ${PARTITIONS_MAX} partitions`)
      }
      for (let p = 0; p < partitions; p++) {
        reader.take(fixedBytes)
        if (isFlexible) reader.skipTags()
      }
      if (isFlexible) reader.skipTags()
    }
  }

  #checkForgotten(reader: Reader): void {
    const topics = this.#count(reader, 3)
    for (let t = 0; t < topics; t++) {
      this.#checkTopic(reader)
      reader.take(this.#count(reader, 4) * 4)
      if (this.isFlexible) reader.skipTags()
    }
  }

  #readRack(reader: Reader): string {
    const length = this.isFlexible ? reader.compactLength() : reader.stringLength()
    const at = reader.position
    reader.skipText(length)
    return length === 0 ? '' : this.#racks.get(reader.buffer, at, at + length)
  }

  #checkTopic(reader: Reader): void {
    if (this.usesTopicIds) reader.take(UUID_BYTES)
    else reader.skipText(this.isFlexible ? reader.compactLength() : reader.stringLength())
  }

  /** The last tagged section: since v15 it says whether a replica asks. */
  #checkTags(reader: Reader): void {
    const declared = reader.uvarint()
    let previous = -1
    for (let i = 0; i < declared; i++) {
      previous = reader.tag(previous)
      const end = reader.tagEnd()
      if (previous === REPLICA_STATE_TAG && this.version > REPLICA_ID_UNTIL) {
        this.replicaId = reader.int32()
        if (reader.position > end) throw new WireError('a tagged field is too short')
      }
      reader.skipTag(i, end)
    }
  }

  #partitionBytes(): number {
    const { version } = this
    return (
      4 +
      (version >= LEADER_EPOCH_SINCE ? 4 : 0) +
      8 +
      (version >= LAST_FETCHED_EPOCH_SINCE ? 4 : 0) +
      (version >= LOG_START_SINCE ? 8 : 0) +
      4
    )
  }

  #count(reader: Reader, elementBytesMin: number): number {
    return reader.count(this.#length(reader), elementBytesMin)
  }

  #length(reader: Reader): number {
    return this.isFlexible ? reader.compactLength() : reader.int32()
  }

  #topicKey(reader: Reader): string {
    if (this.usesTopicIds) {
      const at = reader.take(UUID_BYTES)
      return this.#ids.get(reader.buffer, at, at + UUID_BYTES)
    }
    const length = this.isFlexible ? reader.compactLength() : reader.stringLength()
    const at = reader.take(length)
    return this.#names.get(reader.buffer, at, at + length)
  }

  readPartitions(reader: Reader, sink: PartitionSink): void {
    const { version, isFlexible } = this
    reader.position = this.#topicsAt
    const topics = this.#length(reader)
    for (let t = 0; t < topics; t++) {
      const topicKey = this.#topicKey(reader)
      const partitions = this.#length(reader)
      for (let p = 0; p < partitions; p++) {
        const index = reader.int32()
        const leaderEpoch = version >= LEADER_EPOCH_SINCE ? reader.int32() : -1
        const fetchOffset = reader.int64Saturated()
        const lastFetchedEpoch = version >= LAST_FETCHED_EPOCH_SINCE ? reader.int32() : -1
        if (version >= LOG_START_SINCE) reader.take(8) // only replicas have one
        const maxBytes = reader.int32()
        if (isFlexible) reader.skipTags()
        sink.addPartition(topicKey, index, leaderEpoch, fetchOffset, lastFetchedEpoch, maxBytes)
      }
      if (isFlexible) reader.skipTags()
    }
  }

  readForgotten(reader: Reader, forget: (topicKey: string, index: number) => void): void {
    if (this.version < SESSIONS_SINCE) return
    reader.position = this.#forgottenAt
    const topics = this.#length(reader)
    for (let t = 0; t < topics; t++) {
      const topicKey = this.#topicKey(reader)
      const partitions = this.#length(reader)
      for (let p = 0; p < partitions; p++) forget(topicKey, reader.int32())
      if (this.isFlexible) reader.skipTags()
    }
  }
}
