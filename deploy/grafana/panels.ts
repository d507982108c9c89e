/** How a dashboard of Grafana is put together: panels of a few kinds, placed row by row. */

/** Units by Grafana's names. */
export type Unit = 'short' | 'Bps' | 'bytes' | 's' | 'percentunit' | 'ops' | 'none'

export interface Query {
  readonly expression: string
  /** With `{{label}}` in it. */
  readonly legend: string
}

export interface PanelPlan {
  readonly title: string
  readonly kind: 'timeseries' | 'stat' | 'table' | 'heatmap' | 'state-timeline'
  readonly unit: Unit
  readonly queries: readonly Query[]
  /** What somebody who sees it should know. */
  readonly description: string
  readonly isStacked?: boolean
  /** Of 24 columns. */
  readonly width?: number
  /** Above this it is red. */
  readonly redAt?: number
}

export interface DashboardPlan {
  readonly uid: string
  readonly title: string
  readonly description: string
  readonly panels: readonly PanelPlan[]
  readonly variables: readonly Variable[]
}

/** A choice at the top of the dashboard: the values of a label. */
export interface Variable {
  readonly name: string
  readonly metric: string
  readonly label: string
}

const COLUMNS = 24
const DEFAULT_WIDTH = 8
const HEIGHT = 8
const STAT_HEIGHT = 4
const SCHEMA_VERSION = 39
const SOURCE = { type: 'prometheus', uid: '$datasource' }

/** The JSON that Grafana imports. */
export function renderDashboard(plan: DashboardPlan): object {
  return {
    uid: plan.uid,
    title: plan.title,
    description: plan.description,
    tags: ['odradek'],
    timezone: 'browser',
    editable: true,
    graphTooltip: 1,
    refresh: '10s',
    schemaVersion: SCHEMA_VERSION,
    time: { from: 'now-30m', to: 'now' },
    templating: { list: [dataSource(), ...plan.variables.map(choice)] },
    panels: placed(plan.panels),
  }
}

function dataSource(): object {
  return { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Data source' }
}

function choice({ name, metric, label }: Variable): object {
  return {
    name,
    type: 'query',
    datasource: SOURCE,
    query: { query: `label_values(${metric}, ${label})`, refId: name },
    refresh: 2,
    includeAll: true,
    multi: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
    sort: 1,
  }
}

function placed(plans: readonly PanelPlan[]): object[] {
  let x = 0
  let y = 0
  let rowHeight = 0
  return plans.map((plan, at) => {
    const w = plan.width ?? DEFAULT_WIDTH
    const h = plan.kind === 'stat' ? STAT_HEIGHT : HEIGHT
    if (x + w > COLUMNS) {
      x = 0
      y += rowHeight
      rowHeight = 0
    }
    const gridPos = { x, y, w, h }
    x += w
    rowHeight = Math.max(rowHeight, h)
    return panel(plan, at + 1, gridPos)
  })
}

function panel(plan: PanelPlan, id: number, gridPos: object): object {
  const isMoment = plan.kind === 'stat' || plan.kind === 'table'
  return {
    id,
    type: plan.kind,
    title: plan.title,
    description: plan.description,
    datasource: SOURCE,
    gridPos,
    targets: plan.queries.map(({ expression, legend }, at) => ({
      refId: String.fromCharCode(65 + at),
      datasource: SOURCE,
      expr: expression,
      legendFormat: legend,
      instant: isMoment,
      range: !isMoment,
      format: plan.kind === 'table' ? 'table' : 'time_series',
    })),
    fieldConfig: {
      defaults: {
        unit: plan.unit,
        ...(plan.kind === 'timeseries'
          ? {
              custom: {
                fillOpacity: plan.isStacked ? 40 : 8,
                lineWidth: 1,
                stacking: { mode: plan.isStacked ? 'normal' : 'none' },
              },
            }
          : {}),
        ...(plan.redAt === undefined
          ? {}
          : {
              thresholds: {
                mode: 'absolute',
                steps: [
                  { color: 'green', value: null },
                  { color: 'red', value: plan.redAt },
                ],
              },
            }),
      },
      overrides: [],
    },
    options: {},
  }
}

export function query(expression: string, legend = ''): Query {
  return { expression, legend }
}
