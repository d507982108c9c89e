import assert from 'node:assert/strict'
import { UserError } from '../../base/errors.ts'
import { parseProperties } from './properties.ts'

const pairs = (text: string) => parseProperties(text).map(({ name, value }) => [name, value])

describe('node/config/properties', () => {
  it('takes =, : and blanks between name and value', () => {
    assert.deepEqual(pairs('a=1\nb:2\nc 3\nd = 4\ne\t:\t5\nf==6'), [
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
      ['d', '4'],
      ['e', '5'],
      ['f', '=6'],
    ])
  })

  it('skips comments and blank lines, and counts them', () => {
    const found = parseProperties('\uFEFF# one\n! two\n\n   \n  a=1\r\nb=2\rc=#3')
    assert.deepEqual(
      found.map(({ name, value, line }) => [name, value, line]),
      [
        ['a', '1', 5],
        ['b', '2', 6],
        ['c', '#3', 7],
      ],
    )
  })

  it('joins lines that end in an odd number of backslashes', () => {
    assert.deepEqual(pairs('a=1,\\\n    2,\\\n  3\nb=x\\\\\nc=y'), [
      ['a', '1,2,3'],
      ['b', 'x\\'],
      ['c', 'y'],
    ])
    assert.deepEqual(pairs('a=1\\'), [['a', '1']])
    assert.equal(parseProperties('a=1,\\\n#2\nb=3')[0]!.value, '1,#2')
    assert.equal(parseProperties('a=1,\\\n2\nb=3')[1]!.line, 3)
  })

  it('knows the escapes', () => {
    assert.deepEqual(pairs('a\\=b=c\\td\\u00e9\\q\nk\\:\\ v=1\nempty\nblank='), [
      ['a=b', 'c\tdéq'],
      ['k: v', '1'],
      ['empty', ''],
      ['blank', ''],
    ])
    assert.throws(
      () => parseProperties('x=1\na=\\u12'),
      (error: unknown) => {
        assert.ok(error instanceof UserError)
        assert.match(error.message, /^line 2: /)
        return true
      },
    )
  })

  it('keeps blanks at the end of a value, as Java does', () => {
    assert.deepEqual(pairs('a=1  '), [['a', '1  ']])
  })
})
