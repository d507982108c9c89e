/** Settings that Kafka does not have. */
import { bool, CLUSTER, FIXED, HIGH, int, LOW, MEDIUM, type Setting, text } from '../definition.ts'
import { atLeast, hostAndPort, oneOf } from '../validators.ts'

export const OWN_SETTINGS: readonly Setting[] = [
  text('cluster.id', null, null, MEDIUM, FIXED).is(
    'The id of a new cluster, 22 characters of base64url; when not set, the first controller makes one.',
  ),
  int('controlled.shutdown.max.wait.ms', 30_000, atLeast(0), MEDIUM, FIXED).is(
    'A node that is told to stop does so after this long at the latest, moved leaderships or not.',
  ),
  text('flush.policy', 'group', oneOf('group', 'interval', 'none'), HIGH, CLUSTER).is(
    'When a record counts as written: `group` once it is on the device (one sync for all that ' +
      'arrived meanwhile), `interval` and `none` once it is in the page cache. The topic setting ' +
      '`flush` overrides it.',
  ),
  text('http.address', '127.0.0.1:9644', hostAndPort, HIGH, FIXED).is(
    'Where health, metrics and the admin pages answer; empty: nowhere.',
  ),
  text('http.hosts', '', null, LOW, FIXED).is(
    'Host names, separated by commas, under which the HTTP pages may be opened beside localhost and addresses.',
  ),
  bool('http.insecure', false, null, MEDIUM, FIXED).is(
    'Whether http.address may be reachable from other machines although it asks for no login.',
  ),
  int('log.scrub.bytes.per.second', 1_048_576, atLeast(0), MEDIUM, CLUSTER).is(
    'How fast segments are read in the background, to find damage while another replica has ' +
      'the records; 0: not at all.',
  ),
  int('log.scrub.interval.ms', 3_600_000, atLeast(1), LOW, CLUSTER).is(
    'How long after a segment was read in the background it is read again; one that was ' +
      'closed just now is read at once.',
  ),
  text(
    'metrics.partition.level',
    'auto',
    oneOf('auto', 'none', 'topic', 'partition'),
    LOW,
    FIXED,
  ).is(
    'How fine the metrics of partitions are; `auto`: one series a partition while the node has at ' +
      'most 2,000 of them, then one a topic.',
  ),
]
