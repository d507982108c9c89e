/**
 * The names on a simulated disk. A change of names is one atomic operation that stays unsynced
 * until a directory that it touches is synced; a power loss may drop it.
 */
import { assert } from '../assert.ts'
import { StorageError } from '../errors.ts'
import { SimInode } from './disk-file.ts'
import type { SimRandom } from './random.ts'

export type SimNode = SimInode | SimDirectory

export class SimDirectory {
  readonly id: number
  entries = new Map<string, SimNode>()
  durable = new Map<string, SimNode>()
  constructor(id: number) {
    this.id = id
  }
}

interface Change {
  readonly directory: SimDirectory
  readonly name: string
  readonly node: SimNode | undefined
}

/** The changes happen together or not at all. */
type Operation = readonly Change[]

interface Place {
  readonly directory: SimDirectory
  readonly name: string
}

export class SimTree {
  readonly #root = new SimDirectory(0)
  #operations: Operation[] = []
  #nextId = 1
  /** Where a node's durable name is: it never has two. */
  readonly #durableAt = new Map<SimNode, Place>()

  get unsyncedCount(): number {
    return this.#operations.length
  }

  find(path: string): SimNode | undefined {
    let node: SimNode | undefined = this.#root
    for (const name of partsOf(path)) {
      if (!(node instanceof SimDirectory)) return undefined
      node = node.entries.get(name)
    }
    return node
  }

  directory(path: string, action: string): SimDirectory {
    const node = this.find(path)
    if (node === undefined) throw new StorageError('ENOENT', path, action)
    if (!(node instanceof SimDirectory)) throw new StorageError('ENOTDIR', path, action)
    return node
  }

  file(path: string, action: string): SimInode {
    const node = this.find(path)
    if (node === undefined) throw new StorageError('ENOENT', path, action)
    if (node instanceof SimDirectory) throw new StorageError('EISDIR', path, action)
    return node
  }

  createFile(path: string, nowMs: number): SimInode {
    const place = this.#place(path, 'create')
    const inode = new SimInode(nowMs)
    this.#change([{ ...place, node: inode }])
    return inode
  }

  makeDirectory(path: string): void {
    let directory = this.#root
    for (const name of partsOf(path)) {
      let next = directory.entries.get(name)
      if (next === undefined) {
        next = new SimDirectory(this.#nextId++)
        this.#change([{ directory, name, node: next }])
      }
      if (!(next instanceof SimDirectory)) throw new StorageError('ENOTDIR', path, 'make directory')
      directory = next
    }
  }

  rename(from: string, to: string): void {
    const source = this.#place(from, 'rename')
    const node = source.directory.entries.get(source.name)
    if (node === undefined) throw new StorageError('ENOENT', from, 'rename')
    const target = this.#place(to, 'rename')
    const replaced = target.directory.entries.get(target.name)
    if (replaced === node) return
    if (replaced instanceof SimDirectory) {
      if (!(node instanceof SimDirectory)) throw new StorageError('EISDIR', to, 'rename')
      if (replaced.entries.size > 0) throw new StorageError('ENOTEMPTY', to, 'rename')
    } else if (replaced !== undefined && node instanceof SimDirectory) {
      throw new StorageError('ENOTDIR', to, 'rename')
    }
    this.#change([
      { ...source, node: undefined },
      { ...target, node },
    ])
  }

  /** Takes a file's name, or an empty directory, away. */
  remove(path: string): void {
    const place = this.#place(path, 'remove')
    const node = place.directory.entries.get(place.name)
    if (node === undefined) throw new StorageError('ENOENT', path, 'remove')
    if (node instanceof SimDirectory && node.entries.size > 0) {
      throw new StorageError('ENOTEMPTY', path, 'remove')
    }
    this.#change([{ ...place, node: undefined }])
  }

  /** The operations that a sync of `directory` that begins now will make durable. */
  beginSync(directory: SimDirectory): ReadonlySet<Operation> {
    // What was done before to the same directories goes along, or it could come back afterwards.
    const touched = new Set([directory])
    const covered = new Set<Operation>()
    for (const operation of this.#operations.toReversed()) {
      if (!operation.some((change) => touched.has(change.directory))) continue
      covered.add(operation)
      for (const change of operation) touched.add(change.directory)
    }
    return covered
  }

  completeSync(covered: ReadonlySet<Operation>): void {
    for (const operation of this.#operations) {
      if (covered.has(operation)) this.#makeDurable(operation)
    }
    this.#operations = this.#operations.filter((operation) => !covered.has(operation))
  }

  /** Unsynced names are kept or dropped: in order up to a point, or each by itself. */
  powerLoss(random: SimRandom): void {
    const style = random.below(4)
    const cut = style < 2 ? random.below(this.#operations.length + 1) : this.#operations.length
    for (const operation of this.#operations.slice(0, cut)) {
      if (style < 3 || random.chance(0.5)) this.#makeDurable(operation)
    }
    this.#operations = []
    this.#revert(this.#root)
  }

  /** Every file that has a name. */
  files(directory = this.#root): SimInode[] {
    const found: SimInode[] = []
    for (const node of directory.entries.values()) {
      if (node instanceof SimDirectory) found.push(...this.files(node))
      else found.push(node)
    }
    return found
  }

  #revert(directory: SimDirectory): void {
    directory.entries = new Map(directory.durable)
    for (const node of directory.entries.values()) {
      if (node instanceof SimDirectory) this.#revert(node)
    }
  }

  #place(path: string, action: string): Place {
    const parts = partsOf(path)
    const name = parts.pop()
    if (name === undefined) throw new StorageError('EEXIST', path, action)
    return { directory: this.directory(parts.join('/'), action), name }
  }

  #change(operation: Operation): void {
    for (const { directory, name, node } of operation) {
      if (node === undefined) directory.entries.delete(name)
      else directory.entries.set(name, node)
    }
    this.#operations.push(operation)
  }

  #makeDurable(operation: Operation): void {
    for (const { directory, name, node } of operation) {
      const replaced = directory.durable.get(name)
      if (replaced !== undefined) this.#durableAt.delete(replaced)
      directory.durable.delete(name)
      if (node === undefined) continue
      const old = this.#durableAt.get(node)
      if (old !== undefined) old.directory.durable.delete(old.name)
      directory.durable.set(name, node)
      this.#durableAt.set(node, { directory, name })
      assert(directory.durable.get(name) === node)
    }
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.')
}
