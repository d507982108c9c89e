import assert from 'node:assert/strict'
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { spendYoung } from './young.ts'

describe('young buffers', () => {
  it('are collected now and then, without a look at the whole heap', async () => {
    const kinds = new Set<unknown>()
    const seen = new Promise<void>((resolve) => {
      const observer = new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) {
          kinds.add((entry as unknown as { readonly detail: { kind: number } }).detail.kind)
        }
        observer.disconnect()
        resolve()
      })
      observer.observe({ entryTypes: ['gc'] })
    })
    for (let spent = 0; spent < 64; spent++) spendYoung(1024 * 1024)
    await seen
    assert.ok(kinds.has(constants.NODE_PERFORMANCE_GC_MINOR))
    assert.ok(!kinds.has(constants.NODE_PERFORMANCE_GC_MAJOR))
  })
})
