/**
 * Rejections that nobody handles while a simulation runs: in a real process each would be the end.
 * Those of a simulated process that has ended are no news.
 */
import { StorageError } from '../../base/errors.ts'

const OF_THE_DEAD = 'by a process that has ended'

/** The process has ended, or ends with this: a failed metadata log is fatal. */
function isOfNoInterest({ message, path }: StorageError): boolean {
  return message.includes(OF_THE_DEAD) || path.includes('__cluster_metadata')
}

/** Runs `run`; errors that surface beside it go to `report`, and to nobody else. */
export async function stray<T>(
  run: () => Promise<T>,
  report: (error: unknown) => void,
): Promise<T> {
  const usual = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  const listener = (error: unknown) => {
    if (error instanceof StorageError && isOfNoInterest(error)) return
    report(error)
  }
  process.on('unhandledRejection', listener)
  try {
    return await run()
  } finally {
    process.off('unhandledRejection', listener)
    for (const other of usual) process.on('unhandledRejection', other)
  }
}
