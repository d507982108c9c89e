/** What every store of key-value pairs promises. */
import assert from 'node:assert/strict'
import { compareBytes } from '../bytes.ts'
import type { Kv, KvRange, KvStores, KvWrite } from '../kv.ts'
import { SimRandom } from '../sim/random.ts'
import type { Driver } from './driver.ts'

export interface KvUnderTest extends Driver {
  readonly stores: KvStores
  /** A directory that doesn't exist, whose parent does. */
  readonly directory: string
  close(): Promise<void>
}

export function kvSuite(name: string, start: () => Promise<KvUnderTest>): void {
  describe(`base/kv ${name}`, () => {
    let parts: KvUnderTest
    beforeEach(async () => {
      parts = await start()
    })
    afterEach(() => parts.close())
    const open = () => parts.complete(parts.stores.open(parts.directory))
    const batch = (kv: Kv, writes: KvWrite[], sync = false) =>
      parts.complete(kv.batch(writes, { sync }))
    const get = async (kv: Kv, key: string) => {
      const value = await parts.complete(kv.get(bytes(key)))
      return value?.toString('latin1')
    }

    it('gets what was put, until it is deleted', async () => {
      const kv = await open()
      assert.equal(await get(kv, 'a'), undefined)
      await batch(kv, [put('a', '1'), put('b', ''), put('c', '3')])
      assert.equal(await get(kv, 'a'), '1')
      assert.equal(await get(kv, 'b'), '')
      await batch(kv, [put('a', '2'), { type: 'delete', key: bytes('c') }])
      assert.equal(await get(kv, 'a'), '2')
      assert.equal(await get(kv, 'c'), undefined)
      await parts.complete(kv.close())
    })

    it('keeps what it holds when it is closed and opened', async () => {
      const kv = await open()
      await batch(kv, [put('a', '1')], true)
      await parts.complete(kv.close())
      const again = await open()
      assert.equal(await get(again, 'a'), '1')
      await parts.complete(again.close())
      await parts.complete(parts.stores.destroy(parts.directory))
      await parts.complete(parts.stores.destroy(parts.directory))
      const empty = await open()
      assert.equal(await get(empty, 'a'), undefined)
      await parts.complete(empty.close())
    })

    it('lists ranges in the order of bytes, as of the call', async () => {
      const kv = await open()
      const random = new SimRandom('kv')
      const model = new Map<string, string>()
      const writes: KvWrite[] = []
      for (let i = 0; i < 700; i++) {
        const key = random.bytes(1 + random.below(3)).toString('latin1')
        model.set(key, String(i))
        writes.push(put(key, String(i)))
      }
      await batch(kv, writes)
      const sorted = [...model].sort((x, y) => compareBytes(bytes(x[0]), bytes(y[0])))
      const list = (range?: KvRange) => parts.complete(all(kv, range))
      assert.deepEqual(await list(), sorted)
      assert.deepEqual(await list({ limit: 10 }), sorted.slice(0, 10))
      const [from, to] = [sorted[100]![0], sorted[600]![0]]
      const range = { from: bytes(from), to: bytes(to) }
      assert.deepEqual(await list(range), sorted.slice(100, 600))
      assert.deepEqual(await list({ ...range, limit: 3 }), sorted.slice(100, 103))
      assert.deepEqual(await list({ from: bytes('\xff\xff\xff\xff') }), [])
      const iterator = kv.entries()[Symbol.asyncIterator]()
      await parts.complete(iterator.next())
      await batch(kv, [put('\xff\xff\xff\xff\xff', 'later')])
      let rest = 0
      for (;;) {
        const next = await parts.complete(iterator.next())
        if (next.done === true) break
        rest++
      }
      assert.equal(rest, sorted.length - 1)
      await parts.complete(kv.close())
    })
  })
}

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

function put(key: string, value: string): KvWrite {
  return { type: 'put', key: bytes(key), value: bytes(value) }
}

async function all(kv: Kv, range?: KvRange): Promise<[string, string][]> {
  const found: [string, string][] = []
  for await (const [key, value] of kv.entries(range)) {
    found.push([key.toString('latin1'), value.toString('latin1')])
  }
  return found
}
