/** What only the simulated world can show: faults, and the same run from the same seed. */
import assert from 'node:assert/strict'
import { crc32c } from '../crc32c.ts'
import { CorruptionError } from '../errors.ts'
import type { Connection, ConnectionHandler } from '../network.ts'
import type { RpcError, RpcService, RpcStream, RpcStreamHandler } from '../rpc.ts'
import { SIM_EPOCH_MS } from './clock.ts'
import { SimWorld } from './world.ts'

class End implements ConnectionHandler {
  readonly chunks: Buffer[] = []
  kept: Buffer | undefined
  closes = 0
  error: Error | undefined
  connection: Connection | undefined

  onBytes(slab: Buffer, start: number, end: number): void {
    this.kept ??= slab.subarray(start, end)
    this.chunks.push(Buffer.from(slab.subarray(start, end)))
  }

  get received(): Buffer {
    return Buffer.concat(this.chunks)
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    this.closes++
    this.error = error
  }
}

/** A connection from host 'a' to host 'b'. */
async function connected(sim: SimWorld) {
  const client = new End()
  const server = new End()
  const { network } = sim.host('b').world
  await network.listen({ host: 'b', port: 9092 }, (connection) => {
    server.connection = connection
    return server
  })
  const options = { host: 'b', port: 9092, timeoutMs: 10_000 }
  await sim.complete(
    sim.host('a').world.network.connect(options, (connection) => {
      client.connection = connection
      return client
    }),
  )
  return { client, server }
}

class StreamEnd implements RpcStreamHandler {
  messages = 0
  error: RpcError | undefined
  closes = 0
  onMessage(): void {
    this.messages++
  }
  onDrain(): void {}
  onClose(error: RpcError | undefined): void {
    this.error = error
    this.closes++
  }
}

/** A stream from host 'a' to host 'b'. */
async function openStream(sim: SimWorld) {
  const server = new StreamEnd()
  const client = new StreamEnd()
  const service: RpcService = {
    onStream: () => server,
    onCall: async (_method, request) => request,
  }
  await sim.host('b').world.rpc.serve({ host: 'b', port: 9192 }, service)
  const peer = sim.host('a').world.rpc.peer({ host: 'b', port: 9192 })
  const stream: RpcStream = peer.stream('test/stream', client)
  stream.send(Buffer.from('x'))
  await sim.runUntil(() => server.messages === 1, 1000)
  return { client, server, peer, stream }
}

