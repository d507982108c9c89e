/** odradek cluster features|finalize: levels at which the cluster runs, raised after an upgrade (KIP-584). */
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { apiVersions } from '../../kafka/api/18-api-versions.ts'
import { SAFE_DOWNGRADE, UPGRADE, updateFeatures } from '../../kafka/api/57-update-features.ts'
import { type Cluster, check } from '../../kafka/client/cluster.ts'
import { type Format, printRows, say } from './output.ts'
import { EXIT, type SharedOptions, wholeNumber, withCluster, withSharedOptions } from './session.ts'

export interface Feature {
  readonly feature: string
  /** 0: not in use. */
  readonly finalized: number
  /** Levels that the asked node can run at. */
  readonly lowest: number
  readonly highest: number
}

export interface FinalizeOptions {
  readonly dryRun?: boolean
  readonly downgrade?: boolean
}

const UPDATE_OF = /^([a-z.]+)=(\d+)$/

export function addFeatureCommands(group: Command): void {
  withSharedOptions(
    group.command('features').description('the level of each feature, and what the node can do'),
  ).action((options: SharedOptions) =>
    withCluster(options, async (cluster, format) => printFeatures(cluster, format)),
  )
  withSharedOptions(
    group
      .command('finalize [feature=level...]')
      .description('raise features, such as metadata.version, when all nodes run a new version'),
  )
    .option('--dry-run', 'only ask whether every node can run at these levels')
    .option('--downgrade', 'allow lower levels that lose no metadata')
    .action((words: string[], options: SharedOptions & FinalizeOptions) =>
      withCluster(options, async (cluster) => say(await finalize(cluster, words, options))),
    )
}

export async function featuresOf(cluster: Cluster): Promise<Feature[]> {
  const software = { clientSoftwareName: 'odradek-cli', clientSoftwareVersion: '0' }
  const answer = await cluster.request(undefined, apiVersions, software)
  check(answer.errorCode, 'features')
  const levels = new Map(answer.finalizedFeatures.map((one) => [one.name, one.maxVersionLevel]))
  return answer.supportedFeatures.map(({ name, minVersion, maxVersion }) => ({
    feature: name,
    finalized: levels.get(name) ?? 0,
    lowest: minVersion,
    highest: maxVersion,
  }))
}

/** Without words: all features to the highest level of the asked node. The controller asks for all nodes. */
export async function finalize(
  cluster: Cluster,
  words: readonly string[],
  options: FinalizeOptions,
): Promise<string> {
  const features = await featuresOf(cluster)
  const wanted =
    words.length > 0
      ? words.map(levelOf)
      : features.map(({ feature, highest }) => ({ feature, level: highest }))
  const changes = wanted.filter(({ feature, level }) =>
    features.every((one) => one.feature !== feature || one.finalized !== level),
  )
  if (changes.length === 0) return 'nothing to change: the cluster runs at these levels'
  const answer = await cluster.request(undefined, updateFeatures, {
    timeoutMs: cluster.options.timeoutMs,
    featureUpdates: changes.map(({ feature, level }) => ({
      feature,
      maxVersionLevel: level,
      upgradeType: options.downgrade === true ? SAFE_DOWNGRADE : UPGRADE,
    })),
    validateOnly: options.dryRun === true,
  })
  check(answer.errorCode, answer.errorMessage ?? 'finalize')
  const levels = changes.map(({ feature, level }) => `${feature} ${level}`).join(', ')
  return options.dryRun === true ? `could be finalized: ${levels}` : `finalized: ${levels}`
}

function levelOf(word: string): { feature: string; level: number } {
  const [, feature, level] = UPDATE_OF.exec(word) ?? []
  if (feature !== undefined) return { feature, level: wholeNumber(level!, feature) }
  const message = `finalize takes FEATURE=LEVEL, such as metadata.version=30, not '${word}'`
  throw new UserError(message, EXIT.usage)
}

async function printFeatures(cluster: Cluster, format: Format): Promise<void> {
  printRows(
    await featuresOf(cluster),
    [
      { title: 'FEATURE', value: (row) => row.feature },
      { title: 'FINALIZED', value: (row) => row.finalized },
      { title: 'CAN BE', value: (row) => `${row.lowest} to ${row.highest}` },
    ],
    format,
  )
}
