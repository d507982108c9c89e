/**
 * What the members of a group of consumers write into their metadata and assignments. A broker
 * hands these on unread; it looks into them to know which topics a group reads (their offsets are
 * neither deleted nor expired), and to show people who has what. All versions begin like version 0.
 */
import { Reader, WireError } from '../../../kafka/wire/reader.ts'

export const CONSUMER_PROTOCOL_TYPE = 'consumer'

export interface AssignedTopic {
  readonly topic: string
  readonly partitions: readonly number[]
}

/** Undefined when the bytes are of another protocol. */
export function subscribedTopics(metadata: Buffer): readonly string[] | undefined {
  return read(metadata, (reader) => list(reader, 2, () => reader.text(reader.stringLength())))
}

/** Undefined when the bytes are of another protocol; no bytes are no partitions. */
export function assignedTopics(assignment: Buffer): readonly AssignedTopic[] | undefined {
  if (assignment.length === 0) return []
  return read(assignment, (reader) =>
    list(reader, 6, () => ({
      topic: reader.text(reader.stringLength()),
      partitions: list(reader, 4, () => reader.int32()),
    })),
  )
}

function list<T>(reader: Reader, elementBytesMin: number, element: () => T): T[] {
  const count = reader.count(reader.int32(), elementBytesMin)
  return Array.from({ length: count }, element)
}

function read<T>(bytes: Buffer, body: (reader: Reader) => T): T | undefined {
  const reader = new Reader(bytes, 0, bytes.length)
  reader.budget = Number.POSITIVE_INFINITY
  try {
    return reader.int16() < 0 ? undefined : body(reader)
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}
