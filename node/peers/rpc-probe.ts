/** What is counted of calls and streams to other nodes: read by whoever exposes it. */
import { Histogram, SECONDS_BUCKETS } from '../../base/metrics.ts'
import type { RpcError } from '../../base/rpc.ts'

export interface CallFigures {
  readonly method: string
  readonly peer: number
  readonly seconds: Histogram
}

export interface ErrorFigures {
  readonly method: string
  readonly peer: number
  readonly code: RpcError['code']
  count: number
}

export class RpcProbe {
  readonly #calls = new Map<string, CallFigures>()
  readonly #errors = new Map<string, ErrorFigures>()

  /** A call has ended, well or not. */
  answered(method: string, peer: number, seconds: number): void {
    const key = `${method} ${peer}`
    let figures = this.#calls.get(key)
    if (figures === undefined) {
      figures = { method, peer, seconds: new Histogram(SECONDS_BUCKETS) }
      this.#calls.set(key, figures)
    }
    figures.seconds.observe(seconds)
  }

  /** A call or a stream has ended with an error. */
  failed(method: string, peer: number, code: RpcError['code']): void {
    const key = `${method} ${peer} ${code}`
    const figures = this.#errors.get(key)
    if (figures !== undefined) figures.count++
    else this.#errors.set(key, { method, peer, code, count: 1 })
  }

  calls(): Iterable<CallFigures> {
    return this.#calls.values()
  }

  errors(): Iterable<ErrorFigures> {
    return this.#errors.values()
  }
}
