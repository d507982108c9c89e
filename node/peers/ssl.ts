/**
 * Certificates as the settings name them, in Kafka's words: `listener.security.protocol.map` says
 * SSL for the controller listener, and `ssl.keystore.*` and `ssl.truststore.*` hold PEM.
 */
import { UserError } from '../../base/errors.ts'
import { type NodeCertificates, readCertificates } from '../../proto/certificates.ts'
import { parseProtocolMap } from '../config/listeners.ts'
import type { Settings } from '../config.ts'

export interface SslParts {
  readonly settings: Pick<Settings, 'optionalText' | 'text' | 'controllerListener' | 'nodeId'>
  /** The text of a file. */
  read(path: string): string
  readonly nowMs: number
}

/**
 * Undefined: nodes talk in the clear. Throws UserError for what a person has to mend.
 */
export function nodeCertificates(parts: SslParts): NodeCertificates | undefined {
  const { settings } = parts
  const listener = settings.controllerListener
  if (listener === undefined) return undefined
  const map = 'listener.security.protocol.map'
  const protocol = parseProtocolMap(map, settings.text(map)).get(listener.name) ?? 'PLAINTEXT'
  if (protocol === 'PLAINTEXT') return undefined
  if (protocol !== 'SSL') {
    throw new UserError(`${map}: nodes talk in PLAINTEXT or by SSL: write ${listener.name}:SSL`)
  }
  for (const store of ['ssl.keystore.type', 'ssl.truststore.type']) {
    if (settings.text(store) === 'PEM') continue
    throw new UserError(`${store} is ${settings.text(store)}, and only PEM can be read: write PEM`)
  }
  const file = settings.optionalText('ssl.keystore.location')
  const own = file === null ? undefined : readAs(parts, 'ssl.keystore.location', file)
  const texts = {
    chain: own ?? given(parts, 'ssl.keystore.certificate.chain', 'ssl.keystore.location'),
    key: own ?? given(parts, 'ssl.keystore.key', 'ssl.keystore.location'),
    passphrase: settings.optionalText('ssl.key.password') ?? undefined,
    authorities: authorities(parts),
  }
  const certificates = readCertificates(texts, settings.nodeId, parts.nowMs)
  const { clusterId } = certificates.identity
  // A cluster that makes an id of its own would refuse its own certificates.
  if (settings.optionalText('cluster.id') !== clusterId) {
    throw new UserError(
      `the certificate of this node is of cluster ${clusterId}: write cluster.id=${clusterId}`,
    )
  }
  return certificates
}

function authorities(parts: SslParts): string {
  const file = parts.settings.optionalText('ssl.truststore.location')
  if (file !== null) return readAs(parts, 'ssl.truststore.location', file)
  return given(parts, 'ssl.truststore.certificates', 'ssl.truststore.location')
}

/** PEM in a setting of its own. */
function given({ settings }: SslParts, setting: string, alternative: string): string {
  const text = settings.optionalText(setting)
  if (text !== null) return text
  throw new UserError(`nodes talk by SSL, so ${alternative} (or ${setting}) has to be set`)
}

function readAs({ read }: SslParts, setting: string, path: string): string {
  try {
    return read(path)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new UserError(`${setting}: ${path} can't be read: ${reason}`, 2, { cause: error })
  }
}
