/** Messages as bytes and back. Bytes fields of what was decoded are views of the message. */
import { assert } from '../base/assert.ts'
import type {
  FirstFrame,
  ForwardRequest,
  ForwardResponse,
  RaftFrame,
  SessionRequest,
  SessionResponse,
  StatusRequest,
  StatusResponse,
  ThroughputRequest,
  ThroughputResponse,
} from './generated/messages.ts'
import { definitions } from './load.ts'

/** The other end sent bytes that are no such message. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

export interface MessageCodec<T> {
  /** Fields may be left out: they have their defaults then. */
  encode(message: Partial<T>): Buffer
  /** Every field is there. Throws ProtocolError. */
  decode(bytes: Buffer): T
}

export const firstFrame = codec<FirstFrame>('FirstFrame')
export const raftFrame = codec<RaftFrame>('RaftFrame')
export const sessionRequest = codec<SessionRequest>('SessionRequest')
export const sessionResponse = codec<SessionResponse>('SessionResponse')
export const forwardRequest = codec<ForwardRequest>('ForwardRequest')
export const forwardResponse = codec<ForwardResponse>('ForwardResponse')
export const statusRequest = codec<StatusRequest>('StatusRequest')
export const statusResponse = codec<StatusResponse>('StatusResponse')
export const throughputRequest = codec<ThroughputRequest>('ThroughputRequest')
export const throughputResponse = codec<ThroughputResponse>('ThroughputResponse')

interface Serializers {
  serialize(message: object): Buffer
  deserialize(bytes: Buffer): object
}

function codec<T>(name: string): MessageCodec<T> {
  let found: Serializers | undefined
  const serializers = () => {
    found ??= serializersOf(name)
    return found
  }
  return {
    encode: (message) => serializers().serialize(message),
    decode(bytes) {
      try {
        return serializers().deserialize(bytes) as T
      } catch (error) {
        throw new ProtocolError(`${bytes.length} bytes are no ${name}`, { cause: error })
      }
    },
  }
}

function serializersOf(name: string): Serializers {
  const definition = definitions()[`odradek.${name}`]
  assert(definition !== undefined && 'serialize' in definition, `${name} is in a .proto file`)
  const { serialize, deserialize } = definition as unknown as Serializers
  return { serialize, deserialize }
}
