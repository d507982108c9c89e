import assert from 'node:assert/strict'
import { SILENT } from '../base/logger.ts'
import { SimClock } from '../base/sim/clock.ts'
import { SimDisk } from '../base/sim/disk.ts'
import { SimRandom } from '../base/sim/random.ts'
import { Scheduler } from '../base/sim/scheduler.ts'
import { RESERVE_PIECE_BYTES, RESERVE_PIECES, Reserve } from './reserve.ts'

class Bench {
  readonly scheduler = new Scheduler()
  readonly disk = new SimDisk({ random: new SimRandom(1), scheduler: this.scheduler })
  reserve = this.open()

  open(): Reserve {
    const { disk, scheduler } = this
    const clock = new SimClock(scheduler, { run: (act) => act() })
    if (!disk.exists('/data')) disk.makeDirectory('/data')
    return new Reserve({ disk, clock, logger: SILENT, directory: '/data/reserve' })
  }

  async restart(): Promise<void> {
    await this.scheduler.complete(this.reserve.close())
    this.reserve = this.open()
  }

  async freeBytes(): Promise<number> {
    const { freeBytes } = await this.disk.space('/data')
    return freeBytes
  }

  fillDisk(): void {
    this.disk.quotaBytes = this.disk.usedBytes()
  }
}

describe('log/reserve', () => {
  it('gives up a piece at a time, at once, without room of its own', async () => {
    const bench = new Bench()
    assert.equal(bench.reserve.giveUp(), false, 'nothing is there yet')
    await bench.scheduler.runFor(5000)
    assert.equal(bench.reserve.pieceCount, RESERVE_PIECES)
    bench.fillDisk()
    for (let given = 1; given <= RESERVE_PIECES; given++) {
      assert.equal(bench.reserve.giveUp(), true)
      assert.equal(await bench.freeBytes(), given * RESERVE_PIECE_BYTES)
    }
    assert.equal(bench.reserve.giveUp(), false)
    await bench.scheduler.complete(bench.reserve.close())
  })

  it('is made again when there is room, and not of the last of it', async () => {
    const bench = new Bench()
    await bench.scheduler.runFor(5000)
    bench.fillDisk()
    assert.ok(bench.reserve.giveUp() && bench.reserve.giveUp())
    await bench.scheduler.runFor(60_000)
    assert.equal(bench.reserve.pieceCount, RESERVE_PIECES - 2)
    bench.disk.quotaBytes = 2 ** 40
    await bench.scheduler.runFor(11_000)
    assert.equal(bench.reserve.pieceCount, RESERVE_PIECES)
    bench.fillDisk()
    assert.ok(bench.reserve.giveUp(), 'also the pieces that were made again')
    await bench.scheduler.complete(bench.reserve.close())
  })

  it('is there after a restart, whatever was given up before', async () => {
    for (let given = 0; given <= RESERVE_PIECES; given++) {
      const bench = new Bench()
      await bench.scheduler.runFor(5000)
      bench.fillDisk()
      for (let i = 0; i < given; i++) bench.reserve.giveUp()
      await bench.restart()
      const left = RESERVE_PIECES - given
      assert.equal(bench.reserve.pieceCount, left)
      assert.equal(bench.reserve.giveUp(), left > 0)
      await bench.scheduler.complete(bench.reserve.close())
    }
  })

  it('makes its empty file empty again, when a crash has taken back the name of a piece', async () => {
    const bench = new Bench()
    await bench.scheduler.runFor(5000)
    const file = bench.disk.open('/data/reserve/empty', 'write')
    file.write(Buffer.alloc(RESERVE_PIECE_BYTES), 0, RESERVE_PIECE_BYTES, 0)
    file.close()
    await bench.restart()
    assert.equal(bench.reserve.pieceCount, RESERVE_PIECES)
    await bench.scheduler.runFor(5000)
    bench.fillDisk()
    for (let given = 1; given <= RESERVE_PIECES; given++) {
      assert.equal(bench.reserve.giveUp(), true)
      assert.equal(await bench.freeBytes(), given * RESERVE_PIECE_BYTES)
    }
    await bench.scheduler.complete(bench.reserve.close())
  })

  it('does without on a disk that fails', async () => {
    const bench = new Bench()
    bench.disk.fault = (operation) => (operation === 'write' ? 'EIO' : undefined)
    await bench.scheduler.runFor(30_000)
    assert.equal(bench.reserve.giveUp(), false)
    bench.disk.fault = () => undefined
    await bench.scheduler.runFor(11_000)
    bench.disk.fault = (operation) => (operation === 'rename' ? 'EIO' : undefined)
    assert.equal(bench.reserve.giveUp(), false)
    assert.equal(bench.reserve.pieceCount, RESERVE_PIECES)
    await bench.scheduler.complete(bench.reserve.close())
  })
})
