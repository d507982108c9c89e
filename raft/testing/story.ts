/**
 * Stories: commands, and after `----` all that came of them. One command a line; `#` begins a
 * comment; an empty line ends the expectation.
 */

import { directoryOf, Group, memberOf } from './group.ts'
import { describeEntry, describeMembership, describeMessage } from './text.ts'

export interface Scene {
  /** Lines before `----`: comments and commands. */
  readonly head: readonly string[]
  readonly expected: string
}

export function parseStory(text: string): Scene[] {
  const scenes: Scene[] = []
  let head: string[] = []
  let expected: string[] | undefined
  const end = () => {
    if (expected !== undefined) scenes.push({ head, expected: expected.join('\n') })
    head = []
    expected = undefined
  }
  for (const line of text.split('\n')) {
    if (expected !== undefined) {
      if (line === '') end()
      else expected.push(line)
    } else if (line === '----') expected = []
    else if (line !== '' || head.length > 0) head.push(line)
  }
  end()
  return scenes
}

export function writeStory(scenes: readonly Scene[]): string {
  return scenes.map(({ head, expected }) => `${head.join('\n')}\n----\n${expected}\n`).join('\n')
}

type Command = (words: readonly string[]) => string | undefined

export class Story {
  #group = new Group({ voters: [1] })
  readonly #commands: Readonly<Record<string, Command>> = {
    voters: (words) => this.#begin(words),
    elapse: ([ms]) => this.#do(() => this.#group.elapse(Number(ms), false)),
    run: ([ms]) => this.#do(() => this.#group.elapse(Number(ms))),
    deliver: (words) => this.#deliver(words),
    lose: ([link]) => this.#lose(link),
    double: () => this.#do(() => this.#group.network.push(...this.#group.network)),
    reverse: () => this.#do(() => this.#group.network.reverse()),
    propose: ([id, ...text]) => this.#group.propose(Number(id), text.join(' ')),
    change: ([id, ...voters]) =>
      this.#act(id, ({ core }) => core.changeVoters(voters.map((one) => memberOf(Number(one))))),
    transfer: ([id, to]) => this.#act(id, ({ core }) => core.transfer(Number(to ?? -1))),
    read: ([id, context]) => this.#act(id, ({ core }) => core.readIndex(Number(context))),
    dead: ([id, dead]) => this.#act(id, ({ core }) => core.peerIsDead(Number(dead))),
    cut: ([one, other]) => this.#do(() => this.#group.cut(Number(one), Number(other))),
    isolate: ([id]) => this.#do(() => this.#group.isolate(Number(id))),
    heal: () => this.#do(() => this.#group.heal()),
    hold: ([id]) => this.#act(id, (member) => member.hold()),
    store: ([id]) => this.#act(id, (member) => member.store()),
    release: ([id]) =>
      this.#act(id, (member) => {
        member.isHeld = false
        member.store()
      }),
    full: ([id]) => this.#act(id, (member) => member.setFull(true)),
    room: ([id]) => this.#act(id, (member) => member.setFull(false)),
    snapshot: ([id, keep]) => this.#act(id, (member) => member.snapshot(Number(keep ?? 0))),
    damage: ([id]) => this.#act(id, ({ storage }) => storage.garble()),
    stop: ([id]) => this.#do(() => this.#group.stop(Number(id))),
    start: ([id]) => this.#do(() => void this.#group.start(Number(id))),
    wipe: ([id]) => this.#do(() => this.#group.wipe(Number(id))),
    status: () => this.#status(),
    log: ([id]) => this.#log(Number(id)),
    network: () =>
      this.#group.network
        .map((message) => `${message.from}->${message.to} ${describeMessage(message)}`)
        .join('\n'),
  }

  /** The output of one scene. */
  play(scene: Scene): string {
    const lines: string[] = []
    for (const line of scene.head) {
      if (line === '' || line.startsWith('#')) continue
      // 'quiet' before a command: its messages are of no interest here.
      const isQuiet = line.startsWith('quiet ')
      const [name, ...words] = line.replace(/^quiet /, '').split(' ')
      const command = this.#commands[name!]
      if (command === undefined) throw new Error(`no such command: ${line}`)
      const said = command(words)
      const messages = this.#group.trace.splice(0)
      if (!isQuiet) lines.push(...messages)
      if (said !== undefined && said !== '') lines.push(...said.split('\n'))
    }
    return lines.length === 0 ? 'ok' : lines.join('\n')
  }

  /** voters 1 2 3 learners 4 heartbeat=100 bootstrap */
  #begin(words: readonly string[]): undefined {
    const timing: Record<string, number | boolean> = {}
    const lists = { voters: [] as number[], learners: [] as number[] }
    let list = lists.voters
    let isBootstrap = false
    for (const word of words) {
      const [name, value] = word.split('=')
      if (word === 'learners') list = lists.learners
      else if (word === 'bootstrap') isBootstrap = true
      else if (value !== undefined) timing[name!] = value === 'true' ? true : Number(value)
      else list.push(Number(word))
    }
    this.#group = new Group({ ...lists, timing, isBootstrap })
    return undefined
  }

  #do(run: () => void): undefined {
    run()
    return undefined
  }

  #act(id: string | undefined, run: Parameters<Group['act']>[1]): string | undefined {
    const result = this.#group.act(Number(id), run)
    return typeof result === 'string' ? result : undefined
  }

  /** deliver; deliver 1->2; deliver once */
  #deliver([what]: readonly string[]): undefined {
    const group = this.#group
    if (what === undefined) group.deliver()
    else {
      const due = group.network.filter((message) => isOn(message, what))
      group.drop((message) => isOn(message, what))
      for (const message of due) group.step(message)
    }
    return undefined
  }

  #lose(link: string | undefined): undefined {
    this.#group.drop((message) => link === undefined || isOn(message, link))
    return undefined
  }

  #status(): string {
    return [...this.#group.members.values()]
      .map(({ id, core, applied, reads, suspects }) => {
        const { state, role } = core
        const { log, term } = state
        const ends = `log ${log.startOffset}..${log.endOffset}/${log.lastTerm} commit ${log.commit}`
        const said = [
          applied.length === 0 ? '' : `applied ${applied.join(', ')}`,
          reads.length === 0 ? '' : `reads ${reads.map((one) => `${one.context}@${one.offset}`)}`,
          suspects.length === 0 ? '' : `suspects ${suspects}`,
        ]
        const voters = describeMembership(log.membership)
        const who = directoryOf(id) === state.self.directoryId ? `${id}` : `${id} (anew)`
        const first = `${who} ${role} term ${term} ${ends} voters ${voters}`
        return [first, ...said].filter((one) => one !== '').join(' ')
      })
      .join('\n')
  }

  #log(id: number): string {
    return this.#group.get(id).allEntries().map(describeEntry).join('\n')
  }
}

function isOn({ from, to }: { from: number; to: number }, what: string): boolean {
  return what === 'once' || what === `${from}->${to}`
}
