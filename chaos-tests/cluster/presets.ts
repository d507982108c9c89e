/**
 * Rows of runs that stand behind the promises, by name. A run of a row is a list of flags of
 * `run.ts`; flags of the user come after them and win. What a row holds follows from its seed.
 */
import { SimRandom } from '../../base/sim/random.ts'
import { CLUSTER_FAULTS } from './faults.ts'
import { ABSENCE } from './progress.ts'

export const PRESETS = ['mixes', 'short', 'power-loss', 'roles', 'progress', 'each'] as const
export type Preset = (typeof PRESETS)[number]

export const ABOUT_PRESETS: Readonly<Record<Preset, string>> = {
  mixes: '20 runs of 5 minutes, each with 6 faults of all, dealt in turn',
  short: '6 runs of a minute, which deal all faults; for every change',
  'power-loss': '200 power losses of all nodes',
  roles: 'kill, restart and pause of leader, follower, controller and coordinator, 30 times each',
  progress: 'a node is gone for 30 s: the others take at least 95 % of the records after 5 s',
  each: 'each fault once',
}

const MIXES = { runs: 20, faults: 6, minutes: 5 }
const SHORT = { runs: 6, faults: 8, minutes: 1 }
const ROLES = ['leader', 'follower', 'controller', 'coordinator']
const FAULTS_OF_A_ROLE = ['kill', 'restart', 'pause']
/** These end by their count. */
const LONG = '240'

/** The flags of each run. `canDo`: faults that this machine can make. */
export function runsOf(
  preset: Preset,
  seed: number,
  canDo: (name: string) => boolean,
): readonly (readonly string[])[] {
  if (preset === 'mixes' || preset === 'short') {
    return mixes(preset === 'mixes' ? MIXES : SHORT, new SimRandom(seed), canDo)
  }
  if (preset === 'power-loss') {
    return [['--faults', 'power-loss-all', '--count', '200', '--minutes', LONG]]
  }
  if (preset === 'progress') return [['--faults', ABSENCE, '--count', '4', '--minutes', LONG]]
  if (preset === 'each') {
    return [['--faults', 'all', '--count', String(CLUSTER_FAULTS.length), '--minutes', LONG]]
  }
  return ROLES.flatMap((role) =>
    FAULTS_OF_A_ROLE.map((fault) => {
      return ['--targets', role, '--faults', fault, '--count', '30', '--minutes', LONG]
    }),
  )
}

interface Mixes {
  readonly runs: number
  /** Of each run. */
  readonly faults: number
  readonly minutes: number
}

function mixes(size: Mixes, random: SimRandom, canDo: (name: string) => boolean): string[][] {
  const all = CLUSTER_FAULTS.map(({ name }) => name).filter(canDo)
  // An absence alone takes a minute.
  const names = size.minutes > 1 ? all : all.filter((name) => name !== ABSENCE)
  const deck = new Deck(names, random)
  return Array.from({ length: size.runs }, (_, at) => {
    const drawn = new Set<string>()
    while (drawn.size < size.faults) drawn.add(deck.draw())
    const minutes = String(size.minutes)
    const stranger = at % 2 === 1 ? ['--stranger'] : []
    const groups = at % 4 === 0 ? '10' : '1'
    return ['--minutes', minutes, '--faults', [...drawn].join(), '--groups', groups, ...stranger]
  })
}

/** Cards are drawn in a random order, each once before any comes again. */
export class Deck<T> {
  readonly #all: readonly T[]
  readonly #random: SimRandom
  #left: T[] = []

  constructor(all: readonly T[], random: SimRandom) {
    this.#all = all
    this.#random = random
  }

  draw(): T {
    if (this.#left.length === 0) this.#left = [...this.#all]
    const [card] = this.#left.splice(this.#random.below(this.#left.length), 1)
    return card!
  }
}
