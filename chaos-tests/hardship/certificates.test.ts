/* Certificates that are missing or do not match: a node says so at its start, in one sentence. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { skip } from '../../base/mocha-reporter.ts'
import { TestAuthority, whyNoCertificates } from '../../proto/testing/certificates.ts'
import { failedStart, propertiesOf } from './nodes.ts'

const CLUSTER = 'Zm9vYmFyYmF6cXV4cXV1eA'
const OTHER = 'b3RoZXJvdGhlcm90aGVybw'

describe('hardship/certificates', function () {
  this.timeout(120_000)

  it('a node does not start with those that do not match, and says what to change', async function () {
    const reason = whyNoCertificates()
    if (reason !== undefined) skip(this, reason)
    const root = mkdtempSync(join(tmpdir(), 'odradek-hardship-'))
    const authority = new TestAuthority()
    const stranger = new TestAuthority()
    try {
      const one = authority.make(CLUSTER, 1)
      const good = {
        ...(await propertiesOf(join(root, 'data'))),
        'cluster.id': CLUSTER,
        'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:SSL',
        'ssl.keystore.type': 'PEM',
        'ssl.truststore.type': 'PEM',
        'ssl.keystore.location': one.own,
        'ssl.truststore.location': one.authority,
      }
      const two = authority.make(CLUSTER, 2).own
      // A key of one node with the certificate of another, as by a copy of the wrong half.
      const mixed = join(root, 'mixed.pem')
      const [key] = readFileSync(two, 'utf8').match(
        /-----BEGIN PRIVATE KEY[\s\S]+?END PRIVATE KEY-+/,
      )!
      const [leaf] = readFileSync(one.own, 'utf8').match(
        /-----BEGIN CERT[\s\S]+?END CERTIFICATE-+/,
      )!
      writeFileSync(mixed, `${key}\n${leaf}\n`)
      const gone = join(root, 'gone.pem')
      const garbage = join(root, 'garbage.pem')
      writeFileSync(garbage, 'no certificate')
      const foreign = join(root, 'foreign.pem')
      copyFileSync(stranger.make(CLUSTER, 1).own, foreign)
      const cases: readonly [Record<string, string>, RegExp][] = [
        [{ 'ssl.keystore.location': gone }, /ssl\.keystore\.location: .*gone\.pem can't be read/],
        [{ 'ssl.truststore.location': gone }, /ssl\.truststore\.location: .*gone\.pem can't be/],
        [{ 'ssl.keystore.location': garbage }, /can't be read as PEM: make certificates with/],
        [{ 'ssl.keystore.location': two }, /is of node 2, and this is node 1: give this node/],
        [{ 'ssl.keystore.location': mixed }, /key does not belong to the certificate of this/],
        [{ 'ssl.keystore.location': foreign }, /no authority of ssl\.truststore has signed/],
        [{ 'cluster.id': OTHER }, new RegExp(`is of cluster ${CLUSTER}: write cluster\\.id=`)],
      ]
      for (const [change, expected] of cases) {
        const { code, stderr } = await failedStart({ ...good, ...change })
        assert.ok(code === 1 || code === 2, `code ${code}: ${stderr}`)
        assert.match(stderr, /^odradek: [^\n]+\n$/)
        assert.match(stderr, expected)
      }
    } finally {
      authority.remove()
      stranger.remove()
      rmSync(root, { recursive: true, force: true })
    }
  })
})
