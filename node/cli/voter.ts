/** odradek cluster add-voter|remove-voter: who votes on metadata, while the cluster works (KIP-853). */
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { addRaftVoter } from '../../kafka/api/80-add-raft-voter.ts'
import { removeRaftVoter } from '../../kafka/api/81-remove-raft-voter.ts'
import { type Cluster, check } from '../../kafka/client/cluster.ts'
import { quorumOf } from './cluster.ts'
import { say } from './output.ts'
import { EXIT, type SharedOptions, wholeNumber, withCluster, withSharedOptions } from './session.ts'

export function addVoterCommands(group: Command): void {
  withSharedOptions(
    group
      .command('add-voter <node>')
      .description('let a node that follows the metadata log vote on it'),
  ).action((node: string, options: SharedOptions) =>
    withCluster(options, (cluster) => addVoter(cluster, wholeNumber(node, 'node'))),
  )
  withSharedOptions(
    group
      .command('remove-voter <node>')
      .description('take the vote from a node, for example before it goes for good'),
  ).action((node: string, options: SharedOptions) =>
    withCluster(options, (cluster) => removeVoter(cluster, wholeNumber(node, 'node'))),
  )
}

async function addVoter(cluster: Cluster, voterId: number): Promise<void> {
  const { observers, currentVoters } = await quorumOf(cluster)
  if (currentVoters.some((one) => one.replicaId === voterId)) {
    throw new UserError(`node ${voterId} is a voter already`, EXIT.usage)
  }
  const observer = observers.find((one) => one.replicaId === voterId)
  if (observer === undefined) {
    throw new UserError(
      `node ${voterId} does not follow the metadata log: start it first, and look at it with ` +
        'odradek cluster quorum',
      EXIT.usage,
    )
  }
  const controller = await cluster.controller()
  const answer = await controller.request(
    addRaftVoter,
    {
      clusterId: null,
      timeoutMs: cluster.options.timeoutMs,
      voterId,
      voterDirectoryId: observer.replicaDirectoryId!,
      // Nodes know the address from the registration of the broker.
      listeners: [],
      ackWhenCommitted: true,
    },
    cluster.options.timeoutMs,
  )
  check(answer.errorCode, answer.errorMessage ?? 'add-voter')
  await sayVoters(cluster, `node ${voterId} votes`)
}

async function removeVoter(cluster: Cluster, voterId: number): Promise<void> {
  const { currentVoters } = await quorumOf(cluster)
  const voter = currentVoters.find((one) => one.replicaId === voterId)
  if (voter === undefined) throw new UserError(`node ${voterId} is no voter`, EXIT.usage)
  const controller = await cluster.controller()
  const answer = await controller.request(
    removeRaftVoter,
    { clusterId: null, voterId, voterDirectoryId: voter.replicaDirectoryId! },
    cluster.options.timeoutMs,
  )
  check(answer.errorCode, answer.errorMessage ?? 'remove-voter')
  await sayVoters(cluster, `node ${voterId} votes no longer`)
}

async function sayVoters(cluster: Cluster, what: string): Promise<void> {
  const { currentVoters } = await quorumOf(cluster)
  const ids = currentVoters.map((one) => one.replicaId).sort((a, b) => a - b)
  say(`${what}; voters: ${ids.join(', ')}`)
}
