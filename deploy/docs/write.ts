/** Writes docs/protocol.md and docs/metrics.md: run `node dist/deploy/docs/write.js`. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { metricsPage } from './metrics-page.ts'
import { protocolPage } from './protocol-page.ts'

const DOCS = fileURLToPath(new URL('../../../docs/', import.meta.url))
writeFileSync(`${DOCS}protocol.md`, protocolPage())
writeFileSync(`${DOCS}metrics.md`, metricsPage())
