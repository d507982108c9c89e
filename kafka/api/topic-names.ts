/** What a topic may be called (as Kafka's Topic.validate), and which topics are the cluster's own. */

const NAME_LENGTH_MAX = 249
const PATTERN = /^[a-zA-Z0-9._-]+$/

/** The reason why `name` is no topic name, for people; undefined when it is one. */
export function topicNameFault(name: string): string | undefined {
  if (name === '') return 'Topic name is invalid: the empty string is not allowed'
  if (name === '.' || name === '..') return `Topic name cannot be '.' or '..'`
  if (name.length > NAME_LENGTH_MAX) {
    return `Topic name is invalid: the length of '${name.slice(0, 60)}...' is longer than the max allowed length ${NAME_LENGTH_MAX}`
  }
  if (!PATTERN.test(name)) {
    return `Topic name is invalid: '${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`
  }
  return undefined
}

const INTERNAL = new Set(['__consumer_offsets', '__transaction_state', '__share_group_state'])

export function isInternalTopic(name: string): boolean {
  return INTERNAL.has(name)
}
