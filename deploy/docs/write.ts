/** Writes docs/protocol.md: run `node dist/deploy/docs/write.js`. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { protocolPage } from './protocol-page.ts'

const file = fileURLToPath(new URL('../../../docs/protocol.md', import.meta.url))
writeFileSync(file, protocolPage())
