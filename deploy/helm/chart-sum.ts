/** A sum over the sources of the chart, by which files that were rendered from it show their age. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'

/** `directory` is the chart's. Helm is not needed. */
export function chartSum(directory: string): string {
  const hash = createHash('sha256')
  const templates = readdirSync(`${directory}/templates`, { recursive: true, encoding: 'utf8' })
  const paths = templates.map((path) => `templates/${path}`).filter((path) => /\.\w+$/.test(path))
  for (const path of ['Chart.yaml', 'values.yaml', ...paths.sort()]) {
    hash.update(`${path}\0${readFileSync(`${directory}/${path}`, 'utf8')}\0`)
  }
  return hash.digest('hex')
}
