import assert from 'node:assert/strict'
import { ThroughputMeter } from './throughput.ts'

describe('node/throughput', () => {
  it('gives rates a partition, and a total that is their sum', () => {
    const meter = new ThroughputMeter(1)
    const flows = [0, 1].map((index) => ({ topic: 't', index, recordsIn: 0, bytesIn: 0 }))
    for (let second = 0; second < 30; second++) {
      meter.sample(flows, second * 1000, second * 1000)
      flows[0]!.recordsIn += 100
      flows[1]!.recordsIn += 50
      flows[1]!.bytesIn += 5000
    }
    const { total, partitions } = meter.read()
    assert.deepEqual(
      partitions.map((partition) => partition.recordsPerSecond),
      [100, 50],
    )
    assert.equal(total.recordsPerSecond, 150)
    assert.equal(total.bytesPerSecond, 5000)
  })

  it('forgets a partition that is no longer led here', () => {
    const meter = new ThroughputMeter(1)
    const flow = { topic: 't', index: 0, recordsIn: 0, bytesIn: 0 }
    meter.sample([flow], 0, 0)
    meter.sample([], 1000, 1000)
    assert.deepEqual(meter.read().partitions, [])
    assert.equal(meter.read().history.length, 2)
  })
})
