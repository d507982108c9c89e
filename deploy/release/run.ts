/**
 * `npm run release -- VERSION`: checks that all that a release needs is there, and makes in
 * dist/release what is published: the package, its bill of materials, the sums of both, and the
 * directory with which later releases show that they can be upgraded to. It publishes nothing.
 *
 *   npm run release -- VERSION --draft    lets an unfinished changelog and changed files pass
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { VERSION } from '../../node/version.ts'
import { must, ROOT, run } from '../check/tools.ts'
import { billOfMaterials } from './bill.ts'
import { complaintsAbout } from './changelog.ts'

const TARGET = join(ROOT, 'dist/release')
const FIXTURES = 'chaos-tests/upgrade/fixtures'
const say = (line: string) => process.stdout.write(`${line}\n`)

async function complaints(version: string): Promise<string[]> {
  const found: string[] = []
  if (version !== VERSION) {
    found.push(`node/version.ts and package.json say ${VERSION}: write ${version} there`)
  }
  found.push(...complaintsAbout(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8'), version))
  if ((await must('git', ['status', '--porcelain', '--untracked-files=no'])) !== '') {
    found.push('there are changes that are not committed: commit them first')
  }
  if ((await run('git', ['rev-parse', '--verify', '--quiet', `v${version}`])).code === 0) {
    found.push(`the tag v${version} exists: choose the next version`)
  }
  return found
}

async function make(version: string): Promise<void> {
  rmSync(TARGET, { recursive: true, force: true })
  mkdirSync(TARGET, { recursive: true })
  const packed = await must('npm', [
    'pack',
    '--ignore-scripts',
    '--json',
    `--pack-destination=${TARGET}`,
  ])
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }]
  const bill = `odradek-${version}.cdx.json`
  writeFileSync(join(TARGET, bill), await billOfMaterials())
  const fixture = `${FIXTURES}/${version}.json.gz`
  await must(process.execPath, ['dist/chaos-tests/upgrade/make.js', fixture])
  const sums = [filename, bill].map((name) => {
    const sum = createHash('sha256')
      .update(readFileSync(join(TARGET, name)))
      .digest('hex')
    return `${sum}  ${name}\n`
  })
  writeFileSync(join(TARGET, 'SHA256SUMS'), sums.join(''))
  say(`dist/release: ${filename}, ${bill}, SHA256SUMS; ${fixture} is new`)
  say(
    `next: git add ${fixture} && git commit, git tag v${version}, npm publish dist/release/${filename}`,
  )
}

const [version, flag] = process.argv.slice(2)
if (version === undefined || (flag !== undefined && flag !== '--draft')) {
  process.stderr.write('usage: npm run release -- VERSION [--draft]\n')
  process.exit(2)
}
const found = await complaints(version)
for (const one of found) say(`- ${one}`)
if (found.length > 0 && flag !== '--draft') {
  say('nothing was made')
  process.exitCode = 1
} else await make(version)
