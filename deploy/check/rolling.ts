/**
 * A rolling restart as an operator does it: each node is stopped, started, and ready before the next one.
 * Meanwhile an idempotent producer and a group go on; nothing that they do may fail, be lost or double,
 * and no partition may be silent for long.
 */
import { availableParallelism, loadavg } from 'node:os'
import { Load } from './load.ts'
import { pause } from './tools.ts'

const SETTLE_MS = 3000
/** In which the same load meets no restart: what is silence here is the machine's. */
const CALM_MS = 6000
const NODES = 3
/** What a restart may cost a partition, where nothing else runs; as often more as tasks wait for each core. */
const PAUSE_MAX_MS = 500
/**
 * A send that meets a restart makes four trips where others make one: it is refused, or its connection
 * ends; it asks who leads; it is sent to the new leader, who first has to hear that it leads. On a
 * machine that does much else each of them may take as long as the slowest of calm times.
 */
const TRIPS = 4

/** `restart` stops node k, counted from 0, starts it, and waits until it is ready. */
export async function rollingRestart(
  bootstrap: string,
  restart: (k: number) => Promise<void>,
): Promise<string> {
  const load = new Load(bootstrap.split(','), 'check-restart')
  await load.start()
  let result: Awaited<ReturnType<Load['stop']>>
  let calmMs = 0
  const loadBefore = waitingPerCore()
  let pauseMs = 0
  try {
    await pause(SETTLE_MS)
    load.takePauseMs()
    await pause(CALM_MS)
    calmMs = load.takePauseMs()
    for (let k = 0; k < NODES; k++) await restart(k)
    await pause(SETTLE_MS)
    pauseMs = load.takePauseMs()
  } finally {
    result = await load.stop()
  }
  const { sent, failures, longestSendMs, lost, doubled, unseen, megabytesPerSecond } = result
  const sums = `${failures.length} failed, ${lost} lost, ${doubled} doubled, ${unseen} unseen`
  const waiting = Math.max(1, loadBefore, waitingPerCore())
  const limitMs = PAUSE_MAX_MS * waiting + TRIPS * calmMs
  const summary =
    `${sent} records at ${megabytesPerSecond.toFixed(1)} MB/s: ${sums}, longest send ` +
    `${longestSendMs} ms; longest pause of a partition ${Math.round(pauseMs)} ms (calm: ` +
    `${Math.round(calmMs)} ms, tasks a core: ${waiting.toFixed(1)}, so at most ${Math.round(limitMs)} ms)`
  if (failures.length + lost + doubled + unseen > 0 || sent === 0) {
    throw new Error(`${summary}; ${failures[0] ?? ''}`)
  }
  if (pauseMs > limitMs) throw new Error(`a partition was silent for too long: ${summary}`)
  return summary
}

/** Tasks that want to run, over the last minute. */
function waitingPerCore(): number {
  return loadavg()[0]! / availableParallelism()
}
