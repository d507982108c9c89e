/**
 * Dashboards as a program against the types that Grafana publishes: a field that it does not know, or
 * a value that it does not take, does not compile.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inTemporary } from './files.ts'
import { compiles, doesNotCompile, installPackages } from './packages.ts'
import type { Report } from './report.ts'
import { ROOT } from './tools.ts'

const DASHBOARDS = join(ROOT, 'deploy/grafana/dashboards')
const SCHEMA = '@grafana/schema'
const VERSION = '13.2.3'
/** A text is of an enumeration when it is one of its values. Charts over time have fields of their own. */
const HEAD = `
import type { Dashboard, GraphFieldConfig } from '${SCHEMA}'
type Plain<T> = T extends string
  ? \`\${T}\`
  : T extends readonly (infer One)[]
    ? Plain<One>[]
    : T extends object
      ? { [Key in keyof T]: Plain<T[Key]> }
      : T
type Chart = Plain<NonNullable<GraphFieldConfig>>
`

interface DashboardFile {
  readonly panels: readonly {
    readonly type: string
    readonly fieldConfig: { readonly defaults: { readonly custom?: object } }
  }[]
}

export async function checkDashboards(report: Report): Promise<void> {
  await report.check('grafana: dashboards have the types of Grafana', () =>
    inTemporary(async (directory) => {
      await installPackages(directory, [`${SCHEMA}@${VERSION}`])
      const files = readdirSync(DASHBOARDS).filter((name) => name.endsWith('.json'))
      const source = [HEAD, ...files.map(typed)].join('\n')
      writeFileSync(join(directory, 'dashboards.ts'), source)
      await compiles(directory, 'dashboards.ts')
      for (const [good, bad] of [
        ['"gridPos":', '"gridPoz":'],
        ['"mode":"absolute"', '"mode":"relative"'],
        ['"lineWidth":1', '"lineWidth":"1"'],
      ] as const) {
        if (!source.includes(good)) throw new Error(`no dashboard says ${good}`)
        writeFileSync(join(directory, 'bad.ts'), source.replaceAll(good, bad))
        await doesNotCompile(directory, 'bad.ts')
      }
      return `${files.length} dashboards`
    }),
  )
}

function typed(name: string, at: number): string {
  const text = readFileSync(join(DASHBOARDS, name), 'utf8')
  const dashboard = JSON.parse(text) as DashboardFile
  const charts = dashboard.panels
    .filter(({ type }) => type === 'timeseries')
    .map(({ fieldConfig }) => fieldConfig.defaults.custom ?? {})
  return [
    `export const dashboard${at} = ${JSON.stringify(dashboard)} satisfies Plain<Dashboard>`,
    `export const charts${at} = ${JSON.stringify(charts)} satisfies Chart[]`,
  ].join('\n')
}
