import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { UserError } from '../../base/errors.ts'
import { realClock } from '../../base/real/clock.ts'
import { TestAuthority, whyNoCertificates } from '../../proto/testing/certificates.ts'
import { nodeCertificates } from './ssl.ts'

/** As far as it is asked; defaults are Kafka's. */
function settingsOf(values: Readonly<Record<string, string>>) {
  const defaults: Readonly<Record<string, string>> = {
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT',
    'ssl.keystore.type': 'JKS',
    'ssl.truststore.type': 'JKS',
  }
  const optionalText = (name: string) => values[name] ?? defaults[name] ?? null
  const controllerListener = { name: 'CONTROLLER', host: '', port: 9093 }
  return {
    nodeId: 4,
    controllerListener,
    optionalText,
    text: (name: string) => optionalText(name)!,
  }
}

const SSL = { 'listener.security.protocol.map': 'CONTROLLER:SSL,PLAINTEXT:PLAINTEXT' }
const PEM = { ...SSL, 'ssl.keystore.type': 'PEM', 'ssl.truststore.type': 'PEM' }

function certificatesOf(values: Readonly<Record<string, string>>) {
  return nodeCertificates({
    settings: settingsOf(values),
    read: (path) => readFileSync(path, 'utf8'),
    nowMs: realClock.nowMs(),
  })
}

describe('node/peers/ssl', () => {
  it('reads nothing where nodes talk in the clear', () => {
    assert.equal(certificatesOf({}), undefined)
    assert.equal(certificatesOf({ 'listener.security.protocol.map': 'X:SSL' }), undefined)
  })

  it('says what to write', () => {
    const missing = '/nowhere/node.pem'
    for (const [values, sentence] of [
      [{ 'listener.security.protocol.map': 'CONTROLLER:SASL_SSL' }, /write CONTROLLER:SSL/],
      [SSL, /ssl.keystore.type is JKS.*write PEM/],
      [{ ...SSL, 'ssl.keystore.type': 'PEM' }, /ssl.truststore.type is JKS.*write PEM/],
      [PEM, /ssl.keystore.location \(or ssl.keystore.certificate.chain\) has to be set/],
      [{ ...PEM, 'ssl.keystore.certificate.chain': 'x' }, /\(or ssl.keystore.key\)/],
      [{ ...PEM, 'ssl.keystore.location': missing }, /ssl.keystore.location: .* can't be read/],
    ] as const) {
      assert.throws(
        () => certificatesOf(values),
        (error) => error instanceof UserError && sentence.test(error.message),
        String(sentence),
      )
    }
  })

  const reason = whyNoCertificates()
  if (reason !== undefined) return
  it('reads files and texts', () => {
    const authority = new TestAuthority()
    try {
      const { own, authority: trusted } = authority.make('cluster', 4)
      const files = {
        ...PEM,
        'ssl.keystore.location': own,
        'ssl.truststore.location': trusted,
      }
      const pem = readFileSync(own, 'utf8')
      const texts = {
        ...PEM,
        'ssl.keystore.certificate.chain': pem,
        'ssl.keystore.key': pem,
        'ssl.truststore.certificates': readFileSync(trusted, 'utf8'),
      }
      for (const values of [files, texts]) {
        assert.throws(() => certificatesOf(values), /write cluster.id=cluster$/)
        const read = certificatesOf({ ...values, 'cluster.id': 'cluster' })
        assert.deepEqual(read?.identity, { nodeId: 4, clusterId: 'cluster' })
      }
    } finally {
      authority.remove()
    }
  })
})
