import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { BROKER_SETTINGS } from './broker-settings.ts'
import { configurationPage } from './page.ts'

describe('node/config/page', () => {
  it('is the page that is committed', () => {
    const committed = readFileSync(
      new URL('../../../docs/configuration.md', import.meta.url),
      'utf8',
    )
    assert.ok(
      committed === configurationPage(),
      'docs/configuration.md is out of date: node dist/node/config/docs.js > docs/configuration.md',
    )
  })

  it('names every setting of a node', () => {
    const page = configurationPage()
    for (const { name } of BROKER_SETTINGS) assert.ok(page.includes(`\`${name}\``), name)
  })
})
