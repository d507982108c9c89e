/** What a topic may be called (as Kafka's Topic.validate), and which topics are the cluster's own. */

const NAME_LENGTH_MAX = 249
const PATTERN = /^[a-zA-Z0-9._-]+$/

/** The reason why `name` is no topic name, for people; undefined when it is one. */
export function topicNameFault(name: string): string | undefined {
  if (name === '') return 'A topic needs a name'
  if (name === '.' || name === '..') return `No topic can be called '.' or '..'`
  if (name.length > NAME_LENGTH_MAX) {
    return `The name '${name.slice(0, 60)}...' has ${name.length} characters, and ${NAME_LENGTH_MAX} is the most`
  }
  if (!PATTERN.test(name)) {
    return `The name '${name}' may have letters and digits of ASCII, '.', '_' and '-', and nothing else`
  }
  return undefined
}

const INTERNAL = new Set(['__consumer_offsets', '__transaction_state', '__share_group_state'])

export function isInternalTopic(name: string): boolean {
  return INTERNAL.has(name)
}
