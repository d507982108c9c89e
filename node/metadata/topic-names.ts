/** Which names a topic may have. */
import { INVALID_REQUEST, INVALID_TOPIC_EXCEPTION } from '../../kafka/wire/errors.ts'
import { normalizeTopicName } from './image.ts'
import type { Refusal } from './topic-plan.ts'

const NAME_LENGTH_MAX = 249
const METADATA_TOPIC = '__cluster_metadata'

/** What is wrong with the name, whatever else exists. */
export function checkTopicName(name: string): Refusal | undefined {
  if (name === METADATA_TOPIC) {
    const message = `Creation of internal topic ${METADATA_TOPIC} is prohibited.`
    return { error: INVALID_REQUEST, message }
  }
  const fault = nameFault(name)
  if (fault === undefined) return undefined
  return { error: INVALID_TOPIC_EXCEPTION, message: `Topic name is invalid: ${fault}` }
}

function nameFault(name: string): string | undefined {
  if (name === '') return 'the empty string is not allowed'
  if (name === '.' || name === '..') return `'${name}' is not allowed`
  if (name.length > NAME_LENGTH_MAX) {
    return `the length of '${name}' is longer than the max allowed length ${NAME_LENGTH_MAX}`
  }
  if (/^[a-zA-Z0-9._-]+$/.test(name)) return undefined
  return `'${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`
}

/** Metrics write '.' as '_': names that differ in nothing else can't be told apart there. */
export function checkCollision(
  name: string,
  existing: (normalized: string) => string | undefined,
): Refusal | undefined {
  const other = existing(normalizeTopicName(name))
  if (other === undefined) return undefined
  const message = `Topic '${name}' collides with existing topic: ${other}`
  return { error: INVALID_TOPIC_EXCEPTION, message }
}
