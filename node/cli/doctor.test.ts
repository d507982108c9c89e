import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { settingsOf } from './doctor.ts'
import {
  advertisedFindings,
  clockFinding,
  diskFinding,
  openFilesFinding,
  portFinding,
  spaceFinding,
  versionFinding,
} from './doctor-checks.ts'

const NOW_MS = Date.parse('2026-11-25T12:00:00Z')

function listening(): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy())
    server.listen(0, '127.0.0.1', () => resolve(server))
  })
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port
const closed = (server: Server) => new Promise<void>((resolve) => server.close(() => resolve()))

describe('node/cli/doctor', () => {
  it('asks for a newer Node where this one is too old', () => {
    assert.match(versionFinding('18.20.1').says, /install 20.19 or newer/)
    assert.match(versionFinding('20.18.3').says, /install 20.19 or newer/)
    for (const version of ['20.19.0', '22.1.0', '26.0.0']) {
      assert.equal(versionFinding(version).verdict, 'ok')
    }
  })

  it('wants the limit of open files raised', () => {
    const limits = (soft: string) =>
      `Max processes   1   1  processes\nMax open files  ${soft}  9  files\n`
    assert.equal(openFilesFinding(limits('1024')).verdict, 'fail')
    assert.match(
      openFilesFinding(limits('1024')).says,
      /1024 may be open: raise it \(ulimit -n 100000/,
    )
    assert.equal(openFilesFinding(limits('65536')).verdict, 'warn')
    assert.equal(openFilesFinding(limits('unlimited')).verdict, 'ok')
    assert.equal(openFilesFinding(undefined).verdict, 'ok')
  })

  it('sees a clock that is off, and one that was never set', () => {
    assert.match(clockFinding(NOW_MS, NOW_MS - 90_000).says, /differ by 90 s: set both by NTP/)
    assert.equal(clockFinding(NOW_MS + 900, NOW_MS).verdict, 'ok')
    assert.match(clockFinding(0).says, /it is not 1970-.*set the clock/)
    assert.equal(clockFinding(NOW_MS).verdict, 'ok')
  })

  it('looks at the disk on which the directory will be made', () => {
    const directory = mkdtempSync(join(tmpdir(), 'odradek-doctor-'))
    try {
      assert.notEqual(diskFinding(join(directory, 'not', 'yet')).says, '')
      assert.match(diskFinding(join(directory, 'not', 'yet')).says, /GiB/)
    } finally {
      rmSync(directory, { recursive: true })
    }
    assert.equal(spaceFinding('/d', { freeBytes: 2, sizeBytes: 100 }).verdict, 'fail')
    assert.match(spaceFinding('/d', { freeBytes: 10, sizeBytes: 100 }).says, /make room/)
    assert.equal(spaceFinding('/d', { freeBytes: 50, sizeBytes: 100 }).verdict, 'ok')
    assert.match(diskFinding('/proc/odradek').says, /\/proc .*change log.dirs|GiB/)
  })

  it('tells a busy port from one that is free and one of the node that runs', async () => {
    const server = await listening()
    const address = { host: '127.0.0.1', port: portOf(server) }
    const never = () => Promise.resolve(false)
    const busy = await portFinding('listeners', address, never)
    assert.equal(busy.verdict, 'fail')
    assert.match(busy.says, /is taken: stop what listens there, or change listeners/)
    const ours = await portFinding('listeners', address, () => Promise.resolve(true))
    assert.equal(ours.verdict, 'ok')
    await closed(server)
    assert.match((await portFinding('listeners', address, never)).says, /is free/)
    const foreign = await portFinding('listeners', { host: '192.0.2.1', port: 9092 }, never)
    assert.match(foreign.says, /is no address of this machine: change listeners/)
  })

  it('finds advertised listeners that clients can not reach', async () => {
    const server = await listening()
    const open = { host: '127.0.0.1', port: portOf(server) }
    const gone = await listening()
    const refused = { host: '127.0.0.1', port: portOf(gone) }
    await closed(gone)
    const findings = await advertisedFindings(
      [
        { nodeId: 1, ...open },
        { nodeId: 2, ...refused },
        { nodeId: 3, host: 'no-such-host.invalid', port: 9092 },
        { nodeId: 4, ...open },
      ],
      '127.0.0.1',
    )
    assert.deepEqual(
      findings.map((one) => one.verdict),
      ['ok', 'fail', 'fail', 'fail'],
    )
    assert.match(findings[1]!.says, /where nothing listens: change advertised.listeners of node 2/)
    assert.match(findings[2]!.says, /a name that this machine does not know/)
    assert.match(findings[3]!.says, /nodes 1 and 4 both advertise/)
    const [outside] = await advertisedFindings([{ nodeId: 1, ...open }], 'kafka.example')
    assert.match(outside!.says, /where other machines find themselves/)
    await closed(server)
  })

  it('passes on the sentence about a wrong setting', () => {
    const directory = mkdtempSync(join(tmpdir(), 'odradek-doctor-'))
    const file = join(directory, 'node.properties')
    try {
      writeFileSync(file, 'node.id=1\nlog.retention.hour=3\n')
      assert.match(settingsOf(file).complaint!.says, /log.retention.hours/)
      assert.match(
        settingsOf(join(directory, 'none')).complaint!.says,
        /none can't be read: there is no such file/,
      )
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
