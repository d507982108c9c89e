/** All commands. */
import { Command } from 'commander'
import { VERSION } from '../version.ts'
import { addChaosCommands } from './chaos.ts'
import { addClusterCommands } from './cluster.ts'
import { addConsumeCommand } from './consume.ts'
import { addDebugCommands } from './debug.ts'
import { addDemoCommand } from './demo.ts'
import { addDevCommand } from './dev.ts'
import { addDoctorCommand } from './doctor.ts'
import { addGroupCommands } from './group.ts'
import { addNodeCommands } from './node.ts'
import { addPartitionCommands } from './partition.ts'
import { addProduceCommand } from './produce.ts'
import { EXIT } from './session.ts'
import { addStartCommand } from './start.ts'
import { addTopicCommands } from './topic.ts'

const EXAMPLES = `
Begin with:
  odradek dev                                three nodes on this machine, until Ctrl-C
  odradek topic create orders --partitions 6
  odradek produce orders 'hello'
  odradek consume orders --from-beginning
  odradek demo                               orders, a group that reads them, nodes to kill

Exit codes: 0 ok, 1 failure, 2 usage, 3 cannot connect, 4 not found, 5 timeout, 6 denied,
7 unhealthy, 130 interrupted.`

export function makeProgram(): Command {
  const program = new Command('odradek')
    .description('Event streaming that speaks the Kafka protocol and needs Node alone')
    .version(VERSION)
    .addHelpText('after', EXAMPLES)
    .exitOverride((error) => {
      process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage)
    })
  addDevCommand(program)
  addStartCommand(program)
  addTopicCommands(program)
  addProduceCommand(program)
  addConsumeCommand(program)
  addGroupCommands(program)
  addClusterCommands(program)
  addNodeCommands(program)
  addPartitionCommands(program)
  addDoctorCommand(program)
  addDebugCommands(program)
  addDemoCommand(program)
  addChaosCommands(program)
  return program
}
