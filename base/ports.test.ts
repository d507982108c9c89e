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
import { SimDisk } from './sim/disk.ts'
import { SimKvStores } from './sim/kv.ts'
import { SimLogger } from './sim/logger.ts'
import { SimMetrics } from './sim/metrics.ts'
import { SimRandom } from './sim/random.ts'
import { SimWorld } from './sim/world.ts'
import { clockSuite } from './suites/clock-suite.ts'
import { diskSuite } from './suites/disk-suite.ts'
import { realDriver, simDriver } from './suites/driver.ts'
import { kvSuite } from './suites/kv-suite.ts'
import { loggerSuite } from './suites/logger-suite.ts'
import { metricsSuite } from './suites/metrics-suite.ts'
import { networkSuite } from './suites/network-suite.ts'
import { randomSuite } from './suites/random-suite.ts'
import { rpcSuite } from './suites/rpc-suite.ts'

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

let seed = 0
/** A simulation of its own for each test, with one host. */
function simulated() {
  const sim = new SimWorld(seed++)
  return { sim, host: sim.host('a'), driver: simDriver(sim.scheduler) }
}

clockSuite('simulated', () => {
  const { host, driver } = simulated()
  return { clock: host.world.clock, ...driver }
})
randomSuite('simulated', () => new SimRandom(seed++))
diskSuite('simulated', async () => {
  const { host, driver } = simulated()
  host.disk.makeDirectory('/data')
  return { disk: host.world.disk, directory: '/data', ...driver, close: async () => {} }
})
diskSuite('simulated, without time', async () => {
  const disk = new SimDisk({ random: new SimRandom(seed++) })
  disk.makeDirectory('/data')
  return { disk, directory: '/data', ...realDriver, close: async () => {} }
})
kvSuite('simulated', async () => {
  const { host, driver } = simulated()
  return { stores: host.world.kv, directory: '/store', ...driver, close: async () => {} }
})
kvSuite('simulated, without time', async () => {
  const stores = new SimKvStores(new SimRandom(seed++))
  return { stores, directory: '/store', ...realDriver, close: async () => {} }
})
networkSuite('simulated', () => {
  const { host, driver } = simulated()
  return { network: host.world.network, host: host.name, ...driver }
})
rpcSuite('simulated', () => {
  const { host, driver } = simulated()
  return { rpc: host.world.rpc, host: host.name, ...driver }
})
loggerSuite('simulated', () => {
  const logger = new SimLogger()
  const lines = () =>
    logger.lines.map(({ level, message, fields }) => {
      const shown = Object.entries(fields).map(([key, value]) => [key, shownValue(value)] as const)
      return new Map<string, unknown>([['level', level], ['msg', message], ...shown])
    })
  return { logger, lines }
})
metricsSuite('simulated', () => {
  const metrics = new SimMetrics()
  return { metrics, scrape: async () => metrics.scrape() }
})

/** Errors have nothing to show as JSON. */
function shownValue(value: unknown): unknown {
  return value instanceof Error ? `${value.message} ${String(value.cause)}` : value
}
