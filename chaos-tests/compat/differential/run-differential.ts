/*
 * Apache Kafka and one node of ours are asked the same, API by API and version by version, and their
 * answers are compared field by field.
 */
import { ServerGroup } from '../../cluster/server-group.ts'
import { print } from '../report.ts'
import { prepareKafkaLibs } from '../toolchains.ts'
import { type Difference, differences } from './compare.ts'
import { alteringConfigs, describingCluster, describingConfigs } from './configs.ts'
import {
  committing,
  describingGroups,
  findingCoordinators,
  joiningGroups,
  leavingGroups,
  living,
} from './groups.ts'
import { KNOWN, type Known, knownOf } from './known.ts'
import { deletingRecords, fetching, findingOffsets, producing } from './records.ts'
import { Side } from './side.ts'
import {
  creatingTopics,
  deletingTopics,
  describingPartitions,
  describingTopics,
  growingTopics,
} from './topics.ts'

const READY_LIMIT_MS = 3 * 60_000

/** Each asks both sides the same; a story's names and groups are its own. */
const STORIES: Readonly<Record<string, (side: Side) => Promise<void>>> = {
  // First, while there are no other topics to be listed.
  'describing topics': describingTopics,
  'describing partitions': describingPartitions,
  'joining groups': joiningGroups,
  'members of groups': living,
  'leaving groups': leavingGroups,
  'groups and offsets': committing,
  'describing groups': describingGroups,
  'creating topics': creatingTopics,
  'deleting topics': deletingTopics,
  'growing topics': growingTopics,
  'describing the cluster': describingCluster,
  'describing configs': describingConfigs,
  'altering configs': alteringConfigs,
  'producing records': producing,
  'fetching records': fetching,
  'finding offsets': findingOffsets,
  'deleting records': deletingRecords,
  // Last: it makes Kafka's topics for transactions and share groups, of 50 partitions each.
  'finding coordinators': findingCoordinators,
}

async function start(peer: 'kafka' | 'odradek', kafkaLibs: string): Promise<ServerGroup> {
  return await ServerGroup.start({
    count: 1,
    peer,
    kafkaLibs,
    readyTimeoutMs: READY_LIMIT_MS,
    properties: {
      'group.initial.rebalance.delay.ms': '0',
      'offsets.topic.num.partitions': '1',
      'auto.create.topics.enable': 'true',
    },
  })
}

/** Gives the exit code. `filter`: stories whose names have it. */
export async function runDifferential(filter: string | undefined): Promise<number> {
  const kafkaLibs = await prepareKafkaLibs()
  const groups = await Promise.all([start('kafka', kafkaLibs), start('odradek', kafkaLibs)])
  const [kafka, ours] = groups.map((group, at) => {
    return new Side(['Kafka', 'Odradek'][at]!, group.nodes[0]!.ports.kafka)
  }) as [Side, Side]
  try {
    for (const [name, story] of Object.entries(STORIES)) {
      if (filter !== undefined && !name.includes(filter)) continue
      await Promise.all(
        [kafka, ours].map(async (side) => {
          side.begin(name)
          await story(side)
        }),
      )
      print(
        `asked: ${name}, ${kafka.transcript.size} questions by ${Math.round(performance.now())} ms`,
      )
    }
  } finally {
    kafka.close()
    ours.close()
    await Promise.all(groups.map((group) => group.stop()))
  }
  const unwanted = report(kafka, ours, filter === undefined)
  if (unwanted === 0) await Promise.all(groups.map((group) => group.remove()))
  else for (const group of groups) print(`a node's log is ${group.nodes[0]!.logFile}`)
  print(`${kafka.transcript.size - unwanted} passed, ${unwanted} failed, 0 skipped`)
  return unwanted === 0 ? 0 : 1
}

/** Prints the differences; gives how many are not wanted. */
function report(kafka: Side, ours: Side, isWhole: boolean): number {
  const seen = new Map<Known, number>()
  const unwanted: Difference[] = []
  for (const difference of differences(kafka, ours)) {
    const known = knownOf(difference)
    if (known === undefined) unwanted.push(difference)
    else seen.set(known, (seen.get(known) ?? 0) + 1)
  }
  for (const { question, path, kafka: theirs, ours: mine, versions } of unwanted) {
    print(`DIFFERS ${question} v${versions.join(',')}`)
    print(`  ${path}: Kafka ${theirs}, we ${mine}`)
  }
  for (const [{ reason }, count] of seen) print(`wanted: ${count} for ${reason}`)
  const gone = isWhole ? KNOWN.filter((known) => !seen.has(known)) : []
  for (const { reason } of gone) print(`DIFFERS no longer: ${reason}`)
  return unwanted.length + gone.length
}
