/**
 * Collects what lived for a moment. Each message of gRPC is a fresh buffer outside of the heap, and
 * V8 answers the growth of that memory by marking the whole heap, again and again, though nothing
 * old has died. A collection of the young generation alone frees those buffers for a fraction of
 * that cost, when it comes before V8's limit.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

type Collect = (options: { readonly type: 'minor' }) => void

let collect: Collect | undefined
let spentBytes = 0

/** Little enough that V8's own limit is not met, and that the memory is still in the caches. */
const SPENT_BYTES = 12 * 1024 * 1024

/** So many bytes of fresh buffers were made, which nobody will hold for long. */
export function spendYoung(bytes: number): void {
  spentBytes += bytes
  if (spentBytes < SPENT_BYTES) return
  spentBytes = 0
  collect ??= collector()
  collect({ type: 'minor' })
}

/** The flag shows V8's function only to contexts that are made later. */
function collector(): Collect {
  setFlagsFromString('--expose-gc')
  const found: unknown = runInNewContext('globalThis.gc')
  setFlagsFromString('--no-expose-gc') // not for other contexts of this process
  return typeof found === 'function' ? (found as Collect) : () => {}
}
