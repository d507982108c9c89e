/** odradek group list|describe|delete */
import type { Command } from 'commander'
import { describeGroups } from '../../kafka/api/15-describe-groups.ts'
import { listGroups } from '../../kafka/api/16-list-groups.ts'
import { deleteGroups } from '../../kafka/api/42-delete-groups.ts'
import { type Cluster, check } from '../../kafka/client/cluster.ts'
import { Consumer } from '../../kafka/client/consumer.ts'
import { fetchCommitted } from '../../kafka/client/coordinator.ts'
import { ask } from './ask.ts'
import { coordinatorOf } from './coordinator.ts'
import { print, printRows, say } from './output.ts'
import { type SharedOptions, withCluster, withSharedOptions } from './session.ts'

export function addGroupCommands(program: Command): void {
  const group = program.command('group').description('show and delete consumer groups')
  addList(group)
  addDescribe(group)
  addDelete(group)
}

function addList(group: Command): void {
  withSharedOptions(group.command('list').description('all groups')).action(
    (options: SharedOptions) =>
      withCluster(options, async (cluster, format) => {
        const { brokers } = await cluster.metadata([])
        const rows: { group: string; state: string; protocol: string; node: number }[] = []
        for (const { nodeId } of brokers) {
          const answer = await cluster.request(nodeId, listGroups, {
            statesFilter: [],
            typesFilter: [],
          })
          check(answer.errorCode, `groups of node ${nodeId}`)
          for (const one of answer.groups) {
            rows.push({
              group: one.groupId,
              state: one.groupState,
              protocol: one.protocolType,
              node: nodeId,
            })
          }
        }
        printRows(
          rows,
          [
            { title: 'GROUP', value: (row) => row.group },
            { title: 'STATE', value: (row) => row.state },
            { title: 'PROTOCOL', value: (row) => row.protocol, isWide: true },
            { title: 'COORDINATOR', value: (row) => row.node },
          ],
          format,
        )
      }),
  )
}

function addDescribe(group: Command): void {
  withSharedOptions(
    group.command('describe <name>').description('members, committed offsets and lag'),
  ).action((name: string, options: SharedOptions) =>
    withCluster(options, async (cluster, format) => {
      const coordinator = await coordinatorOf(cluster, name)
      const answer = await coordinator.request(
        describeGroups,
        { groups: [name], includeAuthorizedOperations: false },
        cluster.options.timeoutMs,
      )
      const found = answer.groups[0]
      check(found?.errorCode ?? -1, found?.errorMessage ?? name)
      const offsets = await committedOffsets(cluster, name)
      if (format === 'json' || format === 'ndjson') {
        const members = found!.members.map(({ memberId, clientId, clientHost }) => ({
          memberId,
          clientId,
          clientHost,
        }))
        print(JSON.stringify({ name, state: found!.groupState, members, offsets }, null, 2))
        return
      }
      say(`group ${name}  state ${found!.groupState}  members ${found!.members.length}`)
      printRows(
        offsets,
        [
          { title: 'TOPIC', value: (row) => row.topic },
          { title: 'PARTITION', value: (row) => row.partition },
          { title: 'COMMITTED', value: (row) => row.committed },
          { title: 'END', value: (row) => row.end },
          { title: 'LAG', value: (row) => row.lag },
        ],
        format,
      )
    }),
  )
}

async function committedOffsets(cluster: Cluster, name: string) {
  const coordinator = await coordinatorOf(cluster, name)
  const found = await fetchCommitted(coordinator, name, null, {
    requireStable: false,
    timeoutMs: cluster.options.timeoutMs,
  })
  const consumer = new Consumer(cluster, { startAt: 'latest' })
  const rows: { topic: string; partition: number; committed: number; end: number; lag: number }[] =
    []
  for (const { name: topic, partitions } of found) {
    for (const { partitionIndex: partition, committedOffset: committed } of partitions) {
      const end = await consumer.offset(topic, partition, 'latest')
      rows.push({ topic, partition, committed, end, lag: Math.max(0, end - committed) })
    }
  }
  return rows
}

function addDelete(group: Command): void {
  withSharedOptions(
    group.command('delete <name...>').description('delete groups and their committed offsets'),
  )
    .option('--yes', 'do not ask')
    .action((names: string[], options: SharedOptions & { yes?: boolean }) =>
      withCluster(options, async (cluster) => {
        await ask(`delete ${names.join(', ')} and their committed offsets?`, options.yes === true)
        for (const name of names) {
          const coordinator = await coordinatorOf(cluster, name)
          const answer = await coordinator.request(
            deleteGroups,
            { groupsNames: [name] },
            cluster.options.timeoutMs,
          )
          for (const { groupId, errorCode } of answer.results) check(errorCode, groupId)
          say(`deleted group ${name}`)
        }
      }),
    )
}
