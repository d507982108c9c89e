/**
 * Plays the stories of `testdata`. With RAFT_REWRITE=1 the expectations are replaced by what
 * happens: read the difference before you keep it.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseStory, Story, writeStory } from './testing/story.ts'

const TESTDATA = join(dirname(fileURLToPath(import.meta.url)), '../../raft/testdata')
const isRewriting = process.env['RAFT_REWRITE'] === '1'

describe('raft: stories', () => {
  const names = readdirSync(TESTDATA).filter((name) => name.endsWith('.txt'))
  assert.ok(names.length > 0)
  for (const name of names) {
    it(name.replace('.txt', '').replaceAll('-', ' '), () => {
      const path = join(TESTDATA, name)
      const scenes = parseStory(readFileSync(path, 'utf8'))
      assert.ok(scenes.length > 0, 'a story has scenes')
      const story = new Story()
      const played = scenes.map((scene) => ({ head: scene.head, expected: story.play(scene) }))
      if (isRewriting) writeFileSync(path, writeStory(played))
      else assert.equal(writeStory(played), writeStory(scenes))
    })
  }
})
