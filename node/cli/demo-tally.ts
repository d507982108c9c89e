/**
 * What became of each order of a demo. An order is acknowledged once and read once; whatever else
 * happens to it is a fault of the cluster (lost, duplicated) or of a group that was cut off between
 * reading and committing (read again).
 */
import { assert } from '../../base/assert.ts'

export interface Place {
  readonly partition: number
  readonly offset: number
}

export class Tally {
  acked = 0
  consumed = 0
  /** One order at two places of the log. */
  duplicated = 0
  /** The same place, read twice. */
  readAgain = 0
  /** Where each order was read first, by its number. */
  readonly #read: (Place | undefined)[] = []
  /** Acknowledged and not read yet. */
  readonly #missing = new Map<number, Place>()
  /** Of each partition, the offset before which everything was read by somebody. */
  readonly #readTo = new Map<number, number>()

  get lag(): number {
    return this.#missing.size
  }

  /** Orders that were acknowledged, and that readers have passed without seeing them. */
  get lost(): number {
    let count = 0
    for (const { partition, offset } of this.#missing.values()) {
      if (offset < (this.#readTo.get(partition) ?? 0)) count++
    }
    return count
  }

  ack(order: number, place: Place): void {
    assert(place.offset >= 0, 'an acknowledged order has a place')
    this.acked++
    if (this.#read[order] === undefined) this.#missing.set(order, place)
  }

  read(order: number, { partition, offset }: Place): void {
    const before = this.#read[order]
    if (before === undefined) {
      this.#read[order] = { partition, offset }
      this.consumed++
    } else if (before.partition === partition && before.offset === offset) this.readAgain++
    else this.duplicated++
    this.#missing.delete(order)
  }

  /** A reader that began where the group was has come to `offset`. */
  passed(partition: number, offset: number): void {
    this.#readTo.set(partition, Math.max(this.#readTo.get(partition) ?? 0, offset))
  }
}
