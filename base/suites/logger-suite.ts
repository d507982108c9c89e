/** What every Logger promises. */
import assert from 'node:assert/strict'
import type { Logger } from '../logger.ts'

export interface LoggerUnderTest {
  readonly logger: Logger
  /** What was logged, each line with `level`, `msg` and its fields. */
  lines(): ReadonlyMap<string, unknown>[]
}

/** `start` gives a logger of level 'debug'. */
export function loggerSuite(name: string, start: () => LoggerUnderTest): void {
  describe(`base/logger ${name}`, () => {
    it('writes a line with level, message and fields', () => {
      const { logger, lines } = start()
      logger.debug('a')
      logger.info('b', { port: 9092 })
      logger.warn('c', { topic: 't', partition: 0 })
      logger.error('d', { list: [1, 2] })
      const [a, b, c, d] = lines()
      assert.equal(lines().length, 4)
      assert.deepEqual([a?.get('level'), a?.get('msg')], ['debug', 'a'])
      assert.deepEqual([b?.get('level'), b?.get('msg'), b?.get('port')], ['info', 'b', 9092])
      assert.deepEqual([c?.get('level'), c?.get('topic'), c?.get('partition')], ['warn', 't', 0])
      assert.deepEqual([d?.get('level'), d?.get('list')], ['error', [1, 2]])
    })

    it('adds the fields of its ancestors', () => {
      const { logger, lines } = start()
      const child = logger.child({ node: 1 }).child({ part: 'log' })
      child.info('opened', { topic: 't' })
      logger.info('done')
      const [first, second] = lines()
      assert.deepEqual(
        [first?.get('node'), first?.get('part'), first?.get('topic')],
        [1, 'log', 't'],
      )
      assert.equal(second?.get('node'), undefined)
    })

    it('shows errors with their message, code and cause', () => {
      const { logger, lines } = start()
      const cause = new Error('the device failed')
      logger.error('cannot write', { error: new Error('write /a: EIO', { cause }) })
      const text = JSON.stringify([...(lines()[0] ?? [])])
      assert.ok(text.includes('write /a: EIO'), text)
      assert.ok(text.includes('the device failed'), text)
    })
  })
}
