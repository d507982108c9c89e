/** odradek cluster info */
import type { Command } from 'commander'
import { describeCluster } from '../../kafka/api/60-describe-cluster.ts'
import { check } from '../../kafka/client/cluster.ts'
import { printRows, say } from './output.ts'
import { type SharedOptions, withCluster, withSharedOptions } from './session.ts'

const BROKERS = 1

export function addClusterCommands(program: Command): void {
  const group = program.command('cluster').description('show the cluster')
  withSharedOptions(group.command('info').description('its id and its nodes')).action(
    (options: SharedOptions) =>
      withCluster(options, async (cluster, format) => {
        const answer = await cluster.request(undefined, describeCluster, {
          includeClusterAuthorizedOperations: false,
          endpointType: BROKERS,
          includeFencedBrokers: true,
        })
        check(answer.errorCode, answer.errorMessage ?? 'cluster')
        say(`cluster ${answer.clusterId}  controller ${answer.controllerId}`)
        printRows(
          answer.brokers.map((one) => ({
            node: one.brokerId,
            address: `${one.host}:${one.port}`,
            rack: one.rack,
            isFenced: one.isFenced,
          })),
          [
            { title: 'NODE', value: (row) => row.node },
            { title: 'KAFKA', value: (row) => row.address },
            { title: 'RACK', value: (row) => row.rack ?? '-' },
            { title: 'STATE', value: (row) => (row.isFenced ? 'fenced' : 'running') },
          ],
          format,
        )
      }),
  )
}
