/** Which files of deploy/ the chart takes along, and in which form. */
import { DASHBOARDS } from '../grafana/dashboards.ts'

const RULES = ['prometheus/recording.yml', 'prometheus/alerts.yml']

/** Paths under the chart's files/ and their texts. `read` takes a path under deploy/. */
export function chartFiles(read: (path: string) => string): ReadonlyMap<string, string> {
  const groups = RULES.map((path) => {
    const [, body] = read(path).split(/^groups:\n/m)
    if (body === undefined) throw new Error(`${path} has no groups`)
    return body
  })
  const head = '# Made by deploy/helm/write.ts from deploy/prometheus: change it there.\n'
  const files = new Map([['rules.yaml', `${head}groups:\n${groups.join('')}`]])
  for (const { uid } of DASHBOARDS) {
    files.set(`dashboards/${uid}.json`, read(`grafana/dashboards/${uid}.json`))
  }
  return files
}
