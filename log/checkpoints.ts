/**
 * Small text files in Kafka's formats, and how they are kept safe. Kafka's formats have no
 * checksum, so beside each file lies `NAME.sum` with the CRC-32C of the contents that are allowed:
 * the new one and, since two files can't change at once, the one before.
 *
 * Invariant: a file whose bytes are not those that were written is never believed.
 */
import { crc32c } from '../base/crc32c.ts'
import type { Disk } from '../base/disk.ts'
import { StorageError } from '../base/errors.ts'

export const RECOVERY_POINTS = 'recovery-point-offset-checkpoint'
export const LOG_STARTS = 'log-start-offset-checkpoint'
export const WATERMARKS = 'replication-offset-checkpoint'
export const CLEANED = 'cleaner-offset-checkpoint'
export const LEADER_EPOCHS = 'leader-epoch-checkpoint'
export const PARTITION_METADATA = 'partition.metadata'
export const CLEAN_SHUTDOWN = '.kafka_cleanshutdown'
const SUM_SUFFIX = '.sum'
const TABLE_VERSION = '0'

/** Version, number of rows, rows. */
export function renderTable(rows: readonly string[]): string {
  return [TABLE_VERSION, String(rows.length), ...rows, ''].join('\n')
}

/** The rows; undefined when the text is no such table. */
export function parseTable(text: string): string[] | undefined {
  const lines = text.split('\n')
  if (lines[0] !== TABLE_VERSION || lines.at(-1) !== '') return undefined
  const rows = lines.slice(2, -1)
  return lines[1] === String(rows.length) ? rows : undefined
}

/** By `topic-partition`, as in the directory names. */
export type Offsets = Map<string, number>

export function renderOffsets(offsets: Offsets): string {
  const rows: string[] = []
  for (const [name, offset] of offsets) {
    const dash = name.lastIndexOf('-')
    rows.push(`${name.slice(0, dash)} ${name.slice(dash + 1)} ${offset}`)
  }
  return renderTable(rows)
}

export function parseOffsets(text: string): Offsets | undefined {
  const rows = parseTable(text)
  if (rows === undefined) return undefined
  const offsets: Offsets = new Map()
  for (const row of rows) {
    const match = /^([a-zA-Z0-9._-]+) (\d{1,10}) (\d{1,16})$/.exec(row)
    if (match === null) return undefined
    offsets.set(`${match[1]}-${match[2]}`, Number(match[3]))
  }
  return offsets
}

/**
 * `topicId`: 22 characters, base64url. Kafka reads two lines; the third, which vouches, is ours.
 */
export function renderTopicId(topicId: string): string {
  const lines = `version: 0\ntopic_id: ${topicId}\n`
  return `${lines}crc32c: ${hexSum(Buffer.from(lines))}\n`
}

/** Undefined when the text is not what was written. */
export function parseTopicId(text: string): string | undefined {
  const topicId = /^version: 0\ntopic_id: ([A-Za-z0-9_-]{22})\n/.exec(text)?.[1]
  return topicId !== undefined && text === renderTopicId(topicId) ? topicId : undefined
}

function hexSum(bytes: Uint8Array): string {
  return crc32c(bytes).toString(16).padStart(8, '0')
}

/** Replaces the file and its sum, each atomically and durably. Calls for one path never overlap. */
export async function writeChecked(disk: Disk, path: string, text: string): Promise<void> {
  const content = Buffer.from(text, 'utf8')
  const before = readIfThere(disk, path)
  const sums = before === undefined ? [hexSum(content)] : [hexSum(content), hexSum(before)]
  const lines = sums.map((sum) => `${sum}\n`)
  await disk.replaceFile(path + SUM_SUFFIX, Buffer.from(lines.join(''), 'latin1'))
  await disk.replaceFile(path, content)
}

export interface CheckedText {
  readonly text: string
  /** The bytes are those of a finished write. */
  readonly isIntact: boolean
}

/** Undefined when there is no such file. */
export function readChecked(disk: Disk, path: string): CheckedText | undefined {
  const content = readIfThere(disk, path)
  if (content === undefined) return undefined
  const sums = readIfThere(disk, path + SUM_SUFFIX)?.toString('latin1') ?? ''
  const sum = hexSum(content)
  const isIntact = /^([0-9a-f]{8}\n){1,2}$/.test(sums) && sums.split('\n').includes(sum)
  return { text: content.toString('utf8'), isIntact }
}

export function readIfThere(disk: Disk, path: string): Buffer | undefined {
  try {
    return disk.readFile(path)
  } catch (error) {
    if (error instanceof StorageError && error.code === 'ENOENT') return undefined
    throw error
  }
}
