#!/usr/bin/env node
/** The program: reads the command line, runs one command, and turns what went wrong into an exit code. */
import { UserError } from '../base/errors.ts'
import { KafkaError } from '../kafka/client/cluster.ts'
import { ClientError } from '../kafka/client/connection.ts'
import { makeProgram } from './cli/program.ts'
import { exitCodeOf } from './cli/session.ts'

const LINGER_MS = 500

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader has gone (`| head`): there is nobody to tell.
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

try {
  await makeProgram().parseAsync()
} catch (error) {
  const isForPeople =
    error instanceof UserError || error instanceof ClientError || error instanceof KafkaError
  const text = isForPeople ? error.message : error instanceof Error ? error.stack : String(error)
  process.stderr.write(`odradek: ${text}\n`)
  process.exitCode = exitCodeOf(error)
  // What a command that failed half-way has left behind must not keep the program.
  setTimeout(() => process.exit(), LINGER_MS).unref()
}
