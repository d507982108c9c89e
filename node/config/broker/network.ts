/** Listeners, connections, requests. */
import {
  bool,
  CLUSTER,
  FIXED,
  HIGH,
  int,
  LOW,
  list,
  long,
  MEDIUM,
  PER_BROKER,
  type Setting,
  text,
} from '../definition.ts'
import { anyList, atLeast } from '../validators.ts'

export const NETWORK_SETTINGS: readonly Setting[] = [
  list('advertised.listeners', null, anyList('empty', 'duplicates'), HIGH, FIXED).is(
    'The addresses that clients are told to connect to; when not set, those of ' + '`listeners`.',
  ),
  int('background.threads', 10, atLeast(1), HIGH, CLUSTER).hasNoEffect(
    'a node is one process with one event loop; run more nodes to use more cores.',
  ),
  int('connection.failed.authentication.delay.ms', 100, atLeast(0), LOW, FIXED).hasNoEffect(
    'clients are not authenticated in this release.',
  ),
  long('connections.max.idle.ms', 600_000, null, MEDIUM, FIXED).is(
    'A client connection without a request for this long is closed.',
  ),
  long('connections.max.reauth.ms', 0, null, MEDIUM, FIXED).hasNoEffect(
    'clients are not authenticated in this release.',
  ),
  list(
    'controller.listener.names',
    'CONTROLLER',
    anyList('null', 'empty', 'duplicates'),
    HIGH,
    FIXED,
  ).is(
    'Names of the listeners in `listeners` that carry the traffic between nodes (gRPC); ' +
      'clients are not served there.',
    { deviation: { kafkaDefault: null, reason: 'one name less to write' } },
  ),
  list('early.start.listeners', null, anyList('duplicates'), HIGH, FIXED).hasNoEffect(
    'every listener starts once its node can serve it.',
  ),
  text('inter.broker.listener.name', null, null, MEDIUM, FIXED).hasNoEffect(
    'traffic between nodes uses the controller listener.',
  ),
  text(
    'listener.security.protocol.map',
    'SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT',
    null,
    LOW,
    PER_BROKER,
  ).is('Which protocol each listener name speaks, as NAME:PROTOCOL pairs.'),
  list(
    'listeners',
    'PLAINTEXT://:9092',
    anyList('null', 'empty', 'duplicates'),
    HIGH,
    PER_BROKER,
  ).is(
    'The addresses to listen on, as NAME://host:port; an empty host means every ' + 'interface.',
  ),
  int('num.io.threads', 8, atLeast(1), HIGH, CLUSTER).hasNoEffect(
    'a node is one process with one event loop; run more nodes to use more cores.',
  ),
  int('num.network.threads', 3, atLeast(1), HIGH, CLUSTER).hasNoEffect(
    'a node is one process with one event loop; run more nodes to use more cores.',
  ),
  long('queued.max.request.bytes', -1, null, MEDIUM, FIXED).hasNoEffect(
    'memory for requests has one accountant with its own limit.',
  ),
  int('queued.max.requests', 500, atLeast(1), HIGH, FIXED).hasNoEffect(
    'a connection has a limit of its own.',
  ),
  int('request.timeout.ms', 30_000, null, HIGH, FIXED).hasNoEffect(
    'requests between nodes have deadlines of their own.',
  ),
  long('socket.connection.setup.timeout.max.ms', 30_000, null, MEDIUM, FIXED).hasNoEffect(
    'connections between nodes are gRPC and have their own timing.',
  ),
  long('socket.connection.setup.timeout.ms', 10_000, null, MEDIUM, FIXED).hasNoEffect(
    'connections between nodes are gRPC and have their own timing.',
  ),
  int('socket.listen.backlog.size', 50, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'Node.js gives the system its own backlog.',
  ),
  int('socket.receive.buffer.bytes', 102_400, null, HIGH, FIXED).hasNoEffect(
    'the system sizes socket buffers.',
  ),
  int('socket.request.max.bytes', 104_857_600, atLeast(1), HIGH, FIXED).is(
    'The largest request that is read; a longer one costs its connection.',
  ),
  int('socket.send.buffer.bytes', 102_400, null, HIGH, FIXED).hasNoEffect(
    'the system sizes socket buffers.',
  ),
  bool('unstable.api.versions.enable', false, null, HIGH, FIXED).is(
    'Has to stay false: API versions that are not final are not served.',
    { isInternal: true },
  ),
  bool('unstable.feature.versions.enable', false, null, HIGH, FIXED).hasNoEffect(
    'features that are not final do not exist here.',
    { isInternal: true },
  ),
]
