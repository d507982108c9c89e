/** odradek node unregister: the last step for a node that went for good. */
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { unregisterBroker } from '../../kafka/api/64-unregister-broker.ts'
import { type Cluster, check } from '../../kafka/client/cluster.ts'
import { ask } from './ask.ts'
import { brokersOf, quorumOf } from './cluster.ts'
import { say } from './output.ts'
import { EXIT, type SharedOptions, wholeNumber, withCluster, withSharedOptions } from './session.ts'

export function addUnregisterCommand(group: Command): void {
  withSharedOptions(
    group
      .command('unregister <node>')
      .description('let the cluster forget a node that is stopped, and will not come back'),
  )
    .option('--yes', 'do not ask')
    .action((node: string, options: SharedOptions & { yes?: boolean }) =>
      withCluster(options, (cluster) =>
        unregister(cluster, wholeNumber(node, 'node'), options.yes === true),
      ),
    )
}

async function unregister(cluster: Cluster, nodeId: number, isSure: boolean): Promise<void> {
  await refuseIfNeeded(cluster, nodeId)
  await ask(`forget node ${nodeId}?`, isSure)
  const controller = await cluster.controller()
  const answer = await controller.request(
    unregisterBroker,
    { brokerId: nodeId },
    cluster.options.timeoutMs,
  )
  check(answer.errorCode, answer.errorMessage ?? 'unregister')
  say(`node ${nodeId} is forgotten`)
}

/** Throws UserError when the cluster would miss the node, or hear of it at once again. */
async function refuseIfNeeded(cluster: Cluster, nodeId: number): Promise<void> {
  const { brokers } = await brokersOf(cluster)
  const broker = brokers.find(({ brokerId }) => brokerId === nodeId)
  if (broker === undefined) throw new UserError(`there is no node ${nodeId}`, EXIT.notFound)
  const { currentVoters } = await quorumOf(cluster)
  const { topics } = await cluster.metadata(null)
  const held = topics
    .flatMap(({ partitions }) => partitions)
    .filter(({ replicaNodes }) => replicaNodes.includes(nodeId)).length
  const wrong = [
    [!broker.isFenced, `node ${nodeId} runs: stop it first`],
    [
      currentVoters.some(({ replicaId }) => replicaId === nodeId),
      `node ${nodeId} votes on metadata: odradek cluster remove-voter ${nodeId} first`,
    ],
    [held > 0, `node ${nodeId} has ${held} replicas: odradek partition move puts them elsewhere`],
  ] as const
  const found = wrong.find(([isWrong]) => isWrong)
  if (found !== undefined) throw new UserError(found[1], EXIT.usage)
}
