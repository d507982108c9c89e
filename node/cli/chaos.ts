/**
 * odradek chaos: does something bad to a node of a running `odradek dev`, found by its directory, and
 * makes it good again. Signals only: what is not a node of that directory is never touched, since the
 * process is the one that holds the node's lock.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { holderOf } from '../../base/real/lock.ts'
import { print } from './output.ts'
import { EXIT, wholeNumber } from './session.ts'

interface ChaosOptions {
  readonly data: string
}

const NODES_MAX = 9

export function addChaosCommands(program: Command): void {
  const chaos = program
    .command('chaos')
    .description('kill or pause a node of a running odradek dev, and heal it')
  const add = (name: string, about: string, run: (id: number, options: ChaosOptions) => void) => {
    chaos
      .command(`${name} <node>`)
      .description(about)
      .option('--data <directory>', 'the directory of odradek dev', '.odradek')
      .action((node: string, options: ChaosOptions) => run(wholeNumber(node, '<node>'), options))
  }
  add('kill', 'kill -9', (id, options) => send('SIGKILL', id, options))
  add(
    'pause',
    'stop it in the middle, as SIGSTOP: it stays connected and answers nothing',
    (id, o) => send('SIGSTOP', id, o),
  )
  chaos
    .command('heal')
    .description('wakes the nodes that are paused, and says how to start those that were killed')
    .option('--data <directory>', 'the directory of odradek dev', '.odradek')
    .action(heal)
}

const DONE = { SIGKILL: 'killed', SIGSTOP: 'paused', SIGCONT: 'awake' } as const

function send(signal: keyof typeof DONE, id: number, options: ChaosOptions): void {
  if (!existsSync(settingsFile(options.data, id))) {
    throw new UserError(
      `${options.data} has no node ${id}: is it the --data of odradek dev?`,
      EXIT.notFound,
    )
  }
  const pid = pidOf(options.data, id)
  if (pid === undefined) throw new UserError(`node ${id} of ${options.data} does not run`, 1)
  process.kill(pid, signal)
  print(`node ${id} (process ${pid}) is ${DONE[signal]}`)
}

function heal({ data }: ChaosOptions): void {
  let count = 0
  for (let id = 1; id <= NODES_MAX; id++) {
    const file = settingsFile(data, id)
    if (!existsSync(file)) continue
    count++
    if (pidOf(data, id) !== undefined) send('SIGCONT', id, { data })
    else print(`node ${id} does not run; start it again: npx odradek start ${file} --profile dev`)
  }
  if (count === 0) {
    throw new UserError(`${data} has no nodes: is it the --data of odradek dev?`, EXIT.notFound)
  }
}

const settingsFile = (data: string, id: number): string => join(data, `node-${id}.properties`)

const pidOf = (data: string, id: number): number | undefined =>
  holderOf(join(data, String(id), '.lock'))
