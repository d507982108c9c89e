/** Groups: one owner of a partition in a generation, and commits that stay. */
import { type Commit, entriesOf, type History, type Violation } from './history.ts'

export function doubleOwners(history: History): Violation[] {
  const violations: Violation[] = []
  const owners = new Map<string, string>()
  for (const { group, generation, member, instance, owned } of entriesOf(history, 'assign')) {
    const who = instance ?? member
    for (const { topic, partition } of owned) {
      const key = `group ${group}, generation ${generation}, ${topic}-${partition}`
      const owner = owners.get(key)
      if (owner !== undefined && owner !== who) {
        violations.push({ checker: 'double-owner', message: `${key}: ${owner} and ${who}` })
      }
      owners.set(key, who)
    }
  }
  return violations
}

/**
 * Who takes a partition finds at least what was committed before, and so does who asks in the end:
 * members only go forward, and those of old generations are fenced.
 */
export function commitsThatRegress(history: History): Violation[] {
  const violations: Violation[] = []
  const commits = entriesOf(history, 'commit')
    .filter(({ outcome }) => outcome === 'ok')
    .sort((a, b) => a.endMs! - b.endMs!)
  const looks = [
    ...entriesOf(history, 'assign').map(({ group, owned, startMs, client }) => {
      return { group, offsets: owned, startMs, client }
    }),
    ...entriesOf(history, 'committed'),
  ].sort((a, b) => a.startMs - b.startMs)
  const highest = new Map<string, { offset: number; commit: Commit }>()
  let ended = 0
  for (const { group, offsets, startMs, client } of looks) {
    for (; ended < commits.length && commits[ended]!.endMs! < startMs; ended++) {
      remember(highest, commits[ended]!)
    }
    for (const { topic, partition, offset } of offsets) {
      const committed = highest.get(`${group}/${topic}/${partition}`)
      if (committed === undefined || committed.offset <= offset) continue
      const message = `group ${group}, ${topic}-${partition}: ${committed.offset} was committed at ${committed.commit.endMs} ms, and ${client} found ${offset} after ${startMs} ms`
      violations.push({ checker: 'offset-commit-regress', message })
    }
  }
  return violations
}

function remember(highest: Map<string, { offset: number; commit: Commit }>, commit: Commit): void {
  for (const { topic, partition, offset } of commit.offsets) {
    const key = `${commit.group}/${topic}/${partition}`
    const before = highest.get(key)
    if (before === undefined || before.offset < offset) highest.set(key, { offset, commit })
  }
}
