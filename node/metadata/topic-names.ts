/** Which names a topic may have. */
import { INVALID_REQUEST, INVALID_TOPIC_EXCEPTION } from '../../kafka/wire/errors.ts'
import { normalizeTopicName } from './image.ts'
import type { Refusal } from './topic-plan.ts'

const NAME_LENGTH_MAX = 249
const METADATA_TOPIC = '__cluster_metadata'

/** What is wrong with the name, whatever else exists. */
export function checkTopicName(name: string): Refusal | undefined {
  if (name === METADATA_TOPIC) {
    const message = `${METADATA_TOPIC} is the cluster's own.`
    return { error: INVALID_REQUEST, message }
  }
  const fault = nameFault(name)
  if (fault === undefined) return undefined
  return { error: INVALID_TOPIC_EXCEPTION, message: `No topic can be called that: ${fault}` }
}

function nameFault(name: string): string | undefined {
  if (name === '') return 'a topic needs a name'
  if (name === '.' || name === '..') return `'${name}' means a directory`
  if (name.length > NAME_LENGTH_MAX) {
    return `'${name}' has more than ${NAME_LENGTH_MAX} characters`
  }
  if (/^[a-zA-Z0-9._-]+$/.test(name)) return undefined
  return `'${name}' may have letters and digits of ASCII, '.', '_' and '-', and nothing else`
}

/** Metrics write '.' as '_': names that differ in nothing else can't be told apart there. */
export function checkCollision(
  name: string,
  existing: (normalized: string) => string | undefined,
): Refusal | undefined {
  const other = existing(normalizeTopicName(name))
  if (other === undefined) return undefined
  const message = `'${name}' can not be told from ${other} where '.' is written as '_'`
  return { error: INVALID_TOPIC_EXCEPTION, message }
}
