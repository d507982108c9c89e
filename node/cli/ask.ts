/** Destructive commands say what they will do and ask. */
import { createInterface } from 'node:readline/promises'
import { UserError } from '../../base/errors.ts'

/** Throws UserError unless the answer is yes. Without a terminal, `--yes` is needed. */
export async function ask(question: string, isAnswered: boolean): Promise<void> {
  if (isAnswered) return
  if (process.stdin.isTTY !== true) {
    throw new UserError(`this would ${question.replace(/\?$/, '')}: add --yes to do it`, 2)
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await prompt.question(`${question} [y/N] `)
  prompt.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw new UserError('nothing was done')
}
