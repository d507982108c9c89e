/** Pages, copies and files that are made from something else are what it says now. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { registry } from '../kafka/api/registry.ts'
import { planNodes } from '../node/cli/dev-node.ts'
import { loadSettings } from '../node/config/load.ts'
import { metricsPage } from './docs/metrics-page.ts'
import { protocolPage } from './docs/protocol-page.ts'
import { chartFiles } from './helm/chart-files.ts'
import { chartSum } from './helm/chart-sum.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string) => readFileSync(`${ROOT}${path}`, 'utf8')

/** As pages of GitHub name their headings. */
function anchorsOf(page: string): ReadonlySet<string> {
  const headings = [...page.matchAll(/^#+ (.+)$/gm)].map((match) => match[1]!)
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  )
}

describe('deploy/pages', () => {
  it('docs/operating.md has a runbook for each alert', () => {
    const anchors = anchorsOf(read('docs/operating.md'))
    const urls = [...read('deploy/prometheus/alerts.yml').matchAll(/runbook_url: (\S+)/g)]
    const alerts = [...read('deploy/prometheus/alerts.yml').matchAll(/- alert: (\w+)/g)]
    assert.ok(alerts.length > 20)
    assert.equal(urls.length, alerts.length)
    urls.forEach(([, url], at) => {
      const alert = alerts[at]![1]!
      assert.equal(url, `docs/operating.md#${alert.toLowerCase()}`)
      assert.ok(anchors.has(alert.toLowerCase()), `docs/operating.md has no heading ${alert}`)
    })
  })

  it('links of pages lead to files and headings that are there', () => {
    const docs = readdirSync(`${ROOT}docs`).filter((name) => name.endsWith('.md'))
    const parts = ['', 'deploy/', 'deploy/grafana/', 'deploy/local/', 'deploy/prometheus/']
    const pages = [
      ...docs.map((name) => `docs/${name}`),
      ...parts.map((part) => `${part}README.md`),
    ]
    for (const page of [...pages, 'CONTRIBUTING.md']) {
      const folder = page.slice(0, page.lastIndexOf('/') + 1)
      for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
        const [path, anchor] = target!.split('#')
        const file = path === '' ? page : `${folder}${path}`
        assert.ok(existsSync(`${ROOT}${file}`), `${page}: ${target}`)
        if (anchor !== undefined) assert.ok(anchorsOf(read(file)).has(anchor), `${page}: ${target}`)
      }
    }
  })

  it('docs/protocol.md lists the APIs that are served', () => {
    assert.equal(read('docs/protocol.md'), protocolPage(), 'run node dist/deploy/docs/write.js')
  })

  it('docs/comparison.md counts the APIs that are served, and names no key that is served as missing', () => {
    const page = read('docs/comparison.md')
    assert.ok(page.includes(`[${registry.length} APIs](protocol.md)`), `${registry.length} APIs`)
    const missing = [...page.matchAll(/no keys? ([\d, ]+)/g)].flatMap(([, keys]) =>
      keys!.split(',').map(Number),
    )
    assert.ok(missing.length > 5)
    const served = registry.filter(({ key }) => missing.includes(key))
    assert.deepEqual(served, [])
  })

  it('docs/metrics.md lists the families of /metrics', () => {
    assert.equal(read('docs/metrics.md'), metricsPage(), 'run node dist/deploy/docs/write.js')
  })

  it('the chart takes along the rules and dashboards as they are', () => {
    const files = chartFiles((path) => read(`deploy/${path}`))
    for (const [path, text] of files) {
      const found = read(`deploy/helm/odradek/files/${path}`)
      assert.equal(found, text, `${path}: run node dist/deploy/helm/write.js`)
    }
    const dashboards = readdirSync(`${ROOT}deploy/helm/odradek/files/dashboards`)
    assert.equal(dashboards.length, files.size - 1)
  })

  it('the local files are the nodes of odradek dev', () => {
    const plans = planNodes('.odradek', 3, 9092)
    for (const { id, kafka, cluster, httpPort, directory } of plans) {
      const path = `deploy/local/node-${id}.properties`
      const file = { path, text: read(path) }
      const settings = loadSettings({ file, environment: {}, flags: {}, profile: 'prod' })
      assert.equal(settings.nodeId, id)
      const address = ({ host, port }: { host: string; port: number }) => `${host}:${port}`
      assert.deepEqual(settings.clientListeners.map(address), [kafka])
      assert.deepEqual(settings.advertisedListeners.map(address), [kafka])
      assert.equal(address(settings.controllerListener!), cluster)
      assert.deepEqual(
        settings.voters.map(address),
        plans.map((plan) => plan.cluster),
      )
      assert.equal(settings.httpAddress?.port, httpPort)
      assert.deepEqual(settings.logDirectories, [directory])
    }
  })

  it('the plain manifests are of the chart as it is', () => {
    const head = read('deploy/kubernetes/odradek.yaml').split('\n', 3)
    assert.match(head[0]!, /deploy\/kubernetes\/write\.ts/)
    const sum = chartSum(`${ROOT}deploy/helm/odradek`)
    assert.equal(head[1], `# Chart ${sum}`, 'run HELM=... node dist/deploy/kubernetes/write.js')
  })
})
