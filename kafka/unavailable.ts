/**
 * What a port of the control plane rejects with when the answer has to come from elsewhere and
 * can't be had: no controller answers in time, say. Handlers turn it into an answer with this code
 * in each of its parts, as far as their API has a place for it; so clients try again by themselves.
 */
export class Unavailable extends Error {
  override readonly name = 'Unavailable'
  /** Kafka's. */
  readonly errorCode: number
  constructor(errorCode: number, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.errorCode = errorCode
  }
}
