/**
 * Copies into the chart what it shows of Prometheus and Grafana: a chart can only read files of its
 * own. After a change there, run `node dist/deploy/helm/write.js`.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { chartFiles } from './chart-files.ts'

const deploy = fileURLToPath(new URL('../../../deploy/', import.meta.url))
const directory = `${deploy}helm/odradek/files`
rmSync(`${directory}/dashboards`, { recursive: true, force: true })
mkdirSync(`${directory}/dashboards`, { recursive: true })
for (const [path, text] of chartFiles((file) => readFileSync(`${deploy}${file}`, 'utf8'))) {
  writeFileSync(`${directory}/${path}`, text)
}
