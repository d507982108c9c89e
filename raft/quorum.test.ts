import assert from 'node:assert/strict'
import type { Member, Membership } from './messages.ts'
import { countVotes, isSameMember, isVoter, majority, reachedByQuorum, voterIds } from './quorum.ts'
import { memberOf } from './testing/group.ts'

const members = (...ids: number[]) => ids.map(memberOf)
const simple = (...ids: number[]): Membership => ({ voters: members(...ids), outgoing: [] })
const joint = (voters: number[], outgoing: number[]): Membership => {
  return { voters: members(...voters), outgoing: members(...outgoing) }
}

/** All subsets of the voters that have reached a value; the definition of a quorum. */
const hasMajority = (voters: readonly Member[], has: (id: number) => boolean) =>
  voters.filter(({ nodeId }) => has(nodeId)).length > voters.length / 2

describe('raft/quorum', () => {
  for (const [count, expected] of [
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [6, 4],
    [7, 4],
  ] as const) {
    it(`${expected} of ${count} are a majority`, () => {
      assert.equal(majority(count), expected)
    })
  }

  const reached: [string, Membership, number[], number][] = [
    ['a sole voter', simple(1), [7], 7],
    ['two voters: both', simple(1, 2), [7, 4], 4],
    ['three voters: the middle one', simple(1, 2, 3), [9, 2, 5], 5],
    ['four voters: three of them', simple(1, 2, 3, 4), [9, 2, 5, 7], 5],
    ['five voters: three of them', simple(1, 2, 3, 4, 5), [1, 2, 3, 4, 5], 3],
    ['a change to one more', joint([1, 2, 3, 4], [1, 2, 3]), [9, 9, 1, 1], 1],
    ['a change to one less', joint([1, 2], [1, 2, 3]), [9, 3, 9], 3],
    ['a change to all others', joint([4, 5, 6], [1, 2, 3]), [9, 9, 9, 4, 3, 2], 3],
    ['a change from one to three', joint([1, 2, 3], [1]), [9, 2, 1], 2],
  ]
  for (const [name, membership, values, expected] of reached) {
    it(`what a quorum has reached: ${name}`, () => {
      assert.equal(
        reachedByQuorum(membership, ({ nodeId }) => values[nodeId - 1]!),
        expected,
      )
    })
  }

  it('has what the definition says, for all small groups and changes', () => {
    const groups = [simple(1), simple(1, 2), simple(1, 2, 3), joint([1, 2, 3], [2, 3, 4])]
    groups.push(joint([1], [2]), joint([1, 2], [3]), joint([1, 2, 3, 4], [1]))
    for (const membership of groups) {
      for (let code = 0; code < 3 ** 4; code++) {
        const value = (id: number) => Math.floor(code / 3 ** (id - 1)) % 3
        const { voters, outgoing } = membership
        const isReached = (limit: number) =>
          hasMajority(voters, (id) => value(id) >= limit) &&
          (outgoing.length === 0 || hasMajority(outgoing, (id) => value(id) >= limit))
        const expected = isReached(2) ? 2 : isReached(1) ? 1 : 0
        assert.equal(
          reachedByQuorum(membership, ({ nodeId }) => value(nodeId)),
          expected,
        )
      }
    }
  })

  it('counts votes as the definition says, for all small groups and changes', () => {
    const groups = [simple(1), simple(1, 2), simple(1, 2, 3), joint([1, 2, 3], [2, 3, 4])]
    groups.push(joint([1], [2]), joint([1, 2], [3]), joint([1, 2, 3, 4], [1]))
    for (const membership of groups) {
      for (let code = 0; code < 3 ** 4; code++) {
        const vote = (id: number) => [undefined, true, false][Math.floor(code / 3 ** (id - 1)) % 3]
        const { voters, outgoing } = membership
        const all = (has: (id: number) => boolean) =>
          hasMajority(voters, has) && (outgoing.length === 0 || hasMajority(outgoing, has))
        const isWon = all((id) => vote(id) === true)
        const isLost = !all((id) => vote(id) !== false)
        const outcome = countVotes(membership, ({ nodeId }) => vote(nodeId))
        assert.equal(outcome, isWon ? 'won' : isLost ? 'lost' : 'open')
      }
    }
  })

  it('any two quorums share a voter, also over the steps of a change', () => {
    const steps = [simple(1, 2, 3), joint([3, 4, 5], [1, 2, 3]), simple(3, 4, 5)]
    for (let at = 0; at + 1 < steps.length; at++) {
      for (let one = 0; one < 32; one++) {
        const other = 31 & ~one
        const isQuorum = (membership: Membership, set: number) =>
          countVotes(membership, ({ nodeId }) => (set & (1 << (nodeId - 1))) !== 0) === 'won'
        const both = isQuorum(steps[at]!, one) && isQuorum(steps[at + 1]!, other)
        assert.equal(both, false, `${one} and ${other} decide apart`)
      }
    }
  })

  it('a voter without a directory is any log of its node', () => {
    assert.ok(isSameMember({ nodeId: 1, directoryId: '' }, memberOf(1)))
    assert.ok(!isSameMember(memberOf(1), { nodeId: 1, directoryId: 'other' }))
    assert.ok(!isSameMember({ nodeId: 2, directoryId: '' }, memberOf(1)))
  })

  it('voters of both lists vote while a change is under way', () => {
    const membership = joint([1, 2], [2, 3])
    assert.deepEqual(voterIds(membership).sort(), [1, 2, 3])
    assert.ok([1, 2, 3].every((id) => isVoter(membership, memberOf(id))))
    assert.ok(!isVoter(membership, memberOf(4)))
  })

  it('refuses a group without voters', () => {
    assert.throws(() => reachedByQuorum({ voters: [], outgoing: [] }, () => 1))
    assert.throws(() => countVotes({ voters: [], outgoing: [] }, () => true))
  })
})
