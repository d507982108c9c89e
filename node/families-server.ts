/** Families of the server that clients talk to: requests by API, connections, who waits. */
import type { Histogram } from '../base/metrics.ts'
import type { ApiCounters } from '../kafka/server/probe.ts'
import { errorName } from '../kafka/wire/errors.ts'
import { type Emit, type Family, type Source, single } from './families-source.ts'

const REQUESTS: readonly Family[] = [
  {
    name: 'odradek_requests_total',
    type: 'counter',
    help: 'Requests by API and how they ended; dropped: the connection went before the answer.',
    collect(source, emit) {
      for (const api of apis(source)) {
        emit({ api: api.name, result: 'ok' }, api.succeeded)
        emit({ api: api.name, result: 'error' }, api.failed)
        emit({ api: api.name, result: 'dropped' }, api.dropped)
      }
    },
  },
  {
    name: 'odradek_request_errors_total',
    type: 'counter',
    help: 'Requests that were answered with an error, by its name in the protocol.',
    collect(source, emit) {
      for (const api of apis(source)) {
        for (const [code, count] of api.errors) {
          emit({ api: api.name, error: errorName(code) }, count)
        }
      }
    },
  },
  perApi(
    'odradek_request_duration_seconds',
    'From the receipt of a request until its answer is handed to the socket.',
    (api) => api.seconds,
  ),
  {
    name: 'odradek_request_phase_seconds',
    type: 'histogram',
    help:
      'Of one produce or fetch request in 17. local: until this node had done its part; remote: ' +
      'from then on to the answer, waiting for the disk, for replicas or for data.',
    collect(source, emit) {
      for (const api of apis(source)) {
        if (api.localSeconds.counts.every((count) => count === 0)) continue
        emit({ api: api.name, phase: 'local' }, api.localSeconds)
        emit({ api: api.name, phase: 'remote' }, api.waitSeconds)
      }
    },
  },
  perApi('odradek_request_size_bytes', 'Sizes of requests.', (api) => api.requestBytes),
  perApi('odradek_response_size_bytes', 'Sizes of answers.', (api) => api.responseBytes),
  single(
    'odradek_requests_in_flight',
    'gauge',
    'Requests that were accepted and not answered yet.',
    ({ node }) => node.server.probe.inFlight,
  ),
  {
    name: 'odradek_purgatory_size',
    type: 'gauge',
    help: 'Requests that wait: for replicas, for data, for the members of a group.',
    collect({ node }, emit) {
      let produces = 0
      for (const partition of node.partitions.all()) produces += partition.waitingProduces
      let joins = 0
      for (const group of node.groups.figures()) joins += group.waitingJoins
      emit({ operation: 'produce' }, produces)
      emit({ operation: 'fetch' }, node.server.probe.waitingFetches)
      emit({ operation: 'join' }, joins)
    },
  },
]

const CONNECTIONS: readonly Family[] = [
  {
    name: 'odradek_connections',
    type: 'gauge',
    help: 'Open connections of clients.',
    collect: ({ node }, emit) => perListener(node.server.probe.openConnections, emit),
  },
  {
    name: 'odradek_connections_opened_total',
    type: 'counter',
    help: 'Connections of clients that were accepted.',
    collect: ({ node }, emit) => perListener(node.server.probe.openedConnections, emit),
  },
  {
    name: 'odradek_connections_closed_total',
    type: 'counter',
    help: 'Connections of clients that ended or were refused, by reason.',
    collect({ node }, emit) {
      for (const [listener, reasons] of node.server.probe.closedConnections) {
        for (const [reason, count] of reasons) emit({ listener, reason }, count)
      }
    },
  },
  {
    name: 'odradek_client_software_connections',
    type: 'gauge',
    help: 'Open connections by what clients say they are (KIP-511): 20 kinds, then other.',
    collect({ node }, emit) {
      for (const [kind, count] of node.server.probe.softwareConnections) {
        const space = kind.lastIndexOf(' ')
        const name = space < 0 ? kind : kind.slice(0, space)
        emit({ name, version: space < 0 ? '' : kind.slice(space + 1) }, count)
      }
    },
  },
  single(
    'odradek_network_received_bytes_total',
    'counter',
    'Bytes received from clients.',
    ({ node }) => node.server.probe.bytesIn,
  ),
  single(
    'odradek_network_sent_bytes_total',
    'counter',
    'Bytes sent to clients.',
    ({ node }) => node.server.probe.bytesOut,
  ),
]

export const SERVER_FAMILIES: readonly Family[] = [...REQUESTS, ...CONNECTIONS]

function* apis({ node }: Source): Generator<ApiCounters> {
  for (const api of node.server.probe.apis) if (api !== undefined) yield api
}

/** APIs that nobody has asked for yet are left out: 15 lines each. */
function perApi(name: string, help: string, read: (api: ApiCounters) => Histogram): Family {
  return {
    name,
    type: 'histogram',
    help,
    collect(source, emit) {
      for (const api of apis(source)) {
        if (api.succeeded + api.failed > 0) emit({ api: api.name }, read(api))
      }
    },
  }
}

function perListener(counts: ReadonlyMap<string, number>, emit: Emit): void {
  for (const [listener, count] of counts) emit({ listener }, count)
}
