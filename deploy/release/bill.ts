/**
 * The bill of materials (CycloneDX) of what runs: this package and what it needs at run time, as the
 * lock file has it. `npm run sbom` prints it.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { must, ROOT } from '../check/tools.ts'

interface Component {
  'bom-ref'?: string
  name: string
  group?: string
  version: string
  type: string
  purl?: string
}

interface Bill {
  bomFormat: string
  metadata: { component: Component }
  components: Component[]
  dependencies?: { ref: string; dependsOn: string[] }[]
}

interface Lock {
  packages: Record<string, { version?: string; dev?: boolean }>
}

interface Manifest {
  name: string
  version: string
  dependencies: Record<string, string>
}

/** As text. Throws when it does not say what package.json says. */
export async function billOfMaterials(): Promise<string> {
  // With --omit=dev npm leaves out what a development dependency needs too.
  const flags = ['--sbom-format=cyclonedx', '--package-lock-only']
  const bill = JSON.parse(await must('npm', ['sbom', ...flags])) as Bill
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock
  keepWhatRuns(bill, lock)
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest
  // npm names it after the folder in which it lies.
  bill.metadata.component.name = manifest.name
  bill.metadata.component.type = 'application'
  const complaint = complaintAbout(bill, manifest)
  if (complaint !== undefined) throw new Error(`the bill of materials: ${complaint}`)
  return `${JSON.stringify(bill, null, 2)}\n`
}

export function keepWhatRuns(bill: Bill, lock: Lock): void {
  const runs = new Set<string>()
  for (const [path, { version, dev }] of Object.entries(lock.packages)) {
    if (dev !== true) runs.add(`${path.split('node_modules/').at(-1)}@${version}`)
  }
  bill.components = bill.components.filter(({ name, version }) => runs.has(`${name}@${version}`))
  const kept = new Set(bill.components.map((component) => component['bom-ref']))
  const isOfUs = (ref: string) => ref === bill.metadata.component['bom-ref'] || kept.has(ref)
  bill.dependencies = (bill.dependencies ?? [])
    .filter(({ ref }) => isOfUs(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(isOfUs) }))
}

export function complaintAbout(bill: Bill, manifest: Manifest): string | undefined {
  if (bill.bomFormat !== 'CycloneDX') return `its format is ${bill.bomFormat}`
  const { version } = bill.metadata.component
  if (version !== manifest.version) return `it is of version ${version}`
  const versions = new Map(
    bill.components.map(({ group, name, version }) => [
      group === undefined ? name : `${group}/${name}`,
      version,
    ]),
  )
  for (const [name, wanted] of Object.entries(manifest.dependencies)) {
    if (versions.get(name) !== wanted) return `${name} is ${versions.get(name)}, not ${wanted}`
  }
  return undefined
}