describe('base/sim/world', () => {
  describe('a frozen process', () => {
    it('hears of everything at its thaw, in order, and of no timer that it cancelled', async () => {
      const sim = new SimWorld(3)
      const host = sim.host('a')
      const { clock, disk } = host.world
      const told: string[] = []
      const cancelled = clock.after(15, () => told.push('cancelled'))
      clock.after(10, () => {
        told.push('timer')
        cancelled.cancel()
      })
      const file = disk.open('f', 'new')
      const synced = file.sync().then(() => told.push('sync'))
      host.freeze()
      await sim.runFor(5000)
      assert.deepEqual(told, [])
      assert.ok(host.isFrozen && host.isRunning)
      host.thaw()
      await sim.complete(synced)
      await sim.runFor(100)
      assert.deepEqual(told, ['sync', 'timer'])
    })

    it('takes bytes as an unread socket does, and its streams are found silent', async () => {
      const sim = new SimWorld(4)
      const { client, server } = await connected(sim)
      const rpc = await openStream(sim)
      sim.host('b').freeze()
      client.connection?.write([Buffer.from('to b')])
      rpc.stream.send(Buffer.from('y'))
      await sim.runFor(2000)
      assert.equal(server.received.toString(), '')
      assert.equal(rpc.server.messages, 1)
      assert.equal(rpc.client.error?.code, 'unavailable')
      sim.host('b').thaw()
      await sim.runFor(1)
      assert.equal(server.received.toString(), 'to b')
      assert.equal(rpc.server.error?.code, 'unavailable', 'it hears that it was given up')
    })

    it('can be killed, and hears of nothing then', async () => {
      const sim = new SimWorld(5)
      const host = sim.host('a')
      host.world.clock.after(10, () => assert.fail('dead'))
      host.freeze()
      await sim.runFor(20)
      host.kill()
      host.thaw()
      await sim.runFor(20)
      host.wipe()
      assert.equal(host.world.disk.exists('f'), false)
    })
  })

  describe('network', () => {
    it('holds bytes at a cut link until it is healed', async () => {
      const sim = new SimWorld(1)
      const { client, server } = await connected(sim)
      sim.links.cutOneWay('a', 'b')
      client.connection?.write([Buffer.from('to b')])
      server.connection?.write([Buffer.from('to a')])
      await sim.runFor(5000)
      assert.equal(server.received.toString(), '')
      assert.equal(client.received.toString(), 'to a')
      sim.links.heal('a', 'b')
      await sim.runFor(1000)
      assert.equal(server.received.toString(), 'to b')
    })

    it('keeps what has left the process, whatever becomes of the buffer', async () => {
      const sim = new SimWorld(7)
      const { client, server } = await connected(sim)
      const lent = Buffer.from('as it was')
      client.connection?.write([lent])
      assert.equal(client.connection?.queuedBytes(), 0)
      lent.fill(0)
      await sim.runFor(1000)
      assert.equal(server.received.toString(), 'as it was')
    })

    it('gives up at last, and cannot connect meanwhile', async () => {
      const sim = new SimWorld(2)
      const { client, server } = await connected(sim)
      sim.links.cut('a', 'b')
      client.connection?.write([Buffer.from('x')])
      await sim.runFor(60_000)
      assert.equal(client.error?.message, 'ETIMEDOUT')
      assert.equal(server.closes, 0, 'half open: it has nothing to send')
      const again = sim
        .host('a')
        .world.network.connect({ host: 'b', port: 9092, timeoutMs: 500 }, () => new End())
      await assert.rejects(sim.complete(again), /no answer within 500 ms/)
    })

    it('resets with any part delivered', async () => {
      const lengths = new Set<number>()
      for (let seed = 0; seed < 40; seed++) {
        const sim = new SimWorld(seed)
        const { client, server } = await connected(sim)
        const sent = sim.random.bytes(50_000)
        for (let at = 0; at < sent.length; at += 10_000) {
          client.connection?.write([sent.subarray(at, at + 10_000)])
        }
        sim.reset('a', 'b')
        await sim.runFor(1000)
        assert.ok(sent.subarray(0, server.received.length).equals(server.received), `seed ${seed}`)
        assert.deepEqual([client.closes, server.closes], [1, 1])
        lengths.add(Math.round(server.received.length / 10_000))
      }
      assert.ok(lengths.size >= 3, [...lengths].join())
    })

    it('closes what a killed process had open, not what a silent machine had', async () => {
      for (const how of ['kill', 'powerLoss'] as const) {
        const sim = new SimWorld(3)
        const { client, server } = await connected(sim)
        sim.host('b')[how]()
        await sim.runFor(60_000)
        assert.equal(client.closes, how === 'kill' ? 1 : 0)
        assert.equal(server.closes, 0, 'the dead hear nothing')
        client.connection?.write([Buffer.from('x')])
        if (how === 'powerLoss') {
          sim.host('b').boot()
          await sim.runFor(60_000)
          assert.equal(client.error?.message, 'ECONNRESET')
        }
        const refused = sim
          .host('a')
          .world.network.connect({ host: 'b', port: 9092, timeoutMs: 500 }, () => new End())
        await assert.rejects(sim.complete(refused), /ECONNREFUSED/)
      }
    })

    it('overwrites the bytes that it lent', async () => {
      const sim = new SimWorld(4)
      const { client, server } = await connected(sim)
      client.connection?.write([Buffer.from('keep me')])
      await sim.runFor(100)
      assert.equal(server.received.toString(), 'keep me')
      assert.ok(server.kept?.every((byte) => byte === 0xdb))
    })
  })

  describe('rpc', () => {
    it('finds a silent peer in about a second, on both sides of a cut', async () => {
      const sim = new SimWorld(5)
      const { client, server, peer } = await openStream(sim)
      sim.links.cut('a', 'b')
      await sim.runFor(1100)
      assert.deepEqual([client.error?.code, server.error?.code], ['unavailable', 'unavailable'])
      const call = sim.complete(peer.call('test/echo', Buffer.from('x'), 300))
      await assert.rejects(call, (error: RpcError) => error.code === 'timeout')
      sim.links.healAll()
      const answer = await sim.complete(peer.call('test/echo', Buffer.from('x'), 300))
      assert.equal(answer.toString(), 'x')
    })

    it('hears at once of a killed process, and in a second of a silent machine', async () => {
      for (const [how, withinMs] of [
        ['kill', 50],
        ['powerLoss', 1100],
      ] as const) {
        const sim = new SimWorld(6)
        const { client, server } = await openStream(sim)
        sim.host('b')[how]()
        await sim.runFor(withinMs)
        assert.equal(client.error?.code, 'unavailable', how)
        assert.equal(server.closes, 0, 'the dead hear nothing')
      }
    })

    it('breaks a stream whose message is lost', async () => {
      const sim = new SimWorld(7)
      const { client, server, stream } = await openStream(sim)
      sim.links.lossProbability = 1
      stream.send(Buffer.from('y'))
      await sim.runFor(1000)
      assert.deepEqual([client.error?.code, server.error?.code], ['unavailable', 'unavailable'])
      assert.equal(server.messages, 1)
    })
  })

  describe('key-value store', () => {
    const write = (text: string) => [
      { type: 'put' as const, key: Buffer.from(text), value: Buffer.from(text) },
    ]

    it('loses unsynced batches from the end', async () => {
      const kept = new Set<string>()
      for (let seed = 0; seed < 40; seed++) {
        const sim = new SimWorld(seed)
        const kv = await sim.complete(sim.host('a').world.kv.open('/store'))
        await sim.complete(kv.batch(write('1'), { sync: true }))
        for (const key of ['2', '3', '4']) await sim.complete(kv.batch(write(key)))
        sim.host('a').powerLoss()
        const again = await sim.complete(sim.host('a').boot().kv.open('/store'))
        let found = ''
        for (const key of ['1', '2', '3', '4']) {
          found += (await sim.complete(again.get(Buffer.from(key))))?.toString() ?? ''
        }
        assert.ok('1234'.startsWith(found) && found.length > 0, `seed ${seed}: ${found}`)
        kept.add(found)
      }
      assert.equal(kept.size, 4)
    })

    it('finds damage, or loses keys without a word', async () => {
      const sim = new SimWorld(8)
      const host = sim.host('a')
      const kv = await sim.complete(host.world.kv.open('/store'))
      await sim.complete(kv.batch([...write('1'), ...write('2')]))
      host.kv.damage('/store', Buffer.from('1'))
      await assert.rejects(sim.complete(kv.get(Buffer.from('1'))), CorruptionError)
      await assert.rejects(
        sim.complete(kv.entries()[Symbol.asyncIterator]().next()),
        CorruptionError,
      )
      host.kv.lose('/store', 1)
      assert.equal(await sim.complete(kv.get(Buffer.from('2'))), undefined)
    })
  })

  describe('time', () => {
    it('gives each host a wall clock of its own, and one monotonic time', async () => {
      const sim = new SimWorld(9)
      const [a, b] = [sim.host('a').world.clock, sim.host('b').world.clock]
      sim.host('b').setClock(-3_600_000, 5)
      await sim.runFor(10_000)
      assert.equal(a.nowMs(), SIM_EPOCH_MS + 10_000)
      assert.equal(b.nowMs(), SIM_EPOCH_MS - 3_600_000 + 10_050)
      assert.deepEqual([a.monotonicMs(), b.monotonicMs()], [10_000, 10_000])
    })

    it('holds nothing that code of a process before it has opened after its end', () => {
      const host = new SimWorld(1).host('a')
      const { disk } = host.boot()
      host.kill()
      disk.open('/late', 'new')
      host.boot()
      assert.deepEqual(host.holdings(), [])
    })

    it('fires no timer of a process that died', async () => {
      const sim = new SimWorld(10)
      const { clock } = sim.host('a').world
      let count = 0
      clock.after(100, () => count++)
      clock.soon(() => count++)
      sim.host('a').kill()
      sim
        .host('a')
        .boot()
        .clock.after(50, () => {
          count += 10
        })
      await sim.runFor(1000)
      assert.equal(count, 10)
    })

    it('runs all promise code of an event before the next event', async () => {
      const sim = new SimWorld(11)
      const { clock } = sim.host('a').world
      const order: string[] = []
      clock.soon(() => {
        order.push('first')
        void (async () => {
          for (let i = 0; i < 20; i++) await Promise.resolve()
          order.push('promises of the first')
        })()
      })
      clock.soon(() => order.push('second'))
      await sim.runFor(1)
      assert.deepEqual(order, ['first', 'promises of the first', 'second'])
    })

    it('passes thousands of virtual seconds in a second', async () => {
      const sim = new SimWorld(12)
      const { clock } = sim.host('a').world
      let beats = 0
      const beat = () => {
        beats++
        clock.after(500, beat)
      }
      beat()
      const startMs = performance.now()
      await sim.run(10_000_000)
      const tookMs = performance.now() - startMs
      assert.equal(beats, 20_001)
      assert.ok(tookMs < 5000, `10,000 virtual seconds took ${tookMs} ms`)
    })

    it('says why a condition cannot come true', async () => {
      const sim = new SimWorld(13)
      await assert.rejects(
        sim.runUntil(() => false, 1000),
        /no event is left/,
      )
      sim.host('a').world.clock.after(5000, () => {})
      await assert.rejects(
        sim.runUntil(() => false, 1000),
        /not within 1000 virtual ms/,
      )
    })
  })

  describe('seed', () => {
    it('gives the same run twice, and another run to another seed', async () => {
      const first = await busyRun(1)
      assert.deepEqual(await busyRun(1), first)
      const other = await busyRun(2)
      assert.notEqual(other.trace, first.trace)
      assert.ok(first.events > 500, String(first.events))
    })

    it('bends rare paths as often as it is told', () => {
      const count = (probability: number) => {
        const { world } = new SimWorld(1, { maybeProbability: probability }).host('a')
        return Array.from({ length: 1000 }, () => world.maybe('x')).filter(Boolean).length
      }
      assert.equal(count(0), 0)
      assert.ok(Math.abs(count(0.3) - 300) < 60)
    })
  })
})

