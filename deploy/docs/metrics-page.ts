/** The page that lists the families of `/metrics`, made from those that a node shows. */
import { FAMILIES } from '../../node/families.ts'

const HEAD = `# Metrics

This page is generated from the families that a node shows: after a change there, run
\`npm run build && node dist/deploy/docs/write.js\`.

\`/metrics\` of each node has these, and what prom-client shows of each process (\`process_*\`, \`nodejs_*\`). Names are an interface:
one that is here stays. Seconds, bytes and records are the units; counters end in \`_total\`. Records, bytes and offsets of topics and partitions are
shown by their leader alone, so that a sum over the nodes is right: P(t) is \`sum(rate(odradek_partition_records_in_total[1m]))\`.
\`metrics.partition.level\` says whether each partition has series of its own, or each topic. Rules, alerts and dashboards that use them are in
[deploy](../deploy/README.md); \`/metrics/kafka\` has the names that dashboards for Kafka ask for.

A test compares this page with three nodes that run. There is no family for what a release does not have: logins and rights, quotas, transactions, a probe of itself.
There is none for fetches between replicas either, since a leader sends what it has over a stream as it comes: see \`odradek_replica_lag_seconds\`.

| Family | Type | Meaning |
| --- | --- | --- |
`

export function metricsPage(): string {
  const rows = FAMILIES.map(
    ({ name, type, help }) => `| ${name} | ${type} | ${help.replaceAll('|', '\\|')} |\n`,
  )
  return HEAD + rows.join('')
}
