/** The way to the other members. What arrives goes to `RaftDriver.receive`. */
import type { Message } from './messages.ts'

export interface RaftTransport {
  /**
   * Sends when it can, and drops when it can't: never blocks, never throws, keeps no more than a
   * bounded queue. A node that is known only because it connected to this one (a learner) is
   * answered through its own stream.
   */
  send(to: number, message: Message): void
}