/** Two hosts that talk, write and crash, under faults drawn from the seed. */
async function busyRun(seed: number) {
  const sim = new SimWorld(seed)
  const faults = sim.random.split('faults')
  const { client, server } = await connected(sim)
  const { stream, server: streamServer } = await openStream(sim)
  const file = sim.host('a').disk.open('/a', 'new')
  const { clock, random } = sim.host('a').world
  let synced = 0
  const work = async () => {
    client.connection?.write([random.bytes(1 + random.below(5000))])
    stream.send(random.bytes(100))
    file.write(random.bytes(700), 0, 700, file.size())
    await file.sync()
    synced++
    clock.after(random.below(20), () => void work())
  }
  clock.soon(() => void work())
  for (let step = 0; step < 100; step++) {
    await sim.runFor(20)
    if (faults.chance(0.1)) sim.links.cut('a', 'b')
    else sim.links.healAll()
  }
  sim.host('a').powerLoss()
  await sim.runFor(2000)
  const { disk } = sim.host('a').boot()
  return {
    trace: sim.traceHash(),
    events: sim.scheduler.eventCount,
    synced,
    messages: streamServer.messages,
    received: crc32c(server.received),
    onDisk: disk.exists('/a') ? crc32c(disk.readFile('/a')) : 0,
  }
}
