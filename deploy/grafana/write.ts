/**
 * Writes the dashboards as the JSON files that Grafana loads: after a change, run
 * `node dist/deploy/grafana/write.js`.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { DASHBOARDS } from './dashboards.ts'
import { renderDashboard } from './panels.ts'

const directory = fileURLToPath(new URL('../../../deploy/grafana/dashboards', import.meta.url))
mkdirSync(directory, { recursive: true })
for (const plan of DASHBOARDS) {
  const text = `${JSON.stringify(renderDashboard(plan), null, 2)}\n`
  writeFileSync(`${directory}/${plan.uid}.json`, text)
}
