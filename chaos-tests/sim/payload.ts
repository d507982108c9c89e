/**
 * Values that tell who wrote them, with padding that follows from the name, so that a reader knows
 * a damaged byte from a good one.
 */
const SEPARATOR = 0x7c

/** `name` must be without '|'. */
export function encodePayload(name: string, paddingBytes: number): Buffer {
  const head = Buffer.from(`${name}|`)
  const payload = Buffer.alloc(head.length + paddingBytes)
  head.copy(payload)
  pad(payload, head.length)
  return payload
}

/** The name, or 'damaged ...' with what was found. */
export function decodePayload(payload: Buffer | null): string {
  if (payload === null) return 'damaged: no value'
  const end = payload.indexOf(SEPARATOR)
  if (end < 0) return `damaged: ${payload.toString('latin1', 0, 40)}`
  const expected = Buffer.alloc(payload.length)
  payload.copy(expected, 0, 0, end + 1)
  pad(expected, end + 1)
  if (!expected.equals(payload)) return `damaged: ${payload.toString('latin1', 0, 40)}`
  return payload.toString('latin1', 0, end)
}

function pad(payload: Buffer, from: number): void {
  let state = payload.length
  for (let i = 0; i < from; i++) state = (Math.imul(state, 31) + payload[i]!) | 0
  for (let i = from; i < payload.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    payload[i] = state >>> 24
  }
}
