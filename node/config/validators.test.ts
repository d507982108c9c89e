import assert from 'node:assert/strict'
import {
  anyList,
  atLeast,
  between,
  hostAndPort,
  listOf,
  oneOf,
  oneOfAnyCase,
  parseValue,
  shareOffsetReset,
  throttledReplicas,
} from './validators.ts'

const parsedOf = (type: Parameters<typeof parseValue>[1], text: string) => {
  const parsed = parseValue('x', type, text)
  return 'value' in parsed ? parsed.value : parsed.complaint
}

describe('node/config/validators', () => {
  it('parses each type, or says what is wrong', () => {
    assert.equal(parsedOf('BOOLEAN', ' True '), true)
    assert.equal(parsedOf('BOOLEAN', 'yes'), 'x can not be yes: write true or false')
    assert.equal(parsedOf('INT', '2147483647'), 2147483647)
    assert.equal(
      parsedOf('INT', '2147483648'),
      'x can not be 2147483648: it is no number of type INT',
    )
    assert.equal(parsedOf('SHORT', '-32768'), -32768)
    assert.match(String(parsedOf('SHORT', '40000')), /type SHORT/)
    assert.equal(parsedOf('LONG', '9223372036854775807'), 2n ** 63n - 1n)
    assert.match(String(parsedOf('LONG', '9223372036854775808')), /type LONG/)
    assert.match(String(parsedOf('LONG', '1.5')), /type LONG/)
    assert.equal(parsedOf('DOUBLE', '1.7976931348623157E308'), Number.MAX_VALUE)
    assert.match(String(parsedOf('DOUBLE', 'NaN')), /type DOUBLE/)
    assert.deepEqual(parsedOf('LIST', ' a , b,c '), ['a', 'b', 'c'])
    assert.deepEqual(parsedOf('LIST', ''), [])
  })

  it('keeps numbers within their bounds', () => {
    const one = between(1, 9, -1)
    assert.equal(one.describe(), '[1,...,9] or -1')
    assert.equal(one.check('x', -1), undefined)
    assert.equal(one.check('x', 9), undefined)
    assert.match(one.check('x', 0)!, /from 1 to 9, or -1/)
    assert.match(atLeast(1).check('x', 0)!, /1 is the least/)
    assert.match(between(0, 1).check('x', 1.5)!, /1 is the most/)
    assert.equal(atLeast(0).check('x', 2n ** 63n - 1n), undefined)
    assert.match(atLeast(0).check('x', null)!, /needs a value/)
  })

  it('takes only the words it knows', () => {
    assert.match(oneOf('a', 'b').check('x', 'A')!, /write one of these: a, b/)
    assert.equal(oneOfAnyCase('A').check('x', 'a'), undefined)
    assert.match(oneOfAnyCase('A').check('x', 'b')!, /in any case: A/)
  })

  it('refuses lists that are null, empty, doubled or foreign', () => {
    const policy = listOf(['compact', 'delete'], 'null', 'duplicates')
    assert.equal(policy.check('x', ['compact', 'delete']), undefined)
    assert.match(policy.check('x', ['other'])!, /write one of these: compact, delete/)
    assert.equal(policy.check('x', null), 'x needs a value.')
    assert.match(policy.check('x', ['delete', 'delete'])!, /has a value twice/)
    assert.equal(policy.check('x', []), undefined)
    assert.match(anyList('empty').check('x', [])!, /at least one value/)
    assert.match(anyList('null').check('x', ['a', ''])!, /an empty value among others/)
  })

  it('knows the forms of single settings', () => {
    assert.equal(throttledReplicas.check('x', ['*']), undefined)
    assert.equal(throttledReplicas.check('x', ['0:1', '1:2']), undefined)
    assert.match(throttledReplicas.check('x', ['0:1:2'])!, /a list of partition and broker/)
    for (const good of ['earliest', 'latest', 'by_duration:P1D', 'by_duration:PT1H30M']) {
      assert.equal(shareOffsetReset.check('x', good), undefined)
    }
    for (const bad of ['', 'none', 'by_duration:', 'by_duration:P', 'by_duration:P-1D']) {
      assert.notEqual(shareOffsetReset.check('x', bad), undefined, bad)
    }
    for (const good of ['', '127.0.0.1:9644', ':0', '[::1]:80', 'localhost:65535']) {
      assert.equal(hostAndPort.check('x', good), undefined, good)
    }
    for (const bad of ['9644', 'a:b', 'a:70000', 'http://a:1']) {
      assert.notEqual(hostAndPort.check('x', bad), undefined, bad)
    }
  })
})
