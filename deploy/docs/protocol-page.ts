/** The page that lists what of Kafka's protocol is served, made from the registry of APIs. */
import { registry } from '../../kafka/api/registry.ts'

const HEAD = `# Protocol

This page is generated from \`kafka/api/registry.ts\`: after a change there, run
\`npm run build && node dist/deploy/docs/write.js\`.

Each node answers these requests of Kafka's protocol on its listeners for clients, and no others: ApiVersions tells clients
exactly this list, so a client does not use what is not here. A request with a version outside of the range is refused as Kafka
refuses it. "Flexible" is the first version with tagged fields (KIP-482). Where ApiVersions says something else than is
served, as Kafka does for the sake of old clients, the column "Told" has it.

| Key | API | Versions | Flexible since | Told |
| --- | --- | --- | --- | --- |
`

const range = ([first, last]: readonly [number, number]) =>
  first === last ? String(first) : `${first} to ${last}`

export function protocolPage(): string {
  const rows = registry.map(({ key, name, versions, advertised, flexibleSince }) => {
    const told = range(advertised) === range(versions) ? '' : range(advertised)
    return `| ${key} | ${name} | ${range(versions)} | ${flexibleSince ?? ''} | ${told} |\n`
  })
  return HEAD + rows.join('')
}
