/** Lines of the log about who votes: when the list changes, and when this member is not in it. */
import type { Logger } from '../base/logger.ts'
import type { Member, Membership } from './messages.ts'
import { isJoint, isVoter } from './quorum.ts'

export class VotersLine {
  readonly #logger: Logger
  readonly #self: Member
  /** Its node is in the list of the settings. */
  readonly #isNamed: boolean
  #said: Membership

  constructor(
    parts: { readonly logger: Logger; readonly member: Member; readonly voters: readonly Member[] },
    membership: Membership,
  ) {
    this.#logger = parts.logger
    this.#self = parts.member
    this.#isNamed = parts.voters.some(({ nodeId }) => nodeId === parts.member.nodeId)
    this.#said = membership
    this.#sayOwn(membership)
  }

  look(membership: Membership): void {
    if (membership === this.#said || isJoint(membership)) return
    const before = this.#said
    this.#said = membership
    const voters = namesOf(membership)
    if (namesOf(before).join() !== voters.join()) {
      this.#logger.info('The voters of the metadata quorum are these from now on.', { voters })
    }
    if (isVoter(before, this.#self) !== isVoter(membership, this.#self)) this.#sayOwn(membership)
  }

  #sayOwn(membership: Membership): void {
    if (isVoter(membership, this.#self)) return
    if (!this.#isNamed) return
    this.#logger.warn(
      'This node is among the voters of its settings, and its directory not among those of the ' +
        'quorum: it follows without a vote.',
      { directory: this.#self.directoryId },
    )
  }
}

const namesOf = ({ voters }: Membership): string[] =>
  voters.map(({ nodeId, directoryId }) => `${nodeId} (${directoryId})`)
