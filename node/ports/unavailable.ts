/** What clients are told when the controller can't be asked: nobody leads, or it can't write. */
import { StorageError } from '../../base/errors.ts'
import { ForwardError } from '../../kafka/forward.ts'
import { Unavailable } from '../../kafka/unavailable.ts'
import {
  INVALID_REQUEST,
  KAFKA_STORAGE_ERROR,
  REQUEST_TIMED_OUT,
  UNKNOWN_SERVER_ERROR,
} from '../../kafka/wire/errors.ts'
import { NotLeaderError } from '../metadata/quorum.ts'
import { ForwardFailure } from '../peers/forwarder.ts'

/** Passes an answer of the controller on; rejects with Unavailable when there is none. */
export async function orUnavailable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    const errorCode = errorCodeOf(error)
    if (errorCode === undefined) throw error
    const { message } = error as Error
    throw new Unavailable(errorCode, message, { cause: error })
  }
}

/** Undefined: a fault of ours. */
function errorCodeOf(error: unknown): number | undefined {
  if (error instanceof NotLeaderError) return REQUEST_TIMED_OUT
  if (error instanceof StorageError) return KAFKA_STORAGE_ERROR
  if (error instanceof ForwardFailure) return UNKNOWN_SERVER_ERROR
  if (error instanceof ForwardError && error.code === 'too-large') return INVALID_REQUEST
  return undefined
}
