/** odradek node status|drain|unregister */
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import type { Cluster } from '../../kafka/client/cluster.ts'
import { DRAIN_HEADER, DRAIN_PATH } from '../admin.ts'
import { brokersOf } from './cluster.ts'
import { type Format, printRows, say } from './output.ts'
import { EXIT, type SharedOptions, wholeNumber, withCluster, withSharedOptions } from './session.ts'
import { addUnregisterCommand } from './unregister.ts'

const DEFAULT_HTTP = '127.0.0.1:9644'

export function addNodeCommands(program: Command): void {
  const group = program
    .command('node')
    .description('show nodes, empty one before it is stopped, forget one that is gone')
  withSharedOptions(group.command('status').description('what each node leads and holds')).action(
    (options: SharedOptions) => withCluster(options, status),
  )
  group
    .command('drain')
    .description('move all that the node on this machine leads to others, before it is stopped')
    .option('--http <address>', 'its http.address', DEFAULT_HTTP)
    .option('--timeout <ms>', 'how long that may take', '60000')
    .action(drain)
  addUnregisterCommand(group)
}

async function status(cluster: Cluster, format: Format): Promise<void> {
  const answer = await brokersOf(cluster)
  const { topics } = await cluster.metadata(null)
  const partitions = topics.flatMap((topic) => topic.partitions)
  const rows = answer.brokers.map(({ brokerId, host, port, isFenced }) => ({
    node: brokerId,
    address: `${host}:${port}`,
    state: isFenced ? 'fenced' : 'running',
    leads: partitions.filter((one) => one.leaderId === brokerId).length,
    replicas: partitions.filter((one) => one.replicaNodes.includes(brokerId)).length,
    outOfSync: partitions.filter(
      (one) => one.replicaNodes.includes(brokerId) && !one.isrNodes.includes(brokerId),
    ).length,
  }))
  printRows(
    rows,
    [
      { title: 'NODE', value: (row) => row.node },
      { title: 'KAFKA', value: (row) => row.address },
      { title: 'STATE', value: (row) => row.state },
      { title: 'LEADS', value: (row) => row.leads },
      { title: 'REPLICAS', value: (row) => row.replicas },
      { title: 'OUT OF SYNC', value: (row) => row.outOfSync },
    ],
    format,
  )
}

async function drain(options: { http: string; timeout: string }): Promise<void> {
  const timeoutMs = wholeNumber(options.timeout, '--timeout')
  const url = `http://${options.http}${DRAIN_PATH}`
  let response: Response
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { [DRAIN_HEADER]: String(timeoutMs) },
      signal: AbortSignal.timeout(timeoutMs + 5000),
    })
  } catch (error) {
    throw new UserError(`no node answers at ${url}`, EXIT.unreachable, { cause: error })
  }
  if (response.status === 504) {
    throw new UserError('not everything could be moved in time', EXIT.timeout)
  }
  if (response.status !== 200) throw new UserError(`the node refuses: ${await response.text()}`)
  say('the node leads nothing any more')
}
