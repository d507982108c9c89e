/** odradek cluster recover FILE: goes on with one node after the disks of most voters are lost. */
import type { Command } from 'commander'
import { UserError } from '../../base/errors.ts'
import { realClock } from '../../base/real/clock.ts'
import { RealDisk } from '../../base/real/disk.ts'
import { realLogger } from '../../base/real/logger.ts'
import { LogProbe } from '../../log/probe.ts'
import { loadSettings } from '../config/load.ts'
import { forceQuorum } from '../metadata/forced-quorum.ts'
import { lockMetadataDirectory, readMetaProperties } from '../metadata/meta-properties.ts'
import { say } from './output.ts'
import { readSettingsFile } from './start.ts'
import { asSentence } from './storage-sentence.ts'

interface RecoverOptions {
  readonly acceptLoss?: boolean
}

export function addRecoverCommand(group: Command): void {
  group
    .command('recover <file>')
    .description('make the stopped node of this file the only voter, when most voters are lost')
    .option('--accept-loss', 'what the lost voters had decided, and this node not heard, is lost')
    .action(async (file: string, options: RecoverOptions) => {
      try {
        await recover(file, options)
      } catch (error) {
        throw asSentence(error)
      }
    })
}

async function recover(file: string, options: RecoverOptions): Promise<void> {
  const settings = loadSettings({
    file: { path: file, text: readSettingsFile(file) },
    environment: process.env,
  })
  const directory = settings.metadataDirectory
  const disk = new RealDisk()
  const meta = readMetaProperties(disk, directory)
  if (meta === undefined) {
    throw new UserError(`${directory} is new: there is nothing in it to recover from`)
  }
  const { nodeId } = settings
  if (meta.nodeId !== nodeId) {
    throw new UserError(`${directory} belongs to node ${meta.nodeId}, and this is node ${nodeId}`)
  }
  if (options.acceptLoss !== true) {
    throw new UserError(
      `node ${nodeId} would be the only voter, and changes of topics, leaders and settings that it has ` +
        'not heard of would be lost, with records acknowledged under them. Only when the disks of most ' +
        'voters are gone for good: say so with --accept-loss',
    )
  }
  const lock = lockMetadataDirectory(disk, directory, [])
  try {
    const { votersBefore, endOffset } = await forceQuorum({
      disk,
      clock: realClock,
      logger: realLogger({ level: 'error' }),
      probe: new LogProbe(),
      maybe: () => false,
      directory,
      nodeId,
      directoryId: meta.directoryId,
    })
    say(`node ${nodeId} is the only voter now; before: ${votersBefore.join(', ')}`)
    say(`its metadata ends at ${endOffset}: what was decided behind that is lost`)
    say('start it; start each other voter with an empty directory, and a controller.quorum.voters')
    say('of this node and itself; then odradek cluster add-voter NODE')
  } finally {
    lock?.release()
  }
}
