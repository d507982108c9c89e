/**
 * Who a node is, and whether two nodes fit together. Both ends look at the other's hello, so both
 * know why a stream was refused.
 */
import type { RpcIdentity } from '../../base/rpc.ts'
import type { Hello } from '../../proto/generated/messages.ts'
import { SUPPORTED_FEATURES } from '../features.ts'
import { VERSION } from '../version.ts'

/** Of the .proto files: raise the first when old nodes are no longer understood. */
export const PROTOCOL_VERSIONS: readonly [min: number, max: number] = [1, 1]

export const ANY_NODE = -1

/** What a node says of itself. */
export interface SelfIdentity {
  readonly nodeId: number
  /** Of the directory with the metadata log. */
  readonly directoryId: string
  /** New at each start. */
  readonly incarnationId: string
  /** undefined until the cluster has one. */
  readonly clusterId: () => string | undefined
  /** Of controller.quorum.voters, if it is set. */
  readonly voterIds?: readonly number[]
}

/** What the other end of a stream has said of itself. */
export interface RemoteNode {
  readonly nodeId: number
  readonly directoryId: string
  readonly incarnationId: string
  readonly softwareVersion: string
  /** undefined: it has not heard of one. */
  readonly clusterId: string | undefined
  readonly voterIds: readonly number[]
}

/** `toNodeId`: whom we take the other end for; `refusal`: why we end what has just begun. */
export function helloOf(self: SelfIdentity, toNodeId: number, refusal = ''): Hello {
  const [protocolMin, protocolMax] = PROTOCOL_VERSIONS
  const [metadataVersionMin, metadataVersionMax] = metadataVersions()
  return {
    clusterId: self.clusterId() ?? '',
    nodeId: self.nodeId,
    directoryId: self.directoryId,
    incarnationId: self.incarnationId,
    softwareVersion: VERSION,
    protocolMin,
    protocolMax,
    metadataVersionMin,
    metadataVersionMax,
    toNodeId,
    refusal,
    voterIds: self.voterIds ?? [],
  }
}

export function remoteOf(hello: Hello): RemoteNode {
  const { nodeId, directoryId, incarnationId, softwareVersion, clusterId, voterIds } = hello
  return {
    nodeId,
    directoryId,
    incarnationId,
    softwareVersion,
    clusterId: clusterId === '' ? undefined : clusterId,
    voterIds,
  }
}

/** Two lists of voters found two clusters; where one is founded already, its own list counts. */
export function voterDispute(self: SelfIdentity, remote: RemoteNode): string | undefined {
  const own = [...(self.voterIds ?? [])].sort((a, b) => a - b)
  const other = [...remote.voterIds].sort((a, b) => a - b)
  if (own.length === 0 || other.length === 0 || own.join() === other.join()) return undefined
  return (
    `node ${remote.nodeId} lists the voters ${other.join(', ')}, node ${self.nodeId} ` +
    `${own.join(', ')}: make controller.quorum.voters the same`
  )
}

/** What is known of the other end before it says hello. */
export interface Expectation {
  /** Whom we called; absent: anybody. */
  readonly nodeId?: number
  /** What it has proved to be; undefined where nothing is proved. */
  readonly identity?: RpcIdentity | undefined
}

/** Why we don't talk to who sent this hello, in one sentence; undefined when we do. */
export function refusalOf(
  self: SelfIdentity,
  hello: Hello,
  expected: Expectation,
): string | undefined {
  const { nodeId: expectedId = ANY_NODE, identity } = expected
  const clusterId = self.clusterId()
  const who = `node ${hello.nodeId}`
  if (hello.protocolMin > PROTOCOL_VERSIONS[1] || hello.protocolMax < PROTOCOL_VERSIONS[0]) {
    return (
      `${who} runs ${hello.softwareVersion}, which speaks versions ${hello.protocolMin} to ` +
      `${hello.protocolMax} of the protocol between nodes; node ${self.nodeId} runs ${VERSION} ` +
      `and speaks ${PROTOCOL_VERSIONS[0]} to ${PROTOCOL_VERSIONS[1]}: upgrade the older one`
    )
  }
  if (clusterId !== undefined && hello.clusterId !== '' && clusterId !== hello.clusterId) {
    return (
      `${who} is of cluster ${hello.clusterId}, node ${self.nodeId} of cluster ${clusterId}: ` +
      'correct controller.quorum.voters, or the directories of one of them'
    )
  }
  if (identity !== undefined && identity.nodeId !== hello.nodeId) {
    return `${who} has the certificate of node ${identity.nodeId}: give each node its own`
  }
  if (identity !== undefined && clusterId !== undefined && identity.clusterId !== clusterId) {
    return (
      `the certificate of ${who} is of cluster ${identity.clusterId}, node ${self.nodeId} of ` +
      `cluster ${clusterId}: make certificates for this cluster`
    )
  }
  if (hello.nodeId === self.nodeId) {
    return `two nodes have node.id=${self.nodeId}: change one of them`
  }
  if (expectedId !== ANY_NODE && hello.nodeId !== expectedId) {
    return `node ${expectedId} was called, and ${who} answered: correct controller.quorum.voters`
  }
  if (hello.toNodeId !== ANY_NODE && hello.toNodeId !== self.nodeId) {
    return (
      `${who} called node ${hello.toNodeId}, and node ${self.nodeId} answered: ` +
      'correct controller.quorum.voters'
    )
  }
  return metadataRefusal(self, hello)
}

function metadataRefusal(self: SelfIdentity, hello: Hello): string | undefined {
  const [min, max] = metadataVersions()
  const { metadataVersionMin, metadataVersionMax } = hello
  if (metadataVersionMin <= max && metadataVersionMax >= min) return undefined
  return (
    `node ${hello.nodeId} knows metadata.version ${metadataVersionMin} to ${metadataVersionMax}, ` +
    `node ${self.nodeId} ${min} to ${max}: upgrade the older one`
  )
}

function metadataVersions(): [min: number, max: number] {
  const feature = SUPPORTED_FEATURES.find(({ name }) => name === 'metadata.version')
  return [feature?.minVersion ?? 0, feature?.maxVersion ?? 0]
}
