/*
 * What is kept of a release: the directory of a node that it ran, once after a clean stop and once as
 * kill -9 leaves it, and what clients and that node said to each other. Later releases are started on
 * the one and asked the other.
 */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'

/** Compiled, this file is in dist/chaos-tests/upgrade. */
export const FIXTURES = fileURLToPath(
  new URL('../../../chaos-tests/upgrade/fixtures/', import.meta.url),
)

/** Path below the directory, and content in base64. */
export type Files = Readonly<Record<string, string>>

/** Whole frames, with their sizes, in base64. */
export interface Exchange {
  readonly request: string
  readonly response: string
}

export interface Fixture {
  readonly release: string
  readonly clean: Files
  readonly killed: Files
  /** In the order in which they were sent. */
  readonly exchanges: readonly Exchange[]
}

/** Room that a node keeps for the day when its disk is full: noise, and made again. */
const RESERVE = /^reserve\//

export function readFiles(directory: string): Files {
  const files: Record<string, string> = {}
  for (const path of readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()) {
    const full = join(directory, path)
    if (statSync(full).isFile() && !RESERVE.test(path))
      files[path] = readFileSync(full).toString('base64')
  }
  return files
}

export function writeFiles(files: Files, directory: string): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), Buffer.from(content, 'base64'))
  }
}

export function writeFixture(fixture: Fixture, file: string): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, gzipSync(JSON.stringify(fixture), { level: 9 }))
}

export function readFixture(file: string): Fixture {
  return JSON.parse(gunzipSync(readFileSync(file)).toString()) as Fixture
}
