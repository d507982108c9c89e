/**
 * Rare events that a set of seeds has to reach, each at least once: tests that never come to a
 * branch prove nothing about it. They are told by the lines that nodes write about themselves, and by
 * the history.
 */
import { entriesOf, type History } from '../checkers/history.ts'

export interface Sometimes {
  readonly name: string
  /** The message of a node's line. */
  readonly message: string
}

const of = (name: string, message: string): Sometimes => ({ name, message })

export const SOMETIMES: readonly Sometimes[] = [
  of('a controller fails over', 'This node is the controller.'),
  of('a broker is fenced', 'A broker is fenced.'),
  of('a process is known to be dead', 'the process of a node has ended'),
  of('an ISR changes', 'A leader asks for another ISR.'),
  of('a follower cuts its log', 'A log is truncated.'),
  of('a torn end is cut', 'The end of a log was cut at an unfinished write.'),
  of('a metadata log is cut', 'The end of the metadata log differs from the leader: it is cut.'),
  of('a snapshot is written', 'A snapshot of the metadata was written.'),
  of('a snapshot is sent', 'A snapshot of the metadata came from the leader.'),
  of('a log fails', 'A log is out of service: its storage failed.'),
  of('a failed sync is made up for', 'A sync had failed: what followed is written again.'),
  of('a disk is full', 'Records were refused because the disk took no write: it is full.'),
  of('damage is met', 'Damaged records were met. They are not served.'),
  of('damage is mended', 'A replica with damaged records is mended from its leader.'),
  of('a coordinator is loaded', 'A coordinator is loaded.'),
  of('a group rebalances', 'A group prepares to rebalance.'),
  of('a member is given up', 'A member of a group has gone silent and is removed.'),
  of('preferred leaders come back', 'Preferred leaders are restored.'),
  of('a controller is waited for', 'The controller did not answer a change of in-sync sets.'),
]

/** What a history has to show at least once: its faults by name, and static members that came back. */
export const HAPPENED: readonly string[] = [
  'down for good',
  'stopped for good',
  'cut off for good',
  'add-voter',
  'remove-voter',
  'static member again',
]

/** Places of the product that ask `world.maybe`: each has to be told yes at least once. */
export const MAYBES: readonly string[] = [
  'log.roll',
  'log.snapshot',
  'log.hints',
  'log.indexes',
  'log.read',
  'log.checkpoint',
  'raft.snapshot',
  'raft.move',
  'coordinator.batch',
  'controller.repairs',
  'session.line',
]

/** Which of them the lines of one run show, and where it was told yes. */
export function reachedIn(run: {
  readonly logs: ReadonlyMap<string, string>
  readonly maybes: readonly string[]
  readonly history: History
}): Set<string> {
  const reached = new Set<string>([...run.maybes, ...happenedIn(run.history)])
  for (const log of run.logs.values()) {
    for (const { name, message } of SOMETIMES) {
      if (!reached.has(name) && log.includes(message)) reached.add(name)
    }
  }
  return reached
}

function happenedIn(history: History): string[] {
  const names: string[] = entriesOf(history, 'fault').map(({ name }) => name)
  const ids = new Map<string, string>()
  for (const { group, generation, instance, member } of entriesOf(history, 'assign')) {
    const key = `${group}/${generation}/${instance}`
    const before = ids.get(key)
    if (instance !== undefined && before !== undefined && before !== member) {
      names.push('static member again')
    }
    ids.set(key, member)
  }
  return names
}

/** What a set of seeds should have reached, and has not. */
export function missedIn(reached: ReadonlySet<string>): string[] {
  return [...SOMETIMES.map(({ name }) => name), ...HAPPENED, ...MAYBES].filter(
    (name) => !reached.has(name),
  )
}
