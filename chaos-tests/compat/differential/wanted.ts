/** What we answer otherwise than Kafka, on purpose. */
import type { Difference } from './plain.ts'

interface Wanted {
  readonly case: RegExp
  readonly label: RegExp
  readonly path: RegExp
  readonly reason: string
}

const WANTED: readonly Wanted[] = []

/** Undefined when nobody wants it. */
export function wantedBecause(name: string, label: string, found: Difference): string | undefined {
  return WANTED.find((one) => {
    return one.case.test(name) && one.label.test(label) && one.path.test(found.path)
  })?.reason
}
