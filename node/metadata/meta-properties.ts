/**
 * `meta.properties`: whose a directory is. Written at the first start, in Kafka's format (version
 * 1); a directory of another node or another cluster is refused before anything in it is touched.
 */
import { assert } from '../../base/assert.ts'
import { crc32c } from '../../base/crc32c.ts'
import type { Disk, DiskLock } from '../../base/disk.ts'
import { UserError } from '../../base/errors.ts'
import type { Random } from '../../base/random.ts'
import { parseProperties } from '../config/properties.ts'

export interface MetaProperties {
  /** undefined: made before the node knew its cluster. */
  readonly clusterId: string | undefined
  readonly nodeId: number
  /** 22 characters, base64url. */
  readonly directoryId: string
}

export const META_PROPERTIES = 'meta.properties'

/** Kafka gives ids below this a meaning of their own. */
const RESERVED_IDS = 100

/** 16 bytes in base64url without padding: the last character has four bits that are zero. */
const UUID = /^[A-Za-z0-9_-]{21}[AQgw]$/

/** A new id as Kafka makes them: 16 bytes, base64url without padding, never beginning with '-'. */
export function newUuid(random: Random): string {
  for (;;) {
    const bytes = random.bytes(16)
    bytes[6] = (bytes[6]! & 0x0f) | 0x40
    bytes[8] = (bytes[8]! & 0x3f) | 0x80
    const text = bytes.toString('base64url')
    const isReserved = bytes.readBigUInt64BE(0) === 0n && bytes.readBigUInt64BE(8) < RESERVED_IDS
    if (!isReserved && !text.startsWith('-')) return text
  }
}

/** undefined when the directory is new. Throws UserError when the file can't be understood. */
export function readMetaProperties(disk: Disk, directory: string): MetaProperties | undefined {
  const path = `${directory}/${META_PROPERTIES}`
  if (!disk.exists(path)) return undefined
  const values = new Map<string, string>()
  const refuse = (why: string): never => {
    throw new UserError(`${path} ${why}: use another directory, or restore the file`)
  }
  const text = disk.readFile(path).toString('utf8')
  const origin = originOf(text)
  if (origin === 'nobody') refuse('is damaged, or was edited and still has the checksum in line 1')
  for (const { name, value } of parseProperties(text)) values.set(name, value)
  if (values.get('version') !== '1') refuse('is not of version 1')
  const nodeId = Number(values.get('node.id') ?? refuse('does not say which node.id it belongs to'))
  if (!Number.isInteger(nodeId) || nodeId < 0) refuse('has a node.id that is no number')
  const directoryId = values.get('directory.id') ?? refuse('has no directory.id')
  if (!UUID.test(directoryId)) refuse('has a directory.id that is no id')
  const clusterId = values.get('cluster.id')
  if (origin === 'kafka') {
    const odd = [...values.keys()].find((name) => !NAMES.has(name))
    if (odd !== undefined) refuse(`has a line that does not belong there: ${odd}`)
    if (clusterId === undefined) refuse('has no cluster.id')
    else if (!UUID.test(clusterId)) refuse('has a cluster.id that is no id')
  }
  return { clusterId, nodeId, directoryId }
}

