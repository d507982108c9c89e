/** The dashboard of one topic. */
import { type DashboardPlan, query, type Variable } from './panels.ts'

const TOPIC: Variable = { name: 'topic', metric: 'odradek_topic_records_in_total', label: 'topic' }

export const TOPIC_DASHBOARD: DashboardPlan = {
  uid: 'odradek-topic',
  title: 'Odradek / Topic',
  description: 'How a topic is used, and how evenly.',
  variables: [TOPIC],
  panels: [
    {
      title: 'P_i(t): records in per second',
      kind: 'timeseries',
      unit: 'ops',
      width: 12,
      isStacked: true,
      description: 'Each partition, as its leader counts.',
      queries: [
        query(
          'sum by (topic, partition) ' +
            '(rate(odradek_partition_records_in_total{topic=~"$topic"}[1m]))',
          '{{topic}}-{{partition}}',
        ),
      ],
    },
    {
      title: 'Skew',
      kind: 'timeseries',
      unit: 'none',
      width: 12,
      description: 'The busiest partition against the mean: 1 is even.',
      queries: [
        query(
          'max by (topic) (rate(odradek_partition_records_in_total{topic=~"$topic"}[5m])) / ' +
            '(avg by (topic) (rate(odradek_partition_records_in_total{topic=~"$topic"}[5m])) > 0)',
          '{{topic}}',
        ),
      ],
    },
    {
      title: 'Size on all nodes',
      kind: 'timeseries',
      unit: 'bytes',
      isStacked: true,
      description: 'All replicas together.',
      queries: [query('sum by (topic) (odradek_log_size_bytes{topic=~"$topic"})', '{{topic}}')],
    },
    {
      title: 'Records that can be read',
      kind: 'timeseries',
      unit: 'short',
      description: 'From the start of the logs to the high watermarks.',
      queries: [
        query(
          'sum by (topic) (odradek_partition_high_watermark{topic=~"$topic"} - ' +
            'odradek_partition_log_start_offset{topic=~"$topic"})',
          '{{topic}}',
        ),
      ],
    },
    {
      title: 'Replicas in sync',
      kind: 'timeseries',
      unit: 'none',
      description: 'The fewest of all partitions.',
      queries: [query('min by (topic) (odradek_partition_isr_size{topic=~"$topic"})', '{{topic}}')],
    },
    {
      title: 'Codecs',
      kind: 'timeseries',
      unit: 'ops',
      description: 'Batches per second, by compression.',
      queries: [
        query(
          'sum by (codec) (rate(odradek_topic_batches_in_total{topic=~"$topic"}[5m]))',
          '{{codec}}',
        ),
      ],
    },
    {
      title: 'Records refused',
      kind: 'timeseries',
      unit: 'ops',
      description: 'By reason.',
      queries: [
        query(
          'sum by (topic, reason) ' +
            '(rate(odradek_topic_rejected_records_total{topic=~"$topic"}[5m]))',
          '{{topic}} {{reason}}',
        ),
      ],
    },
    {
      title: 'Bytes in and out',
      kind: 'timeseries',
      unit: 'Bps',
      description: 'By topic.',
      queries: [
        query(
          'sum by (topic) (rate(odradek_topic_bytes_in_total{topic=~"$topic"}[1m]))',
          '{{topic}} in',
        ),
        query(
          'sum by (topic) (rate(odradek_topic_bytes_out_total{topic=~"$topic"}[1m]))',
          '{{topic}} out',
        ),
      ],
    },
    {
      title: 'Segments',
      kind: 'timeseries',
      unit: 'none',
      description: 'On all nodes.',
      queries: [query('sum by (topic) (odradek_log_segments{topic=~"$topic"})', '{{topic}}')],
    },
  ],
}
