/*
 * Loaded into a node with `--import` by timeline.ts: notes when the records of one topic pass the
 * node's doors (sockets, disk, streams to other nodes). It wraps the doors from outside, so a node
 * without it pays nothing. Times are of the machine's monotonic clock, which all its processes share.
 */
import { writeFileSync } from 'node:fs'
import type { DiskFile } from '../base/disk.ts'
import type { Connection, ConnectionHandler } from '../base/network.ts'
import { RealDisk } from '../base/real/disk.ts'
import { realNetwork } from '../base/real/network.ts'
import { GrpcStream } from '../proto/grpc-stream.ts'
import { FORMAT } from '../replication/messages.ts'

export const TIMELINE_TOPIC = 'timeline'

export type TraceKind =
  | 'arrived' // bytes of a client
  | 'written'
  | 'sync begun'
  | 'synced'
  | 'records sent'
  | 'records come'
  | 'position sent'
  | 'position come'
  | 'answered'

export interface TraceEvent {
  readonly kind: TraceKind
  readonly atUs: number
}

export const nowUs = (): number => Number(process.hrtime.bigint()) / 1000

/** A node's own file. */
const file = process.env['TIMELINE_FILE']
const DATA = 16
const POSITION = 4
/** Shorter ones tell a watermark. */
const RECORDS_BYTES = 100

if (file !== undefined) {
  const events: TraceEvent[] = []
  install((kind) => events.push({ kind, atUs: nowUs() }))
  process.on('exit', () => writeFileSync(file, JSON.stringify(events)))
}

function install(note: (kind: TraceKind) => void): void {
  const { listen } = realNetwork
  realNetwork.listen = (options, accept) =>
    listen.call(realNetwork, options, (connection) => {
      watchConnection(connection, note)
      return watchHandler(accept(connection), note)
    })
  const { open } = RealDisk.prototype
  RealDisk.prototype.open = function (path, mode) {
    const opened = open.call(this, path, mode)
    const isWatched = path.includes(`/${TIMELINE_TOPIC}-0/`) && path.endsWith('.log')
    if (isWatched) watchFile(opened, note)
    return opened
  }
  const { send, received } = GrpcStream.prototype
  GrpcStream.prototype.send = function (message) {
    const kind = kindOf(message)
    if (kind !== undefined) note(kind === DATA ? 'records sent' : 'position sent')
    return send.call(this, message)
  }
  GrpcStream.prototype.received = function (message) {
    const kind = kindOf(message)
    if (kind !== undefined) note(kind === DATA ? 'records come' : 'position come')
    received.call(this, message)
  }
}

/** Messages of replication begin with a byte that no other message of ours begins with. */
function kindOf(message: Uint8Array): number | undefined {
  if (message[0] !== FORMAT) return undefined
  if (message[1] === POSITION) return POSITION
  return message[1] === DATA && message.length >= RECORDS_BYTES ? DATA : undefined
}

function watchConnection(connection: Connection, note: (kind: TraceKind) => void): void {
  const write = connection.write.bind(connection)
  connection.write = (buffers) => {
    note('answered')
    write(buffers)
  }
}

function watchHandler(handler: ConnectionHandler, note: (kind: TraceKind) => void) {
  const onBytes = handler.onBytes.bind(handler)
  handler.onBytes = (slab, start, end) => {
    note('arrived')
    onBytes(slab, start, end)
  }
  return handler
}

function watchFile(opened: DiskFile, note: (kind: TraceKind) => void): void {
  const write = opened.write.bind(opened)
  const sync = opened.sync.bind(opened)
  opened.write = (source, start, end, position) => {
    write(source, start, end, position)
    note('written')
  }
  opened.sync = async () => {
    note('sync begun')
    await sync()
    note('synced')
  }
}
