import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BROKER_SETTINGS } from './broker-settings.ts'
import { GROUP_SETTINGS } from './group-settings.ts'
import { TOPIC_SETTINGS } from './topic-settings.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const FOLDERS = ['kafka', 'log', 'node', 'raft', 'replication']
/** Tests, and the tables themselves. */
const NOT_A_READER = /\.test\.ts$|\/testing\/|node\/config\/(broker\/|docs)/
const TABLES = /node\/config\/(topic|group)-settings\.ts$/

function sources(skip: RegExp): string {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .map((path) => join(folder, path))
      .filter((path) => path.endsWith('.ts') && !NOT_A_READER.test(path) && !skip.test(path)),
  )
    .map((path) => readFileSync(join(ROOT, path), 'utf8'))
    .join('\n')
}

describe('node/config/read', () => {
  it('is true of every setting that is not said to be without effect', () => {
    const text = sources(/^$/)
    // A broker setting that is the default of a topic setting is read under that name.
    const unread = BROKER_SETTINGS.filter(
      ({ name, noEffect }) => noEffect === undefined && !text.includes(`'${name}'`),
    )
    assert.deepEqual(
      unread.map(({ name }) => name),
      [],
    )
  })

  it('is true of every setting of topics and groups', () => {
    const text = sources(TABLES)
    const unread = [...TOPIC_SETTINGS, ...GROUP_SETTINGS].filter(
      ({ name, noEffect }) => noEffect === undefined && !text.includes(`'${name}'`),
    )
    assert.deepEqual(
      unread.map(({ name }) => name),
      [],
    )
  })
})
