/**
 * An array that stays on the wire: elements are decoded when they are asked for, and not kept. Used
 * for messages whose plain form would take several times the bytes that came in. It behaves as a
 * frozen array; reading in order is quick. The bytes were validated before, so reading never fails.
 */
import { Reader } from './reader.ts'

type Skip = (reader: Reader) => void
type Read = (reader: Reader) => unknown

/** Every so many elements the position is remembered: random access skips at most this many. */
const STRIDE = 32

class Elements {
  readonly #buffer: Buffer
  readonly #end: number
  readonly #skip: Skip
  readonly #read: Read
  readonly #marks: Uint32Array
  /** Where the element after the last one read begins. */
  #nextIndex = -1
  #nextPosition = 0

  constructor(buffer: Buffer, marks: Uint32Array, end: number, skip: Skip, read: Read) {
    this.#buffer = buffer
    this.#marks = marks
    this.#end = end
    this.#skip = skip
    this.#read = read
  }

  at(index: number): unknown {
    const isNext = index === this.#nextIndex
    const mark = Math.floor(index / STRIDE)
    const reader = new Reader(
      this.#buffer,
      isNext ? this.#nextPosition : this.#marks[mark]!,
      this.#end,
    )
    reader.goLazy(reader.position)
    if (!isNext) for (let i = mark * STRIDE; i < index; i++) this.#skip(reader)
    const element = this.#read(reader)
    this.#nextIndex = index + 1
    this.#nextPosition = reader.position
    return element
  }
}

/** Validates and steps over `count` elements at the reader's position. */
export function lazyArray(
  reader: Reader,
  count: number,
  skip: Skip,
  read: Read,
): readonly unknown[] {
  const marks = new Uint32Array(Math.ceil(count / STRIDE))
  for (let i = 0; i < count; i++) {
    if (i % STRIDE === 0) marks[i / STRIDE] = reader.position
    skip(reader)
  }
  const elements = new Elements(reader.buffer, marks, reader.position, skip, read)
  const target: unknown[] = []
  const indexOf = (key: string | symbol): number => {
    const index = typeof key === 'string' ? Number(key) : Number.NaN
    return Number.isInteger(index) && index >= 0 && index < count ? index : -1
  }
  return new Proxy(target, {
    get(of, key) {
      if (key === 'length') return count
      const index = indexOf(key)
      return index < 0 ? Reflect.get(of, key) : elements.at(index)
    },
    has: (of, key) => indexOf(key) >= 0 || Reflect.has(of, key),
    set: () => false,
    defineProperty: () => false,
    deleteProperty: () => false,
  })
}
