/* Small file systems of our own: root on Linux makes them, where the machine lets it. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Undefined when a mount works here; else why not. Found by doing it. */
export function canMount(): string | undefined {
  if (process.platform !== 'linux') return 'mounts are made on Linux only'
  if (process.getuid?.() !== 0) return 'mounts are made by root only'
  const probe = mkdtempSync(join(tmpdir(), 'odradek-mount-'))
  try {
    mountTmpfs(probe, '1m')
    unmount(probe)
    return undefined
  } catch (error) {
    return `this machine makes no mounts: ${(error as Error).message.split('\n')[0]}`
  } finally {
    rmSync(probe, { recursive: true, force: true })
  }
}

/** `size` as tmpfs takes it: '16m'. */
export function mountTmpfs(path: string, size: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'odradek-test', path], {
    stdio: 'pipe',
  })
}

export function unmount(path: string): void {
  execFileSync('umount', [path], { stdio: 'pipe' })
}
