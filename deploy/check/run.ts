/**
 * `npm run deploy:check`: runs what deploy/ holds, as far as this machine has the tools. What can't be
 * run is skipped with the reason. Everything that it makes is gone at the end.
 *
 *   npm run deploy:check -- image compose    only these parts
 */
import { findBases } from './base-image.ts'
import { checkChart } from './chart.ts'
import { checkCompose, composeConfig } from './compose.ts'
import { Engine } from './engine.ts'
import { checkFiles } from './files.ts'
import { checkDashboards } from './grafana.ts'
import { buildImage, checkContainer } from './image.ts'
import { checkKubernetes } from './kubernetes.ts'
import { checkNodes } from './nodes.ts'
import { checkPackage } from './package.ts'
import { Report } from './report.ts'

const PARTS = [
  'package',
  'files',
  'grafana',
  'watch',
  'chart',
  'kubernetes',
  'image',
  'compose',
] as const
type Part = (typeof PARTS)[number]

function chosen(args: readonly string[]): ReadonlySet<Part> {
  const unknown = args.find((arg) => !PARTS.some((part) => part === arg))
  if (unknown !== undefined) {
    process.stderr.write(`deploy:check: there is no part '${unknown}': ${PARTS.join(', ')}\n`)
    process.exit(2)
  }
  return new Set(args.length === 0 ? PARTS : PARTS.filter((part) => args.includes(part)))
}

async function checkContainers(report: Report, parts: ReadonlySet<Part>): Promise<void> {
  const name = `odradek-check-${process.pid}`
  let engine: Engine | undefined
  const hasEngine = await report.check('docker: an engine', async () => {
    engine = await Engine.open()
    return engine.isOwn ? 'started for this' : 'the one that runs here'
  })
  if (!hasEngine || engine === undefined) {
    report.skip('image and compose', 'there is no Docker engine')
    return
  }
  const docker: Engine = engine
  const made: string[] = []
  try {
    const isBuilt = await report.check('image: builds', async () => {
      const bases = await findBases(docker, name)
      made.push(...bases.made, name)
      return buildImage(docker, bases, name)
    })
    if (!isBuilt) {
      report.skip('container and compose', 'there is no image')
      return
    }
    if (parts.has('image')) await checkContainer(report, docker, name, name)
    if (parts.has('compose')) await checkCompose(report, docker, name, name)
  } finally {
    for (const image of made) await docker.try(['rmi', '-f', image])
    await docker.close()
  }
}

const report = new Report()
const parts = chosen(process.argv.slice(2))
if (parts.has('package')) await checkPackage(report)
if (parts.has('files')) await checkFiles(report)
if (parts.has('grafana')) await checkDashboards(report)
if (parts.has('watch')) await checkNodes(report)
if (parts.has('compose')) await report.check('compose: the file', composeConfig)
if (parts.has('chart')) await checkChart(report)
if (parts.has('kubernetes')) await checkKubernetes(report)
if (parts.has('image') || parts.has('compose')) await checkContainers(report, parts)
process.exitCode = report.end()
