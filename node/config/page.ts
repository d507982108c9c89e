/** The page `docs/configuration.md`, made of the tables. */
import { BROKER_SETTINGS } from './broker-settings.ts'
import { CLIENT_METRICS_SETTINGS } from './client-metrics-settings.ts'
import type { Setting } from './definition.ts'
import { GROUP_SETTINGS } from './group-settings.ts'
import { profileSettings } from './load.ts'
import { QUOTA_SETTINGS } from './quota-settings.ts'
import { TOPIC_SETTINGS } from './topic-settings.ts'

const INTRODUCTION = `# Configuration

This page is generated from the tables in \`node/config/\`: change those, then run
\`npm run build && node dist/node/config/docs.js > docs/configuration.md\`.

A properties file of a Kafka node (KRaft) works unchanged. A setting is looked for in this order: flag
(\`--set name=value\`), environment (\`ODRADEK_LOG_RETENTION_MS\`, then \`KAFKA_LOG_RETENTION_MS\`, both
mean \`log.retention.ms\`), file, profile, default. An unknown name or a bad value stops the start.

"Change" says how a setting is changed while nodes run: *no*, for one *broker*, or for the *cluster* (and
then also for one broker). Settings of topics and groups can always be changed.
`

const CHANGE = { 'read-only': 'no', 'per-broker': 'broker', 'cluster-wide': 'cluster' } as const

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')

const code = (text: string) => (text === '' ? '' : `\`${text}\``)

const defaultOf = (setting: Setting) => (setting.default === null ? '' : code(setting.default))

const values = (setting: Setting) =>
  setting.validator === null
    ? setting.type.toLowerCase()
    : `${setting.type.toLowerCase()} ${cell(setting.validator.describe())}`

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

const brokerRow = (setting: Setting) => [
  code(setting.name),
  defaultOf(setting),
  values(setting),
  CHANGE[setting.mode],
  cell(setting.documentation),
]

const plainRow = (setting: Setting) => [
  code(setting.name),
  defaultOf(setting),
  values(setting),
  setting.synonyms.map(({ name }) => code(name)).join(', '),
  cell(setting.documentation),
]

const quotaRow = (setting: Setting) => [
  code(setting.name),
  defaultOf(setting),
  cell(setting.documentation),
]

const HEAD = ['Name', 'Default', 'Values', 'Change', 'Meaning']
const PLAIN_HEAD = ['Name', 'Default', 'Values', 'Broker settings behind it', 'Meaning']

/** The whole page, ending in a newline. */
export function configurationPage(): string {
  const works = BROKER_SETTINGS.filter((setting) => setting.noEffect === undefined)
  const rest = BROKER_SETTINGS.filter((setting) => setting.noEffect !== undefined)
  const deviations = BROKER_SETTINGS.flatMap((setting) =>
    setting.deviation === undefined ? [] : [{ setting, ...setting.deviation }],
  )
  const profile = Object.entries(profileSettings('dev', 3))
  return `${[
    INTRODUCTION,
    "## Where our defaults are not Kafka's\n",
    table(
      ['Name', 'Default', "Kafka's", 'Why'],
      deviations.map(({ setting, kafkaDefault, reason }) => [
        code(setting.name),
        defaultOf(setting),
        kafkaDefault === null ? '' : code(kafkaDefault),
        reason,
      ]),
    ),
    '\nThe profiles `dev` (used by `odradek dev`) and `test` set, for a cluster of three nodes:\n',
    table(
      ['Name', 'Value'],
      profile.map(([name, value]) => [code(name), code(value)]),
    ),
    '\n## Settings of a node\n',
    table(HEAD, works.map(brokerRow)),
    '\n## Settings of a topic\n',
    table(PLAIN_HEAD, TOPIC_SETTINGS.filter((setting) => !setting.isInternal).map(plainRow)),
    '\n## Settings of a group\n',
    table(PLAIN_HEAD, GROUP_SETTINGS.map(plainRow)),
    '\n## Settings of client metrics\n',
    table(PLAIN_HEAD, CLIENT_METRICS_SETTINGS.map(plainRow)),
    '\n## Quotas\n',
    table(['Name', 'Default', 'Meaning'], QUOTA_SETTINGS.map(quotaRow)),
    '\n## Settings of a node that are accepted and have no effect\n',
    'Files that have them load; the log says once that they change nothing.\n',
    table(
      ['Name', 'Default', 'Why'],
      rest.map((setting) => [code(setting.name), defaultOf(setting), cell(setting.noEffect!)]),
    ),
  ].join('\n')}\n`
}
