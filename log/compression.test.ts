import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import {
  CODECS,
  type Codec,
  compress,
  DecompressionError,
  decompress,
  isReadableByAll,
} from './compression.ts'
import { checkZstdFrames, decompressZstd, storeZstd } from './zstd.ts'

const testdata = (name: string) =>
  readFileSync(new URL(`../../log/testdata/compressed/${name}`, import.meta.url))

/** The text of which the files in testdata/compressed were made, by zstd and lz4 themselves. */
function plainText(): Buffer {
  const words = 'spool thread attic stair rustle lung leaf house father forever'.split(' ')
  let seed = 7
  const random = () => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
    return seed / 0x7fffffff
  }
  let text = ''
  while (text.length < 150_000) {
    text += words[Math.floor(random() ** 2 * 10)]
    text += random() < 0.1 ? Math.floor(random() * 1e6) : ''
    text += random() < 0.15 ? '\n' : ' '
  }
  return Buffer.from(text.slice(0, 150_000))
}

const PLAIN = plainText()
const INPUTS: [string, Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['one byte', Buffer.from('x')],
  ['zeros', Buffer.alloc(400_000)],
  ['text', PLAIN],
  ['noise', Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * i * 2654435761) >>> 24))],
]

/** The fault, or undefined when the call yields something. */
function faultOf(run: () => Buffer): string | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    assert.ok(error instanceof DecompressionError, String(error))
    return error.fault
  }
}

describe('log/compression', () => {
  for (const codec of CODECS) {
    for (const [name, input] of INPUTS) {
      it(`gives back ${name} from ${codec}, with the exact limit only`, () => {
        const packed = compress(codec, input)
        assert.ok(decompress(codec, packed, input.length).equals(input))
        assert.ok(isReadableByAll(codec, packed))
        if (input.length === 0) return
        assert.equal(
          faultOf(() => decompress(codec, packed, input.length - 1)),
          'too-large',
        )
      })
    }
  }

  for (const codec of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
    it(`refuses ${codec} that is cut off anywhere`, () => {
      const packed = compress(codec, PLAIN.subarray(0, 3000))
      for (let length = 1; length < packed.length; length += 7) {
        const cut = packed.subarray(0, length)
        // A framed snappy stream may end behind each of its blocks; this one has one.
        const isEmptyFrame = codec === 'snappy' && length === 16
        if (isEmptyFrame) continue
        assert.equal(
          faultOf(() => decompress(codec, cut, 10_000)),
          'corrupt',
          `${length}`,
        )
      }
    })

    it(`refuses damaged ${codec} with a DecompressionError, in bounded time`, () => {
      const packed = compress(codec, PLAIN.subarray(0, 20_000))
      const damage = fc.array(fc.tuple(fc.nat(packed.length - 1), fc.nat(255)), { minLength: 1 })
      fc.assert(
        fc.property(damage, (changes) => {
          const bytes = Buffer.from(packed)
          for (const [at, value] of changes) bytes[at] = value
          let output = Buffer.alloc(0)
          const fault = faultOf(() => {
            output = Buffer.from(decompress(codec, bytes, 100_000))
            return output
          })
          assert.ok(fault !== undefined || output.length <= 100_000)
        }),
        { numRuns: 300 },
      )
    })

    it(`refuses noise as ${codec}`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => {
          const fault = faultOf(() => decompress(codec, bytes, 1000))
          assert.ok(fault !== undefined || codec === 'snappy')
        }),
        { numRuns: 300 },
      )
    })
  }

  it('reads and writes what zlib does', () => {
    assert.ok(gunzipSync(compress('gzip', PLAIN)).equals(PLAIN))
    const joined = Buffer.concat([gzipSync(PLAIN), gzipSync(PLAIN)])
    assert.equal(decompress('gzip', joined, 300_000).length, 300_000)
    const lying = gzipSync(PLAIN)
    lying.writeUInt32LE(0xfffffff0, lying.length - 4)
    assert.equal(
      faultOf(() => decompress('gzip', lying, 300_000)),
      'corrupt',
    )
  })

  it('reads snappy bare, framed, and framed streams joined', () => {
    const snappy = createRequire(import.meta.url)('snappy') as {
      compressSync(input: Buffer): Buffer
    }
    assert.ok(decompress('snappy', snappy.compressSync(PLAIN), 150_000).equals(PLAIN))
    const framed = compress('snappy', PLAIN)
    assert.equal(framed.subarray(0, 8).toString('latin1'), '\x82SNAPPY\0')
    const joined = decompress('snappy', Buffer.concat([framed, framed]), 300_000)
    assert.ok(joined.equals(Buffer.concat([PLAIN, PLAIN])))
  })

  for (const name of ['level-1.zst', 'level-3.zst', 'level-19.zst', 'level-22.zst', 'stream.zst']) {
    it(`reads ${name}, also without zstd in Node`, () => {
      const packed = testdata(name)
      assert.ok(decompress('zstd', packed, PLAIN.length).equals(PLAIN))
      assert.ok(decompressZstd(packed, PLAIN.length).equals(PLAIN))
      assert.equal(
        checkZstdFrames(packed, PLAIN.length),
        name[0] === 's' ? undefined : PLAIN.length,
      )
      for (let length = 1; length < packed.length; length += 501) {
        const cut = packed.subarray(0, length)
        assert.throws(() => checkZstdFrames(cut, PLAIN.length), DecompressionError)
        assert.throws(() => decompressZstd(cut, PLAIN.length), DecompressionError)
      }
      const twice = decompressZstd(Buffer.concat([packed, packed]), 2 * PLAIN.length)
      assert.ok(twice.equals(Buffer.concat([PLAIN, PLAIN])))
      assert.equal(
        faultOf(() => decompressZstd(packed, PLAIN.length - 1)),
        'too-large',
      )
    })
  }

  it('skips the frames of zstd that are to be skipped', () => {
    const skippable = Buffer.from('532a4d1803000000616263', 'hex')
    const packed = Buffer.concat([skippable, storeZstd(PLAIN), skippable])
    assert.ok(decompressZstd(packed, PLAIN.length).equals(PLAIN))
  })

  for (const [name, isPlain] of [
    ['independent.lz4', true],
    ['linked.lz4', false],
    ['checksums.lz4', true],
  ] as const) {
    it(`reads ${name}, and knows whether others can`, () => {
      const packed = testdata(name)
      assert.ok(decompress('lz4', packed, PLAIN.length).equals(PLAIN))
      assert.equal(isReadableByAll('lz4', packed), isPlain)
      const twice = Buffer.concat([packed, packed])
      assert.equal(decompress('lz4', twice, 2 * PLAIN.length).length, 2 * PLAIN.length)
      assert.equal(isReadableByAll('lz4', twice), false)
      const flipped = Buffer.from(packed)
      flipped[name === 'checksums.lz4' ? 14 : 6]! ^= 1
      assert.equal(
        faultOf(() => decompress('lz4', flipped, PLAIN.length)),
        'corrupt',
      )
    })
  }

  describe('a bomb', () => {
    const GIGABYTE = 2 ** 30
    const LIMIT = 4 * 1024 * 1024
    const bombs: [string, Codec, Buffer][] = [
      ['gzip', 'gzip', gzipBomb()],
      ['snappy that declares a gigabyte', 'snappy', snappyBomb()],
      ['framed snappy', 'snappy', framedSnappyBomb()],
      ['lz4', 'lz4', lz4Bomb()],
      ['lz4 that declares a gigabyte', 'lz4', lz4Declared(GIGABYTE)],
      ['zstd of runs', 'zstd', zstdRuns(8192)],
      ['zstd that declares a gigabyte', 'zstd', zstdDeclared(GIGABYTE)],
    ]
    for (const [name, codec, bytes] of bombs) {
      it(`of ${name} is refused, and costs little memory`, () => {
        assert.ok(bytes.length < 2 ** 23)
        const before = process.memoryUsage()
        const fault = faultOf(() => decompress(codec, bytes, LIMIT))
        const after = process.memoryUsage()
        assert.equal(fault, name.startsWith('snappy') ? 'corrupt' : 'too-large')
        assert.ok(after.arrayBuffers - before.arrayBuffers < 4 * LIMIT + 2 * bytes.length)
        assert.ok(after.heapUsed - before.heapUsed < 4 * LIMIT)
        assert.ok(after.rss - before.rss < 16 * LIMIT + 2 * bytes.length)
      })
    }

    it('of work is refused too: a block that asks for far more than a block may hold', () => {
      const bytes = zstdOfWork()
      assert.equal(
        faultOf(() => decompressZstd(bytes, GIGABYTE)),
        'corrupt',
      )
    })
  })
})

