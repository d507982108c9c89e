import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { realClock } from '../base/real/clock.ts'
import { RpcError, type RpcIdentity, type RpcService, type RpcStreamHandler } from '../base/rpc.ts'
import { realDriver } from '../base/suites/driver.ts'
import { rpcSuite } from '../base/suites/rpc-suite.ts'
import { identityIn, identityUri, type NodeCertificates, readCertificates } from './certificates.ts'
import { CLUSTER_PULSE, CLUSTER_STATUS } from './methods.ts'
import { GrpcRpc } from './rpc.ts'
import { TestAuthority, whyNoCertificates } from './testing/certificates.ts'
import { SUITE_METHODS } from './testing/suite-methods.ts'

const host = '127.0.0.1'
const CLUSTER = 'abc_DEF-123'

describe('proto/certificates', () => {
  it('finds a node among the names of a certificate', () => {
    const identity = { nodeId: 12, clusterId: CLUSTER }
    const uri = `URI:${identityUri(identity)}`
    for (const names of [uri, `DNS:localhost, ${uri}`, `${uri}, IP Address:127.0.0.1`]) {
      assert.deepEqual(identityIn(names), identity)
    }
    for (const names of [
      undefined,
      '',
      'DNS:localhost',
      `DNS:${identityUri(identity)}`,
      `${uri}x`,
      'URI:odradek://a b/nodes/1',
      'URI:https://cluster/nodes/1',
      'DNS:"x, URI:odradek://evil/nodes/1"',
    ]) {
      assert.equal(identityIn(names), undefined, names)
    }
  })
})

const reason = whyNoCertificates()
if (reason === undefined) certificateTests()
else describe('proto/certificates', () => it(`has no certificates to test: ${reason}`))

function certificateTests(): void {
  let authority: TestAuthority
  let one: NodeCertificates
  let two: NodeCertificates
  before(() => {
    authority = new TestAuthority()
    one = authority.certificates(CLUSTER, 1)
    two = authority.certificates(CLUSTER, 2)
  })
  after(() => authority.remove())

  // One identity for both ends: the suite knows nothing of nodes.
  rpcSuite('gRPC with certificates', () => ({
    rpc: new GrpcRpc({ clock: realClock, methods: SUITE_METHODS, certificates: one }),
    host,
    ...realDriver,
  }))
  readTests(() => authority)
  connectionTests(() => ({ authority, one, two }))
}

