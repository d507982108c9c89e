import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { VERSION } from '../../node/version.ts'
import { complaintsAbout, sectionsOf } from './changelog.ts'

const GOOD =
  '# Changelog\n\n## 1.2.0 (2026-03-01)\n\n### Features\n\n- More.\n\n## 1.1.0 (2026-01-01)\n'

describe('deploy/release/changelog', () => {
  it('lets a dated section with entries pass', () => {
    assert.deepEqual(complaintsAbout(GOOD, '1.2.0'), [])
  })

  it('says what is missing', () => {
    for (const [text, complaint] of [
      ['', 'begins with no release, not with 1.2.0'],
      [GOOD.replace('## 1.2.0', '## 1.3.0'), 'begins with 1.3.0, not with 1.2.0'],
      [
        GOOD.replace('2026-03-01', 'not released'),
        "write the date (2026-03-01) in place of 'not released'",
      ],
      [GOOD.replace('2026-03-01', '1 March'), "(2026-03-01) in place of '1 March'"],
      [GOOD.replace('- More.', ''), 'says nothing about 1.2.0'],
      [GOOD.replace('Features', 'Stuff'), "'Stuff' is no section"],
      [GOOD.replace('1.1.0', '1.2.0'), 'two sections of 1.2.0'],
    ] as const) {
      const complaints = complaintsAbout(text, '1.2.0')
      assert.equal(complaints.length, 1, complaint)
      assert.ok(complaints[0]!.includes(complaint), complaints[0])
    }
  })

  it('has a section for the version that the code says it is', () => {
    const text = readFileSync(new URL('../../../CHANGELOG.md', import.meta.url), 'utf8')
    assert.equal(sectionsOf(text)[0]?.version, VERSION)
    const others = complaintsAbout(text, VERSION).filter((one) => !one.includes('not released'))
    assert.deepEqual(others, [])
  })
})
