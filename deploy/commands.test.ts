/** What pages tell people to type is there: commands of odradek with their options, scripts, programs. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { makeProgram } from '../node/cli/program.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string) => readFileSync(`${ROOT}${path}`, 'utf8')

function pages(): string[] {
  const docs = readdirSync(`${ROOT}docs`).filter((name) => name.endsWith('.md'))
  const parts = readdirSync(`${ROOT}deploy`).map((name) => `deploy/${name}/README.md`)
  const readmes = parts.filter((path) => existsSync(`${ROOT}${path}`))
  return [
    'README.md',
    'CONTRIBUTING.md',
    'deploy/README.md',
    ...docs.map((n) => `docs/${n}`),
    ...readmes,
  ]
}

/** Code of a page: lines of blocks, and spans, without what stands behind `#`. */
function codeOf(page: string): string[] {
  const blocks = [...page.matchAll(/^```\w*\n([\s\S]*?)^```/gm)].flatMap(([, text]) =>
    text!.split('\n'),
  )
  const spans = [...page.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`]+)`/g)]
  const code = [...blocks, ...spans.map(([, text]) => text!.replaceAll('\n', ' '))]
  return code.map((line) => line.replace(/ #.*/, '').replace(/;.*/, ''))
}

/** What is wrong with words behind `odradek`; undefined: nothing. */
function wrongWith(words: readonly string[]): string | undefined {
  let command = makeProgram()
  for (const word of words) {
    const next = command.commands.find((one) => one.name() === word)
    if (next === undefined) break
    command = next
  }
  if (command.parent === null) return `there is no command ${words[0]}`
  const isGroup = command.commands.length > 0
  const isNamed = words.at(-1) === command.name()
  if (isGroup && !isNamed) return `${command.name()} has no command ${words.at(-1)}`
  const flags = words.filter((word) => /^--?[a-z]/.test(word))
  const unknown = flags.find(
    (flag) =>
      flag !== '--help' &&
      !command.options.some(({ long, short }) => long === flag || short === flag),
  )
  return unknown === undefined ? undefined : `${command.name()} has no ${unknown}`
}

describe('deploy/commands: what pages tell to type', () => {
  it('commands of odradek are there, with their options', () => {
    let count = 0
    for (const page of pages()) {
      for (const line of codeOf(read(page))) {
        const match = /^(?:.*\| )?(?:npx )?odradek ((?:[a-z]).*)$/.exec(line.trim())
        if (match === null) continue
        count++
        const words = match[1]!.trim().split(/\s+/)
        assert.equal(wrongWith(words), undefined, `${page}: ${line}`)
      }
    }
    assert.ok(count > 60, `${count} commands`)
    assert.match(wrongWith(['node', 'vanish'])!, /node has no command vanish/)
    assert.match(wrongWith(['topic', 'list', '--al'])!, /list has no --al/)
    assert.match(wrongWith(['nobody'])!, /no command nobody/)
  })

  it('scripts of npm and programs of this repository are there', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    let count = 0
    for (const page of pages()) {
      for (const line of codeOf(read(page))) {
        for (const [, name] of line.matchAll(/npm run ([a-z:]+)/g)) {
          count++
          assert.ok(name! in scripts, `${page}: npm run ${name}`)
        }
        for (const [, path] of line.matchAll(/node dist\/(\S+)\.c?js/g)) {
          count++
          const isThere = ['ts', 'cts'].some((ending) => existsSync(`${ROOT}${path}.${ending}`))
          assert.ok(isThere, `${page}: node dist/${path}.js`)
        }
      }
    }
    assert.ok(count > 60, `${count} commands`)
  })
})
