/** Assertions stay on in production: a broken invariant ends the process before it can do harm. */

export class AssertionFailed extends Error {
  override readonly name = 'AssertionFailed'
}

/** Throws AssertionFailed when `condition` is false. `message` states what should have held. */
export function assert(condition: boolean, message = 'invariant'): asserts condition {
  if (!condition) throw new AssertionFailed(`assertion failed: ${message}`)
}

/** For the branch that the types say can't be reached. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`unreachable: ${String(value)}`)
}