/** A comment for Kafka. One changed character would make a directory another node's or cluster's. */
const CHECKSUM = '#crc32c='
/** In files of Kafka; older ones have the `broker.id` too. */
const NAMES: ReadonlySet<string> = new Set([
  'version',
  'cluster.id',
  'node.id',
  'broker.id',
  'directory.id',
])
/** Kafka's first line is an empty comment. Whoever edits a file may leave comments out. */
const KAFKA_BEGINNING = /^(#\r?\n|[a-z])/

function checksumOf(text: string): string {
  return crc32c(Buffer.from(text)).toString(16).padStart(8, '0')
}

/**
 * Who wrote it. Files of Kafka have no checksum and are believed as far as they can be, so ours must
 * not be taken for one of them when its first line is damaged too.
 */
function originOf(text: string): 'odradek' | 'kafka' | 'nobody' {
  if (!text.startsWith(CHECKSUM)) return KAFKA_BEGINNING.test(text) ? 'kafka' : 'nobody'
  const end = text.indexOf('\n')
  const isIntact = text.slice(CHECKSUM.length, end) === checksumOf(text.slice(end + 1))
  return isIntact ? 'odradek' : 'nobody'
}

async function write(disk: Disk, directory: string, meta: MetaProperties): Promise<void> {
  const lines = [
    `cluster.id=${meta.clusterId ?? ''}`,
    `directory.id=${meta.directoryId}`,
    `node.id=${meta.nodeId}`,
    'version=1',
  ].filter((line) => line !== 'cluster.id=')
  const text = `${lines.join('\n')}\n`
  const content = Buffer.from(`${CHECKSUM}${checksumOf(text)}\n${text}`)
  await disk.replaceFile(`${directory}/${META_PROPERTIES}`, content)
}

/** Makes the directory with its parents, and their names survive a power loss. */
async function makeDurably(disk: Disk, directory: string): Promise<void> {
  const changed: string[] = []
  for (let path = directory; !disk.exists(path); ) {
    const slash = path.lastIndexOf('/')
    const parent = slash > 0 ? path.slice(0, slash) : slash === 0 ? '/' : '.'
    changed.push(parent)
    if (parent === '/' || parent === '.') break
    path = parent
  }
  disk.makeDirectory(directory)
  for (const path of changed) await disk.syncDirectory(path)
}

/**
 * Locks the directory of the metadata log, unless it is one of those of the logs, which lock theirs.
 * Throws UserError when another process has it.
 */
export function lockMetadataDirectory(
  disk: Disk,
  directory: string,
  logDirectories: readonly string[],
): DiskLock | undefined {
  if (logDirectories.includes(directory)) return undefined
  disk.makeDirectory(directory)
  const lock = disk.lock(`${directory}/.lock`)
  if (lock !== undefined) return lock
  throw new UserError(
    `${directory} is in use by another process: stop it, or use another directory`,
  )
}

/** Whose the directories of this node are. */
export interface Claim {
  /** Undefined: the node has not been part of a cluster yet. */
  readonly clusterId: string | undefined
  readonly nodeId: number
  /** By directory: those of the logs in the order of the settings, and that of the metadata. */
  readonly directoryIds: ReadonlyMap<string, string>
  /** Of the directories that hold logs of topics. */
  readonly logDirectoryIds: readonly string[]
}

export interface Identity extends Claim {
  readonly clusterId: string
}

export interface IdentityOptions {
  readonly disk: Disk
  readonly random: Random
  readonly nodeId: number
  readonly directories: readonly string[]
  /** Where the metadata log lies, if not in one of the others. */
  readonly metadataDirectory?: string | undefined
  /** What the settings say; else it is what the directories say. */
  readonly clusterId?: string | undefined
}

/**
 * Checks all directories first, then completes those that are new. Throws UserError for a directory
 * of another node or cluster, or when two directories do not belong together.
 */
export async function claimDirectories(options: IdentityOptions): Promise<Claim> {
  const { disk, random, nodeId, directories } = options
  assert(directories.length > 0, 'a node has a directory')
  const all = [...new Set([...directories, options.metadataDirectory ?? directories[0]!])]
  const found = new Map<string, MetaProperties | undefined>()
  let clusterId = options.clusterId
  for (const directory of all) {
    await makeDurably(disk, directory)
    const meta = readMetaProperties(disk, directory)
    found.set(directory, meta)
    if (meta === undefined) continue
    if (meta.nodeId !== nodeId) {
      throw new UserError(
        `${directory} belongs to node ${meta.nodeId}, and this is node ${nodeId}: ` +
          'change node.id or use another directory',
      )
    }
    if (meta.clusterId !== undefined && clusterId !== undefined && meta.clusterId !== clusterId) {
      throw new UserError(foreign(directory, meta.clusterId, clusterId))
    }
    clusterId ??= meta.clusterId
  }
  const directoryIds = new Map<string, string>()
  for (const directory of all) {
    const meta = found.get(directory)
    const directoryId = meta?.directoryId ?? newUuid(random)
    directoryIds.set(directory, directoryId)
    if (meta !== undefined && meta.clusterId === clusterId) continue
    await write(disk, directory, { clusterId, nodeId, directoryId })
  }
  assert(new Set(directoryIds.values()).size === all.length, 'directory ids differ')
  const logDirectoryIds = directories.map((directory) => directoryIds.get(directory)!)
  return { clusterId, nodeId, directoryIds, logDirectoryIds }
}

/**
 * The cluster that the node is part of, once the metadata says so: written into its directories.
 * Throws UserError when they belong to another.
 */
export async function adoptClusterId(
  disk: Disk,
  claim: Claim,
  clusterId: string,
): Promise<Identity> {
  const { nodeId, directoryIds } = claim
  const [first] = directoryIds.keys()
  if (claim.clusterId !== undefined && claim.clusterId !== clusterId) {
    throw new UserError(foreign(first!, claim.clusterId, clusterId))
  }
  if (claim.clusterId === undefined) {
    for (const [directory, directoryId] of directoryIds) {
      await write(disk, directory, { clusterId, nodeId, directoryId })
    }
  }
  return { ...claim, clusterId }
}

const foreign = (directory: string, owner: string, clusterId: string) =>
  `${directory} belongs to cluster ${owner}, not to ${clusterId}: use another directory`
