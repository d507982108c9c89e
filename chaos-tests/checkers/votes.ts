/**
 * What the disks say of terms and votes: a member that forgets its vote may give it twice, and a
 * leader that a majority can't remember is none.
 */
import { entriesOf, type History, type Violation } from './history.ts'

/** On one disk, by one voter: terms do not fall, and a vote that was given in a term stays. */
export function votesThatGoBack(history: History): Violation[] {
  const violations: Violation[] = []
  const last = new Map<string, { readonly term: number; readonly votedId: number }>()
  for (const { node, life, voter, term, votedId, atMs } of entriesOf(history, 'vote')) {
    const key = `${node}/${life}/${voter}`
    const before = last.get(key)
    last.set(key, { term, votedId })
    if (before === undefined || term > before.term) continue
    if (term === before.term && (before.votedId === -1 || before.votedId === votedId)) continue
    const is = `is in term ${term} and voted for ${votedId} at ${atMs} ms`
    const was = `was in term ${before.term} and voted for ${before.votedId}`
    violations.push({
      checker: 'vote-goes-back',
      message: `the disk of node ${node} ${is}; ${was}`,
    })
  }
  return violations
}

/** Whoever leads was voted for on the disks of a majority, or their term has passed already. */
export function leadersWithoutVotes(history: History): Violation[] {
  return entriesOf(history, 'elected').flatMap(({ term, node, voters, backers, atMs }) => {
    if (backers.length > voters / 2) return []
    const on = backers.length === 0 ? 'no disk' : `the disks of ${backers.join(', ')}`
    const message = `node ${node} leads term ${term} at ${atMs} ms; its votes are on ${on} of ${voters}`
    return [{ checker: 'vote-not-durable', message }]
  })
}
