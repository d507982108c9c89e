import assert from 'node:assert/strict'
import { UserError } from '../../base/errors.ts'
import { SimDisk } from '../../base/sim/disk.ts'
import { SimRandom } from '../../base/sim/random.ts'
import {
  adoptClusterId,
  claimDirectories,
  lockMetadataDirectory,
  newUuid,
  readMetaProperties,
} from './meta-properties.ts'

const fixture = (seed = 1) => {
  const random = new SimRandom(seed)
  return { random, disk: new SimDisk({ random }) }
}

type Parts = ReturnType<typeof fixture>

const claim = ({ disk, random }: Parts, nodeId: number, ...directories: string[]) =>
  claimDirectories({ disk, random, nodeId, directories })

/** The first start of a node in a cluster. */
const join = async (parts: Parts, nodeId: number, ...directories: string[]) =>
  adoptClusterId(parts.disk, await claim(parts, nodeId, ...directories), newUuid(parts.random))

const refusal = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof UserError, String(error))
  assert.match(error.message, message)
  return true
}

describe('node/metadata/meta-properties', () => {
  it('makes ids as Kafka does', () => {
    const random = new SimRandom(3)
    for (let i = 0; i < 1000; i++) assert.match(newUuid(random), /^[A-Za-z0-9_][A-Za-z0-9_-]{21}$/)
  })

  it('gives a new directory its owner, and knows it again', async () => {
    const parts = fixture()
    const alone = await claim(parts, 1, '/a', '/b')
    assert.equal(alone.clusterId, undefined)
    assert.equal(readMetaProperties(parts.disk, '/b')!.clusterId, undefined)
    const first = await adoptClusterId(parts.disk, alone, newUuid(parts.random))
    assert.deepEqual(first.directoryIds, alone.directoryIds)
    assert.equal(first.clusterId.length, 22)
    assert.notEqual(first.directoryIds.get('/a'), first.directoryIds.get('/b'))
    assert.deepEqual(await claim(parts, 1, '/a', '/b'), first)
    assert.deepEqual(readMetaProperties(parts.disk, '/a'), {
      clusterId: first.clusterId,
      nodeId: 1,
      directoryId: first.directoryIds.get('/a'),
    })
    const text = parts.disk.readFile('/a/meta.properties').toString()
    assert.match(text, /^version=1$/m)
    assert.match(text, /^node\.id=1$/m)
  })

  it('adds a directory to the cluster of the others', async () => {
    const parts = fixture()
    const first = await join(parts, 1, '/a')
    const second = await claim(parts, 1, '/new', '/a')
    assert.equal(second.clusterId, first.clusterId)
    assert.equal(second.directoryIds.get('/a'), first.directoryIds.get('/a'))
  })

  it('claims a directory of the metadata that holds no logs', async () => {
    const parts = fixture()
    const options = { ...parts, nodeId: 1, directories: ['/a', '/b'], metadataDirectory: '/m' }
    const first = await claimDirectories(options)
    assert.deepEqual([...first.directoryIds.keys()], ['/a', '/b', '/m'])
    assert.deepEqual(first.logDirectoryIds, [
      first.directoryIds.get('/a'),
      first.directoryIds.get('/b'),
    ])
    assert.deepEqual(await claimDirectories(options), first)
    const among = await claimDirectories({ ...options, metadataDirectory: '/b' })
    assert.deepEqual([...among.directoryIds.keys()], ['/a', '/b'])
    await assert.rejects(
      claimDirectories({ ...parts, nodeId: 2, directories: ['/c'], metadataDirectory: '/m' }),
      refusal(/\/m belongs to node 1/),
    )
  })

  it('locks a directory of the metadata that holds no logs', () => {
    const { disk } = fixture()
    assert.equal(lockMetadataDirectory(disk, '/a', ['/a', '/b']), undefined)
    const lock = lockMetadataDirectory(disk, '/m', ['/a'])
    assert.throws(() => lockMetadataDirectory(disk, '/m', ['/a']), refusal(/\/m is in use/))
    lock!.release()
    lockMetadataDirectory(disk, '/m', ['/a'])!.release()
  })

  it('survives a power loss after each start', async () => {
    const parts = fixture(9)
    const alone = await claim(parts, 1, '/a')
    parts.disk.powerLoss()
    assert.deepEqual(await claim(parts, 1, '/a'), alone)
    const first = await adoptClusterId(parts.disk, alone, newUuid(parts.random))
    parts.disk.powerLoss()
    assert.deepEqual(await claim(parts, 1, '/a'), first)
  })

  it('refuses what belongs to another node or cluster, before it changes anything', async () => {
    const parts = fixture()
    const { clusterId } = await join(parts, 1, '/a')
    await assert.rejects(claim(parts, 2, '/new', '/a'), refusal(/belongs to node 1, .* node 2/))
    assert.equal(readMetaProperties(parts.disk, '/new'), undefined)
    const other = fixture(2)
    const theirs = await join(other, 1, '/a')
    await assert.rejects(
      claimDirectories({ ...other, nodeId: 1, directories: ['/a'], clusterId }),
      refusal(/belongs to cluster/),
    )
    await assert.rejects(
      adoptClusterId(other.disk, theirs, clusterId),
      refusal(/belongs to cluster/),
    )
    assert.equal((await adoptClusterId(other.disk, theirs, theirs.clusterId)).nodeId, 1)
  })

  it('is refused or read as it was, whichever byte changes', async () => {
    const parts = fixture()
    await join(parts, 1, '/a')
    const whole = readMetaProperties(parts.disk, '/a')
    const bytes = parts.disk.readFile('/a/meta.properties')
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes)
      damaged[at]! ^= 1 << (at % 8)
      await parts.disk.replaceFile('/a/meta.properties', damaged)
      try {
        assert.deepEqual(readMetaProperties(parts.disk, '/a'), whole, `byte ${at}`)
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
        assert.match((error as Error).message, /is damaged|restore the file/, `byte ${at}`)
      }
    }
  })

  it('is refused or read as it was, whatever several wrong bytes make of it', async () => {
    const parts = fixture()
    await join(parts, 1, '/a')
    const whole = readMetaProperties(parts.disk, '/a')
    const bytes = parts.disk.readFile('/a/meta.properties')
    for (let round = 0; round < 3000; round++) {
      const damaged = Buffer.from(bytes)
      // The first line says that there is a checksum: it is hit every time.
      damaged[parts.random.below(17)] = parts.random.below(256)
      for (let more = parts.random.below(4); more > 0; more--) {
        damaged[parts.random.below(damaged.length)] = parts.random.below(256)
      }
      await parts.disk.replaceFile('/a/meta.properties', damaged)
      try {
        assert.deepEqual(readMetaProperties(parts.disk, '/a'), whole, `round ${round}`)
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
        assert.ok(error instanceof UserError, `round ${round}: ${error}`)
      }
    }
  })

  it("reads Kafka's own file, and says what is wrong with a bad one", async () => {
    const { disk, random } = fixture()
    disk.makeDirectory('/k')
    const write = (text: string) => disk.replaceFile('/k/meta.properties', Buffer.from(text))
    const good =
      '#\n#Wed Nov 25 14:00:00 UTC 2026\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\n' +
      'directory.id=aomOjkYeT2qNDiE53jFr2g\nnode.id=1\nversion=1\n'
    await write(good)
    const identity = await claimDirectories({ disk, random, nodeId: 1, directories: ['/k'] })
    assert.equal(identity.clusterId, 'MkU3OEVBNTcwNTJENDM2Qg')
    assert.equal(disk.readFile('/k/meta.properties').toString(), good, 'left as it was')
    const cases: [from: string, to: string, message: RegExp][] = [
      ['version=1', 'version=0', /is not of version 1/],
      ['node.id=1\n', '', /does not say which node.id/],
      ['node.id=1', 'node.id=x', /no number/],
      ['directory.id=aomOjkYeT2qNDiE53jFr2g\n', '', /has no directory.id/],
      ['aomOjkYeT2qNDiE53jFr2g', 'short', /directory.id that is no id/],
      ['53jFr2g', '53jFr2h', /directory.id that is no id/],
      ['cluster.id=MkU3OEVBNTcwNTJENDM2Qg\n', '', /has no cluster.id/],
      ['MkU3OEVBNTcwNTJENDM2Qg', 'MkU3OEVBNTcwNTJENDM2Q', /cluster.id that is no id/],
      ['MkU3OEVBNTcwNTJENDM2Qg', 'MkU3OEV!NTcwNTJENDM2Qg', /cluster.id that is no id/],
      ['version=1', 'version=1\nrack=5', /a line that does not belong there: rack/],
      ['#\n', '#0\n', /is damaged/],
    ]
    for (const [from, to, message] of cases) {
      await write(good.replace(from, to))
      assert.throws(() => readMetaProperties(disk, '/k'), refusal(message))
    }
  })
})
