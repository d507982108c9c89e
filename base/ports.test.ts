/** Each port's promises, kept by the real and by the simulated implementation. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { realClock } from './real/clock.ts'
import { RealDisk } from './real/disk.ts'
import { realKvStores } from './real/kv.ts'
import { realLogger } from './real/logger.ts'
import { RealNetwork } from './real/network.ts'
import { realRandom } from './real/random.ts'
import { clockSuite } from './suites/clock-suite.ts'
import { diskSuite } from './suites/disk-suite.ts'
import { realDriver } from './suites/driver.ts'
import { kvSuite } from './suites/kv-suite.ts'
import { loggerSuite } from './suites/logger-suite.ts'
import { networkSuite } from './suites/network-suite.ts'
import { randomSuite } from './suites/random-suite.ts'

function temporaryDirectory() {
  const directory = mkdtempSync(join(tmpdir(), 'odradek-'))
  return { directory, remove: () => rmSync(directory, { recursive: true }) }
}

clockSuite('real', () => ({ clock: realClock, ...realDriver }))
randomSuite('real', () => realRandom)
diskSuite('real', async () => {
  const { directory, remove } = temporaryDirectory()
  return { disk: new RealDisk(), directory, ...realDriver, close: async () => remove() }
})
kvSuite('real', async () => {
  const { directory, remove } = temporaryDirectory()
  const store = join(directory, 'store')
  return { stores: realKvStores, directory: store, ...realDriver, close: async () => remove() }
})
networkSuite('real', () => ({ network: new RealNetwork(), host: '127.0.0.1', ...realDriver }))
networkSuite('real, by events', () => {
  return { network: new RealNetwork({ receives: 'events' }), host: '127.0.0.1', ...realDriver }
})
loggerSuite('real', () => {
  const lines: Map<string, unknown>[] = []
  const destination = {
    write: (line: string) => void lines.push(new Map(Object.entries(JSON.parse(line)))),
  }
  return { logger: realLogger({ level: 'debug', destination }), lines: () => lines }
})
