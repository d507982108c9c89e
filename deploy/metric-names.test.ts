import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { FAMILIES } from '../node/families.ts'
import { DASHBOARDS } from './grafana/dashboards.ts'
import { renderDashboard } from './grafana/panels.ts'

const HERE = fileURLToPath(new URL('../../deploy/', import.meta.url))
/** What prom-client brings, and what Prometheus makes itself. */
const FOREIGN = /^(process_|nodejs_)[a-z0-9_]+$|^(up|ALERTS)$/
const NAME = /\b((?:odradek|process|nodejs)_[a-z0-9_]+)\b(?!:)|(?<![:\w])(up)(?=\{)/g

const known = new Set<string>()
for (const { name, type } of FAMILIES) {
  if (type !== 'histogram') known.add(name)
  else for (const suffix of ['_bucket', '_sum', '_count']) known.add(`${name}${suffix}`)
}

function namesIn(text: string): string[] {
  const names: string[] = []
  for (const match of text.matchAll(NAME)) {
    // `a:odradek_x:rate1m` is a recorded name: it is checked as such.
    if (text[match.index - 1] !== ':') names.push(match[1] ?? match[2]!)
  }
  return names
}

function assertKnown(text: string, where: string): void {
  for (const name of namesIn(text)) {
    assert.ok(known.has(name) || FOREIGN.test(name), `${where} names ${name}, which no node shows`)
  }
}

const read = (path: string) => readFileSync(`${HERE}${path}`, 'utf8')

describe('deploy/metric-names', () => {
  it('of rules and alerts are those that a node shows', () => {
    const expressions = ['recording.yml', 'alerts.yml'].flatMap((file) =>
      read(`prometheus/${file}`)
        .split('\n')
        .filter((line) => /^\s+expr:/.test(line)),
    )
    assert.ok(expressions.length > 30)
    for (const line of expressions) assertKnown(line, line.trim())
  })

  it('of recorded series that alerts use are recorded', () => {
    const recording = read('prometheus/recording.yml')
    const recorded = new Set([...recording.matchAll(/record: (\S+)/g)].map((match) => match[1]!))
    for (const match of read('prometheus/alerts.yml').matchAll(/\b[a-z]+:odradek[a-z_]*:\w+/g)) {
      assert.ok(recorded.has(match[0]), `${match[0]} is not recorded`)
    }
  })

  it('of groups of rules are there once: the chart puts them in one object, which a group names once', () => {
    const groups = [...read('helm/odradek/files/rules.yaml').matchAll(/^ {2}- name: (\S+)$/gm)]
    const names = groups.map((match) => match[1])
    assert.ok(names.length > 5)
    assert.deepEqual(names, [...new Set(names)])
  })

  it('of alerts have a case in which they fire and one in which they do not', () => {
    const cases = read('prometheus/alerts.test.yml')
    const alerts = [...read('prometheus/alerts.yml').matchAll(/- alert: (\w+)/g)]
    assert.ok(alerts.length > 20)
    for (const [, alert] of alerts) {
      assert.ok(cases.includes(`- name: ${alert} fires\n`), `${alert}: a case that fires`)
      assert.ok(cases.includes(`- name: ${alert} stays quiet\n`), `${alert}: a quiet case`)
    }
  })

  it('of dashboards are those that a node shows', () => {
    for (const { title, panels, variables } of DASHBOARDS) {
      for (const panel of panels) {
        assert.ok(panel.description.endsWith('.'), `${title}: ${panel.title}`)
        for (const { expression } of panel.queries) {
          assert.ok(namesIn(expression).length > 0, expression)
          assertKnown(expression, `${title}: ${panel.title}`)
        }
      }
      for (const { metric } of variables) assertKnown(metric, title)
    }
  })

  it('in the files of Grafana are what the plans say', () => {
    for (const plan of DASHBOARDS) {
      const file = JSON.parse(read(`grafana/dashboards/${plan.uid}.json`))
      assert.deepEqual(file, JSON.parse(JSON.stringify(renderDashboard(plan))), plan.uid)
    }
  })
})
