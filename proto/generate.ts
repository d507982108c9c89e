/** Writes generated/messages.ts from the .proto files: run from the root of the repository. */
import { writeFileSync } from 'node:fs'
import { messageTypes } from './types.ts'

writeFileSync('proto/generated/messages.ts', messageTypes())
