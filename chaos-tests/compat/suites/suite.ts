/*
 * A client's own test suite, run against our nodes from a checkout that somebody made: what it
 * needs of a cluster, the command that runs it, and how its report is read. What a suite asks of a
 * broker that this release does not have is told apart from what fails: each such rule has a
 * reason, and a rule is never about a single test that we merely fail.
 */

export interface SuiteSettings {
  /** The client's sources, its dependencies installed and its programs built as it says. */
  readonly checkout: string
  /** Host and port of each node. */
  readonly bootstrap: readonly string[]
  readonly firstNodeId: number
  /** Where the report and all temporary files go. */
  readonly outDirectory: string
  /** Apache Kafka's jars, where a suite calls Kafka's tools. */
  readonly kafkaLibs: string | undefined
  /** Part of the suite, in the words of its own runner. */
  readonly filter: string | undefined
}

export interface SuiteCommand {
  readonly command: string
  readonly commandArguments: readonly string[]
  readonly cwd: string
  readonly environment: Readonly<Record<string, string>>
  /** The file with the report; without one it is what the command prints. */
  readonly reportFile?: string
}

export interface TestOutcome {
  readonly name: string
  readonly state: 'passed' | 'failed' | 'skipped'
  /** The first lines of what a failed test says. */
  readonly message: string
}

/** What this release refuses, or what the suite's own environment has and this run has not. */
export interface NotHere {
  readonly reason: string
  /** Matched against the test's name and its message, one a line. */
  readonly match: RegExp
}

export interface Suite {
  readonly name: string
  /** Fixed ports, where the suite has them in its sources. */
  readonly ports?: readonly number[]
  readonly firstNodeId?: number
  /** Settings of the nodes beyond those of the interop suite. */
  readonly properties: Readonly<Record<string, string>>
  readonly needsKafkaLibs?: boolean
  readonly limitMs: number
  readonly notHere: readonly NotHere[]
  command(settings: SuiteSettings): Promise<SuiteCommand> | SuiteCommand
  read(report: string): TestOutcome[]
}

const MESSAGE_LENGTH_MAX = 600

/** Without the colours of a terminal, in one line. */
export function plain(text: string): string {
  const escapeCharacter = String.fromCharCode(27)
  return text
    .replaceAll(new RegExp(`${escapeCharacter}\\[[0-9;]*m`, 'g'), '')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .slice(0, MESSAGE_LENGTH_MAX)
}

/** Reads a report in the form of JUnit, as pytest and Node's runner write it. */
export function readJunit(report: string): TestOutcome[] {
  const cases = report.matchAll(/<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)
  return [...cases].map(([, attributes, body]) => {
    const attribute = (name: string) =>
      unescapeXml(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes ?? '')?.[1] ?? '')
    const name = [attribute('classname'), attribute('name')].filter((part) => part !== '')
    const failed = /<(?:failure|error)\b[\s\S]*/.exec(body ?? '')?.[0]
    const state =
      failed !== undefined ? 'failed' : /<skipped\b/.test(body ?? '') ? 'skipped' : 'passed'
    const message = plain(unescapeXml((failed ?? '').replaceAll(/<[^>]*?message="/g, '')))
    return { name: name.join(' > '), state, message }
  })
}

function unescapeXml(text: string): string {
  return text
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll(/&#(?:10|xA);/g, '\n')
    .replaceAll('&amp;', '&')
}
