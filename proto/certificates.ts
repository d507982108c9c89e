/**
 * Certificates of nodes. A certificate names its node and its cluster as one of its subject
 * alternative names, `odradek://CLUSTER-ID/nodes/NODE-ID`; names and addresses of machines mean
 * nothing between nodes. `deploy/local/certs.sh` makes such certificates.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { UserError } from '../base/errors.ts'
import type { RpcIdentity } from '../base/rpc.ts'

/** All in PEM. */
export interface NodeCertificates {
  /** The node's certificate, then those between it and an authority. */
  readonly chain: string
  /** Not encrypted. */
  readonly key: string
  /** Whose signatures are trusted. */
  readonly authorities: string
  /** Of the node's certificate. */
  readonly identity: RpcIdentity
  readonly expiresAtMs: number
}

export interface CertificateTexts {
  readonly chain: string
  readonly key: string
  /** Of the key; undefined: it is not encrypted. */
  readonly passphrase?: string | undefined
  readonly authorities: string
}

const EXAMPLE = 'make certificates with deploy/local/certs.sh'

/** Throws UserError for what a person has to mend. */
export function readCertificates(
  texts: CertificateTexts,
  nodeId: number,
  nowMs: number,
): NodeCertificates {
  const { chain, authorities } = texts
  const certificates = certificatesIn(chain, 'the certificate of this node')
  const certificate = certificates[0]!
  const trusted = certificatesIn(authorities, 'the certificate of the authority')
  const key = keyIn(texts)
  if (!certificate.checkPrivateKey(key)) {
    throw new UserError(
      `the private key does not belong to the certificate of this node: ${EXAMPLE}`,
    )
  }
  const identity = identityIn(certificate.subjectAltName)
  if (identity === undefined) {
    throw new UserError(
      'the certificate does not say whose it is; it needs the subject alternative name ' +
        `URI:${identityUri({ nodeId, clusterId: 'CLUSTER-ID' })}: ${EXAMPLE}`,
    )
  }
  if (identity.nodeId !== nodeId) {
    throw new UserError(
      `the certificate is of node ${identity.nodeId}, and this is node ${nodeId}: ` +
        'give this node its own',
    )
  }
  const expiresAtMs = Date.parse(certificate.validTo)
  if (expiresAtMs <= nowMs || Date.parse(certificate.validFrom) > nowMs) {
    const { validFrom, validTo } = certificate
    throw new UserError(`the certificate is valid from ${validFrom} to ${validTo}: make a new one`)
  }
  if (!isSigned(certificates, trusted)) {
    throw new UserError(
      'no authority of ssl.truststore has signed the certificate of this node, so no other node ' +
        `would trust it: give all nodes the ca.pem that theirs were made with, or ${EXAMPLE}`,
    )
  }
  const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { chain, key: pem, authorities, identity, expiresAtMs }
}

const ONE_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** At least one. */
function certificatesIn(pem: string, what: string): readonly X509Certificate[] {
  try {
    return (pem.match(ONE_CERTIFICATE) ?? [pem]).map((one) => new X509Certificate(one))
  } catch (error) {
    throw new UserError(`${what} can't be read as PEM: ${EXAMPLE}`, 1, { cause: error })
  }
}

/** Whether signatures lead from the first of a chain to an authority. */
function isSigned(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): boolean {
  let last = chain[0]!
  // Each of the chain once at most: it may not lead in a circle.
  for (let step = 0; step < chain.length; step++) {
    const by = (other: X509Certificate) => last.checkIssued(other) && last.verify(other.publicKey)
    if (authorities.some(by)) return true
    const next = chain.find(by)
    if (next === undefined) return false
    last = next
  }
  return false
}

function keyIn({ key, passphrase }: CertificateTexts): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? key : { key, passphrase })
  } catch (error) {
    throw new UserError(
      "the private key of this node can't be read: it has to be PEM, and ssl.key.password " +
        'has to fit',
      1,
      { cause: error },
    )
  }
}

/** The subject alternative name of a node. */
export function identityUri({ nodeId, clusterId }: RpcIdentity): string {
  return `odradek://${clusterId}/nodes/${nodeId}`
}

/** From subject alternative names as Node prints them: 'DNS:localhost, URI:odradek://...'. */
export function identityIn(names: string | undefined): RpcIdentity | undefined {
  const match = /(?:^|, )URI:odradek:\/\/([\w-]{1,64})\/nodes\/(\d{1,9})(?=, |$)/.exec(names ?? '')
  if (match === null) return undefined
  return { clusterId: match[1]!, nodeId: Number(match[2]) }
}

/** Why a node does not talk to one that has proved to be `other`; undefined when it does. */
export function refusalOf(own: RpcIdentity, other: RpcIdentity | undefined): string | undefined {
  if (other === undefined) return 'its certificate does not say which node it is'
  if (other.clusterId === own.clusterId) return undefined
  return (
    `its certificate is of cluster ${other.clusterId}, that of node ${own.nodeId} of cluster ` +
    `${own.clusterId}: correct controller.quorum.voters, or give one of them other certificates`
  )
}
