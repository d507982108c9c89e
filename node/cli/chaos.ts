/**
 * odradek chaos: does something bad to a node of a running `odradek dev`, found by its directory, and
 * makes it good again. What is not a node of that directory is never touched: a signal goes to the
 * process that holds the node's lock, and a cut is a file that the two nodes look at.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { holderOf } from '../../base/real/lock.ts'
import { print } from './output.ts'
import { EXIT, wholeNumber } from './session.ts'
import { cutsFileOf } from './start.ts'

interface ChaosOptions {
  readonly data: string
}

const NODES_MAX = 9

export function addChaosCommands(program: Command): void {
  const chaos = program
    .command('chaos')
    .description('kill, pause or cut off a node of a running odradek dev, and heal it')
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
    .command('cut <node> [others...]')
    .description('the node and the others (all, when none is named) hear nothing of each other')
    .option('--data <directory>', 'the directory of odradek dev', '.odradek')
    .action((node: string, others: string[], options: ChaosOptions) => cut(node, others, options))
  chaos
    .command('heal')
    .description('mends links, wakes paused nodes, and says how to start those that were killed')
    .option('--data <directory>', 'the directory of odradek dev', '.odradek')
    .action(heal)
}

const DONE = { SIGKILL: 'killed', SIGSTOP: 'paused', SIGCONT: 'awake' } as const

function send(signal: keyof typeof DONE, id: number, options: ChaosOptions): void {
  if (!existsSync(settingsFile(options.data, id))) throw noNode(options.data, id)
  const pid = pidOf(options.data, id)
  if (pid === undefined) throw new UserError(`node ${id} of ${options.data} does not run`, 1)
  process.kill(pid, signal)
  print(`node ${id} (process ${pid}) is ${DONE[signal]}`)
}

function cut(node: string, others: readonly string[], { data }: ChaosOptions): void {
  const id = wholeNumber(node, '<node>')
  const address = clusterAddress(data, id)
  const named = others.map((other) => wholeNumber(other, '<others>'))
  const ids = named.length > 0 ? named : idsOf(data).filter((other) => other !== id)
  if (ids.includes(id)) throw new UserError('a node is not cut off from itself', 2)
  const addresses = ids.map((other) => clusterAddress(data, other))
  addCuts(data, id, addresses)
  for (const other of ids) addCuts(data, other, [address])
  print(`node ${id} and ${ids.map((other) => `node ${other}`).join(', ')} are cut off`)
}

/** Where other nodes reach it. */
function clusterAddress(data: string, id: number): string {
  const text = existsSync(settingsFile(data, id))
    ? readFileSync(settingsFile(data, id), 'utf8')
    : ''
  const address = /CONTROLLER:\/\/([^,\s]+)/.exec(text)?.[1]
  if (address === undefined) throw noNode(data, id)
  return address
}

function addCuts(data: string, id: number, addresses: readonly string[]): void {
  const file = cutsFileOf(settingsFile(data, id))
  const known = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
  writeFileSync(file, `${[...new Set([...known, ...addresses])].filter(Boolean).join('\n')}\n`)
}

const idsOf = (data: string): number[] =>
  Array.from({ length: NODES_MAX }, (_, at) => at + 1).filter((id) =>
    existsSync(settingsFile(data, id)),
  )

const noNode = (data: string, id: number): UserError =>
  new UserError(`${data} has no node ${id}: is it the --data of odradek dev?`, EXIT.notFound)

function heal({ data }: ChaosOptions): void {
  const ids = idsOf(data)
  for (const id of ids) {
    const file = settingsFile(data, id)
    if (existsSync(cutsFileOf(file))) {
      rmSync(cutsFileOf(file))
      print(`the links of node ${id} are whole`)
    }
    if (pidOf(data, id) !== undefined) send('SIGCONT', id, { data })
    else print(`node ${id} does not run; start it again: npx odradek start ${file} --profile dev`)
  }
  if (ids.length === 0) {
    throw new UserError(`${data} has no nodes: is it the --data of odradek dev?`, EXIT.notFound)
  }
}

const settingsFile = (data: string, id: number): string => join(data, `node-${id}.properties`)

const pidOf = (data: string, id: number): number | undefined =>
  holderOf(join(data, String(id), '.lock'))
