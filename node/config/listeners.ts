/** Listeners and voters, as Kafka writes them: `NAME://host:port` and `id@host:port`. */
import { UserError } from '../../base/errors.ts'

export interface ListenerAddress {
  readonly name: string
  /** '' is every interface. */
  readonly host: string
  /** 0: any that is free (not where it is advertised). */
  readonly port: number
}

export interface VoterAddress {
  readonly id: number
  readonly host: string
  readonly port: number
}

const PORT_MAX = 65_535
const EXAMPLE = 'write for example PLAINTEXT://127.0.0.1:9092'

/** Throws UserError, which names `setting`. */
export function parseListeners(setting: string, elements: readonly string[]): ListenerAddress[] {
  const listeners = elements.map((element) => {
    const match = /^([\w.-]+):\/\/(\[[0-9a-fA-F:.%]+\]|[^:/\s]*):(\d{1,5})$/.exec(element)
    if (match === null || Number(match[3]) > PORT_MAX) {
      throw new UserError(`${setting}: '${element}' is not a listener; ${EXAMPLE}`)
    }
    const host = match[2]!.replace(/^\[|\]$/g, '')
    return { name: match[1]!.toUpperCase(), host, port: Number(match[3]) }
  })
  const names = new Set(listeners.map((listener) => listener.name))
  if (names.size !== listeners.length) {
    throw new UserError(`${setting}: each listener needs a name of its own`)
  }
  return listeners
}

/** NAME:PROTOCOL pairs. */
export function parseProtocolMap(setting: string, text: string): Map<string, string> {
  const protocols = new Map<string, string>()
  for (const pair of text.split(',').map((part) => part.trim())) {
    if (pair === '') continue
    const match = /^([\w.-]+):(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$/i.exec(pair)
    if (match === null) {
      throw new UserError(
        `${setting}: '${pair}' is not NAME:PROTOCOL; write for example CONTROLLER:PLAINTEXT`,
      )
    }
    protocols.set(match[1]!.toUpperCase(), match[2]!.toUpperCase())
  }
  return protocols
}

/** `1@host:9093`; each id once. */
export function parseVoters(setting: string, elements: readonly string[]): VoterAddress[] {
  const voters = elements.map((element) => {
    const match = /^(\d{1,10})@(\[[0-9a-fA-F:.%]+\]|[^:/@\s]+):(\d{1,5})$/.exec(element)
    if (match === null || Number(match[3]) > PORT_MAX) {
      throw new UserError(
        `${setting}: '${element}' is not a voter; write for example 1@127.0.0.1:9093`,
      )
    }
    return {
      id: Number(match[1]),
      host: match[2]!.replace(/^\[|\]$/g, ''),
      port: Number(match[3]),
    }
  })
  if (new Set(voters.map((voter) => voter.id)).size !== voters.length) {
    throw new UserError(`${setting}: each voter has an id of its own`)
  }
  return voters
}
