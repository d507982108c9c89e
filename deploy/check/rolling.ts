/**
 * A rolling restart as an operator does it: each node is stopped, started, and ready before the next one.
 * Meanwhile an idempotent producer and a group go on; nothing that they do may fail, be lost or double.
 */
import { Load } from './load.ts'
import { pause } from './tools.ts'

const SETTLE_MS = 3000
const NODES = 3

/** `restart` stops node k, counted from 0, starts it, and waits until it is ready. */
export async function rollingRestart(
  bootstrap: string,
  restart: (k: number) => Promise<void>,
): Promise<string> {
  const load = new Load(bootstrap.split(','), 'check-restart')
  await load.start()
  let result: Awaited<ReturnType<Load['stop']>>
  try {
    await pause(SETTLE_MS)
    for (let k = 0; k < NODES; k++) await restart(k)
    await pause(SETTLE_MS)
  } finally {
    result = await load.stop()
  }
  const { sent, failures, longestSendMs, lost, doubled, unseen, megabytesPerSecond } = result
  const sums = `${failures.length} failed, ${lost} lost, ${doubled} doubled, ${unseen} unseen`
  const summary =
    `${sent} records at ${megabytesPerSecond.toFixed(1)} MB/s: ${sums}, ` +
    `longest send ${longestSendMs} ms`
  if (failures.length + lost + doubled + unseen > 0 || sent === 0) {
    throw new Error(`${summary}; ${failures[0] ?? ''}`)
  }
  return summary
}
