/**
 * Writes the plain manifests from the chart, for those without Helm: after a change there, run
 * `HELM=/path/to/helm node dist/deploy/kubernetes/write.js`.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { plainManifests, render } from '../check/chart.ts'

const file = fileURLToPath(new URL('../../../deploy/kubernetes/odradek.yaml', import.meta.url))
writeFileSync(file, plainManifests(await render(process.env['HELM'] ?? 'helm', [])))
