/** Builds the image from what is committed, and runs one container of it. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bases } from './base-image.ts'
import type { Engine } from './engine.ts'
import type { Report } from './report.ts'
import { eventually, freePorts, isOk, must, ROOT, run } from './tools.ts'

const READY_MS = 60_000
const SIZE_MAX_MB = 250
const USER_ID = '10001'

/** The working tree as git has it, without what is not committed. */
async function sourceTree(): Promise<{ path: string; revision: string }> {
  const path = mkdtempSync(join(tmpdir(), 'odradek-source-'))
  const archive = `${path}.tar`
  const { code, stdout } = await run('git', ['rev-parse', 'HEAD'])
  if (code === 0) await must('git', ['archive', '--output', archive, 'HEAD'])
  else {
    const without = ['node_modules', 'dist', '.odradek'].map((name) => `--exclude=./${name}`)
    await must('tar', [...without, '-cf', archive, '.'], { cwd: ROOT })
  }
  mkdirSync(path, { recursive: true })
  await must('tar', ['-C', path, '-xf', archive])
  rmSync(archive)
  return { path, revision: code === 0 ? stdout.trim() : 'unknown' }
}

export async function buildImage(engine: Engine, bases: Bases, image: string): Promise<string> {
  const { path, revision } = await sourceTree()
  try {
    const values = { BASE: bases.build, RUNTIME: bases.runtime, REVISION: revision }
    const flags = Object.entries(values).flatMap(([name, value]) => [
      '--build-arg',
      `${name}=${value}`,
    ])
    const file = ['-f', 'deploy/docker/Dockerfile', '-t', image]
    await engine.docker(['build', '--network', 'host', ...file, ...flags, '.'], { cwd: path })
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
  const format = ['--format', '{{.Size}}']
  const sizeMb = Math.round(Number(await engine.docker(['inspect', ...format, image])) / 1e6)
  const baseMb = Math.round(
    Number(await engine.docker(['inspect', ...format, bases.runtime])) / 1e6,
  )
  // A base of somebody's choice is not ours to measure.
  if (process.env['BASE'] === undefined && sizeMb > SIZE_MAX_MB) {
    throw new Error(`${sizeMb} MB with its base of ${baseMb} MB, more than ${SIZE_MAX_MB}`)
  }
  return `${sizeMb} MB, of which the base has ${baseMb}`
}

/** All checks of one container, which is gone at the end. */
export async function checkContainer(
  report: Report,
  engine: Engine,
  image: string,
  name: string,
): Promise<void> {
  const inside = (...command: string[]) => engine.docker(['exec', name, ...command])
  const state = (field: string) =>
    engine.docker(['inspect', '--format', `{{.State.${field}}}`, name]).then((text) => text.trim())
  try {
    await engine.docker(['network', 'create', name])
    const isUp = await report.check('container: ready with a read-only root', async () => {
      const [port] = await freePorts(1)
      const hardened = ['--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL']
      const more = ['--security-opt', 'no-new-privileges', '-p', `127.0.0.1:${port}:9644`]
      const startedMs = performance.now()
      await engine.docker([
        'run',
        '-d',
        '--name',
        name,
        '--network',
        name,
        ...hardened,
        ...more,
        image,
      ])
      const url = `http://127.0.0.1:${port}/readyz`
      await eventually('ready', READY_MS, () => isOk(url))
      return `${((performance.now() - startedMs) / 1000).toFixed(1)} s from docker run to ready`
    })
    if (!isUp) return
    await report.check('container: no root, nothing to write but data and /tmp', async () => {
      const user = (await inside('id', '-u')).trim()
      if (user !== USER_ID) throw new Error(`it runs as user ${user}`)
      const { code } = await engine.try(['exec', name, 'sh', '-c', 'touch /opt/odradek/x'])
      if (code === 0) throw new Error('its own program can be changed')
      return undefined
    })
    await report.check('container: the health check turns healthy', async () => {
      await eventually('healthy', READY_MS, async () =>
        (await state('Health.Status')) === 'healthy' ? true : undefined,
      )
      return undefined
    })
    await report.check('container: a record is there again after SIGTERM and a start', async () => {
      await inside('odradek', 'produce', 'checked', 'hello')
      await engine.docker(['stop', '-t', '60', name])
      const code = await state('ExitCode')
      if (code !== '0') throw new Error(`SIGTERM ends in exit code ${code}`)
      await engine.docker(['start', name])
      const read = ['odradek', 'consume', 'checked', '--from-beginning', '--exit']
      const text = await eventually('the record', READY_MS, async () => {
        const { stdout } = await engine.try(['exec', name, ...read])
        return stdout === '' ? undefined : stdout
      })
      if (text !== 'hello\n') throw new Error(`read ${JSON.stringify(text)}`)
      return 'exit code 0'
    })
  } finally {
    await engine.try(['rm', '-f', '-v', name])
    await engine.try(['network', 'rm', name])
  }
}
