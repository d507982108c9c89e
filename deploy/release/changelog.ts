/** What CHANGELOG.md must say before a release: a section of its own, dated, with something in it. */

const HEADING = /^## (\d+\.\d+\.\d+) \((.+)\)$/
const DATE = /^\d{4}-\d{2}-\d{2}$/
/** Of the house: problem, change, example or number, under one of these. */
const SECTIONS: ReadonlySet<string> = new Set(['Safety', 'Performance', 'Features', 'Internals'])

export interface Section {
  readonly version: string
  /** A date, or 'not released'. */
  readonly state: string
  readonly lines: readonly string[]
}

/** The newest first, as they stand. */
export function sectionsOf(text: string): Section[] {
  const sections: { version: string; state: string; lines: string[] }[] = []
  for (const line of text.split('\n')) {
    const match = HEADING.exec(line)
    if (match !== null) sections.push({ version: match[1]!, state: match[2]!, lines: [] })
    else sections.at(-1)?.lines.push(line)
  }
  return sections
}

/** What keeps `version` from being released, a sentence each; empty when nothing does. */
export function complaintsAbout(text: string, version: string): string[] {
  const sections = sectionsOf(text)
  const [newest] = sections
  if (newest === undefined || newest.version !== version) {
    return [`CHANGELOG.md begins with ${newest?.version ?? 'no release'}, not with ${version}`]
  }
  const complaints: string[] = []
  if (!DATE.test(newest.state)) {
    complaints.push(`CHANGELOG.md: write the date (2026-03-01) in place of '${newest.state}'`)
  }
  const headings = newest.lines.filter((line) => line.startsWith('### '))
  for (const heading of headings) {
    const name = heading.slice(4)
    if (!SECTIONS.has(name)) complaints.push(`CHANGELOG.md: '${name}' is no section of a release`)
  }
  if (!newest.lines.some((line) => line.startsWith('- '))) {
    complaints.push(`CHANGELOG.md says nothing about ${version}`)
  }
  const doubled = sections.filter((one) => one.version === version).length > 1
  if (doubled) complaints.push(`CHANGELOG.md has two sections of ${version}`)
  return complaints
}