/** A few megabytes that come to a gigabyte. */
function gzipBomb(): Buffer {
  const member = gzipSync(Buffer.alloc(2 ** 24))
  return Buffer.concat(Array.from({ length: 64 }, () => member))
}

function snappyBomb(): Buffer {
  return Buffer.concat([Buffer.from('8080808004', 'hex'), Buffer.alloc(1_000_000, 0xfe)])
}

function framedSnappyBomb(): Buffer {
  return compress('snappy', Buffer.alloc(2 ** 26))
}

function lz4Bomb(): Buffer {
  return compress('lz4', Buffer.alloc(2 ** 28))
}

function lz4Declared(size: number): Buffer {
  const frame = Buffer.alloc(19)
  frame.write('04224d186840', 'hex')
  frame.writeBigUInt64LE(BigInt(size), 6)
  // The right checksum of the header is the one with which it is not damaged.
  while (faultOf(() => decompress('lz4', frame, 10)) === 'corrupt' && frame[14]! < 255) {
    frame[14]!++
  }
  return frame
}

/** RLE blocks of 128 KB each, four bytes long. */
function zstdRuns(blocks: number): Buffer {
  const block = Buffer.alloc(4)
  block.writeUIntLE((131_072 << 3) | 2, 0, 3)
  const last = Buffer.from(block)
  last[0]! |= 1
  const head = Buffer.from('28b52ffd0058', 'hex')
  return Buffer.concat([head, ...Array.from({ length: blocks - 1 }, () => block), last])
}

/** Sixteen bytes, then 32,512 sequences that copy 131,074 bytes each, in a few bytes. */
function zstdOfWork(): Buffer {
  const raw = Buffer.concat([Buffer.from('800000', 'hex'), Buffer.alloc(16)])
  const block = Buffer.concat([Buffer.from('00ff000054000034', 'hex'), Buffer.alloc(16, 0xff)])
  const head = Buffer.alloc(3)
  head.writeUIntLE((block.length << 3) | 5, 0, 3)
  return Buffer.concat([Buffer.from('28b52ffd0058', 'hex'), raw, head, block])
}

function zstdDeclared(size: number): Buffer {
  const head = Buffer.from('28b52ffd800000000000010000', 'hex')
  head.writeUInt32LE(size, 6)
  return head
}
