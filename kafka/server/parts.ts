/** What all connections of one server share. */
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'
import type { Turn } from '../../base/turn.ts'
import type { FrameHeader } from '../wire/frame.ts'
import type { Reader } from '../wire/reader.ts'
import type { FetchHandler } from './fetch.ts'
import type { BufferPool, MemoryAccountant } from './memory.ts'
import type { Misdirected } from './misdirected.ts'
import type { ServerOptions } from './options.ts'
import type { ServerProbe } from './probe.ts'
import type { HotRequest, ProduceHandler } from './produce.ts'
import type { SlowRequests } from './slow-requests.ts'

export interface ServerParts {
  readonly clock: Clock
  readonly turn: Turn
  readonly logger: Logger
  readonly options: ServerOptions
  readonly memory: MemoryAccountant
  readonly pool: BufferPool
  readonly probe: ServerProbe
  readonly misdirected: Misdirected
  readonly produce: ProduceHandler
  readonly fetch: FetchHandler
  readonly slow: SlowRequests
  /** Reused for each request: whoever gets them is done with them when it returns. */
  readonly header: FrameHeader
  readonly reader: Reader
  readonly hot: HotRequest
}