function readTests(authority: () => TestAuthority): void {
  describe('proto/certificates of a file', () => {
    it('are read with their key', () => {
      const { own, authority: path } = authority().make(CLUSTER, 7)
      const pem = readFileSync(own, 'utf8')
      const authorities = readFileSync(path, 'utf8')
      const read = readCertificates({ chain: pem, key: pem, authorities }, 7, realClock.nowMs())
      assert.deepEqual(read.identity, { nodeId: 7, clusterId: CLUSTER })
      const days = (read.expiresAtMs - realClock.nowMs()) / 86_400_000
      assert.ok(days > 820 && days < 826)
      assert.equal(statSync(own).mode & 0o077, 0, 'for nobody else')
    })

    it('are refused with what to do', () => {
      const { own, authority: path } = authority().make(CLUSTER, 7)
      const pem = readFileSync(own, 'utf8')
      const other = readFileSync(authority().make(CLUSTER, 8).own, 'utf8')
      const authorities = readFileSync(path, 'utf8')
      const foreign = new TestAuthority()
      const stranger = readFileSync(foreign.make(CLUSTER, 7).authority, 'utf8')
      foreign.remove()
      const good = { chain: pem, key: pem, authorities }
      const nowMs = realClock.nowMs()
      readCertificates({ ...good, authorities: `${stranger}\n${authorities}` }, 7, nowMs)
      const cases = [
        [{ ...good, chain: 'x' }, 7, nowMs, /certificate of this node can't be read/],
        [{ ...good, authorities: '' }, 7, nowMs, /certificate of the authority can't be read/],
        [{ ...good, key: 'x' }, 7, nowMs, /private key of this node can't be read/],
        [{ ...good, key: other }, 7, nowMs, /does not belong to the certificate/],
        [good, 8, nowMs, /is of node 7, and this is node 8/],
        [{ ...good, chain: authorities, key: keyOf() }, 7, nowMs, /URI:odradek:\/\/CLUSTER-ID\/n/],
        [good, 7, nowMs + 900 * 86_400_000, /make a new one/],
        [good, 7, 0, /make a new one/],
        [{ ...good, authorities: stranger }, 7, nowMs, /no authority of ssl.truststore has signed/],
      ] as const
      for (const [texts, nodeId, atMs, sentence] of cases) {
        assert.throws(
          () => readCertificates(texts, nodeId, atMs),
          (error) => error instanceof UserError && sentence.test(error.message),
          String(sentence),
        )
      }
    })

    it('are made only for names that can be', () => {
      const { directory } = authority()
      for (const args of [
        [],
        [directory, CLUSTER],
        [directory, 'a b', '1'],
        [directory, CLUSTER, 'x'],
        [directory, CLUSTER, '1', ''],
      ]) {
        assert.throws(() => authority().run(args), /^Error: certs.sh: /, args.join(' '))
      }
      const empty = { PATH: join(directory, 'empty') }
      assert.throws(() => authority().run([directory, CLUSTER, '1'], empty))
    })

    const keyOf = () => readFileSync(join(authority().directory, 'ca.key'), 'utf8')
  })
}

interface Identities {
  readonly authority: TestAuthority
  readonly one: NodeCertificates
  readonly two: NodeCertificates
}

/** Remembers who called, and answers. */
class Service implements RpcService {
  readonly identities: (RpcIdentity | undefined)[] = []

  onStream(_method: string, stream: { readonly identity?: RpcIdentity | undefined }) {
    this.identities.push(stream.identity)
    return quiet
  }

  async onCall(_method: string, request: Buffer, _remote: string, identity?: RpcIdentity) {
    this.identities.push(identity)
    return request
  }
}

const quiet: RpcStreamHandler = { onMessage() {}, onDrain() {}, onClose() {} }

function connectionTests(identities: () => Identities): void {
  const rpcOf = (certificates?: NodeCertificates) =>
    new GrpcRpc({ clock: realClock, ...(certificates === undefined ? {} : { certificates }) })

  /** How a call of a client with these certificates ends at a server with those. */
  async function call(client?: NodeCertificates, server?: NodeCertificates) {
    const service = new Service()
    const serving = await rpcOf(server).serve({ host, port: 0 }, service)
    const peer = rpcOf(client).peer({ host, port: serving.port })
    try {
      const answer = await peer
        .call(CLUSTER_STATUS, Buffer.from('x'), 3000)
        .then(String, asRpcError)
      return { answer, service }
    } finally {
      peer.close()
      await serving.close()
    }
  }

  describe('proto/certificates on connections', () => {
    it('prove both ends to each other', async () => {
      const { one, two } = identities()
      const service = new Service()
      const server = await rpcOf(two).serve(
        { host, port: 0 },
        {
          onStream(_method, stream) {
            service.onStream(_method, stream)
            stream.send(Buffer.from('hello'))
            return quiet
          },
          onCall: service.onCall.bind(service),
        },
      )
      const peer = rpcOf(one).peer({ host, port: server.port })
      let seen: RpcIdentity | undefined
      const stream = peer.stream(CLUSTER_PULSE, {
        ...quiet,
        onMessage() {
          seen = stream.identity
        },
      })
      await realDriver.until(() => seen !== undefined)
      assert.equal(String(await peer.call(CLUSTER_STATUS, Buffer.from('x'), 3000)), 'x')
      assert.deepEqual(seen, { nodeId: 2, clusterId: CLUSTER })
      assert.deepEqual(service.identities, [one.identity, one.identity])
      peer.close()
      await server.close()
    })

    it('keep two clusters apart that have one authority', async () => {
      const { authority, one } = identities()
      const { answer, service } = await call(one, authority.certificates('another', 2))
      assert.ok(answer instanceof RpcError)
      assert.equal(answer.code, 'denied')
      assert.match(answer.message, /is of cluster another, that of node 1 of cluster abc_DEF-123/)
      assert.deepEqual(service.identities, [])
    })

    it('keep out who has none, or those of a stranger', async () => {
      const { one, two } = identities()
      const stranger = new TestAuthority()
      try {
        const foreign = stranger.certificates(CLUSTER, 3)
        const pairs = [
          [undefined, two],
          [one, undefined],
          [foreign, two],
          [one, foreign],
        ] as const
        for (const [client, server] of pairs) {
          const { answer, service } = await call(client, server)
          assert.ok(answer instanceof RpcError, String(answer))
          assert.ok(['denied', 'unavailable'].includes(answer.code), answer.code)
          assert.deepEqual(service.identities, [])
        }
      } finally {
        stranger.remove()
      }
    })
  })
}

function asRpcError(error: unknown): RpcError {
  assert.ok(error instanceof RpcError)
  return error
}
