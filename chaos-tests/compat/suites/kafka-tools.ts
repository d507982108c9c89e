/* Kafka's tools under the names of its distribution, for suites that call them. */
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const TOOLS: Readonly<Record<string, string>> = {
  'kafka-topics.sh': 'org.apache.kafka.tools.TopicCommand',
  'kafka-configs.sh': 'kafka.admin.ConfigCommand',
  'kafka-acls.sh': 'org.apache.kafka.tools.AclCommand',
  'kafka-consumer-groups.sh': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
}

/** Gives a directory with `bin`, like that of an installed Kafka. */
export async function toolDirectory(
  parent: string,
  kafkaLibs: string | undefined,
): Promise<string> {
  const directory = join(parent, 'kafka')
  await mkdir(join(directory, 'bin'), { recursive: true })
  for (const [name, className] of Object.entries(TOOLS)) {
    const flags = '-Xmx256M -XX:TieredStopAtLevel=1 -Dlog4j2.level=OFF'
    const line = `exec env JAVA_TOOL_OPTIONS= java ${flags} -cp '${kafkaLibs ?? ''}/*' ${className} "$@"`
    const file = join(directory, 'bin', name)
    await writeFile(file, `#!/bin/sh\n${line}\n`)
    await chmod(file, 0o755)
  }
  return directory
}
