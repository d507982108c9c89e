/** Whoever is in sync may lead next, so it has all that is below the watermark (KIP-497). */
import { entriesOf, type History, type Violation } from './history.ts'

export function membersBehind(history: History): Violation[] {
  return entriesOf(history, 'behind')
    .filter(({ endOffset, highWatermark }) => endOffset < highWatermark)
    .map(({ scope, node, isr, endOffset, highWatermark, atMs }) => {
      const message = `${scope}: node ${node} of the ISR ${isr.join(', ')} ends at ${endOffset}, and the watermark was ${highWatermark} (${atMs} ms)`
      return { checker: 'in-sync-behind', message }
    })
}
