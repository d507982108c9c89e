/** For tests: certificates by the script that people use, where openssl is installed. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { realClock } from '../../base/real/clock.ts'
import { type NodeCertificates, readCertificates } from '../certificates.ts'

/** dist/proto/testing/certificates.js is three levels down. */
const SCRIPT = fileURLToPath(new URL('../../../deploy/local/certs.sh', import.meta.url))

/** Why there can be none here; undefined when there can. */
export function whyNoCertificates(): string | undefined {
  const { status } = spawnSync('openssl', ['version'])
  return status === 0 ? undefined : 'openssl is not installed'
}

/** An authority in a directory of its own. */
export class TestAuthority {
  readonly directory = mkdtempSync(join(tmpdir(), 'odradek-certificates-'))

  /** The output of the script; throws what it says when it fails. */
  run(args: readonly string[], environment: Readonly<Record<string, string>> = {}): string {
    const env = { PATH: '/usr/local/bin:/usr/bin:/bin', ...environment }
    const options = { encoding: 'utf8', env } as const
    const { status, stdout, stderr } = spawnSync('sh', [SCRIPT, ...args], options)
    if (status !== 0) throw new Error(stderr)
    return stdout
  }

  /** Paths of the files for a node: its own, and that of the authority. */
  make(clusterId: string, nodeId: number): { own: string; authority: string } {
    this.run([this.directory, clusterId, String(nodeId)])
    return {
      own: join(this.directory, `node-${nodeId}.pem`),
      authority: join(this.directory, 'ca.pem'),
    }
  }

  certificates(clusterId: string, nodeId: number): NodeCertificates {
    const { own, authority } = this.make(clusterId, nodeId)
    const pem = readFileSync(own, 'utf8')
    const authorities = readFileSync(authority, 'utf8')
    return readCertificates({ chain: pem, key: pem, authorities }, nodeId, realClock.nowMs())
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}
