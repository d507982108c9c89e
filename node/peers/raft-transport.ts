/**
 * Carries Raft's messages. What is said to one node in a turn travels as one frame; each node sends
 * on the stream that it opened, and answers a node that it does not know on the stream that came
 * from it. What can't be sent is dropped: Raft asks again.
 */
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'
import type { RpcStream, RpcStreamHandler } from '../../base/rpc.ts'
import { ProtocolError, raftFrame } from '../../proto/codecs.ts'
import { RAFT_EXCHANGE } from '../../proto/methods.ts'
import { type Message, type MessageType, sizeOf } from '../../raft/messages.ts'
import type { RaftTransport } from '../../raft/transport.ts'
import type { RemoteNode } from './hello.ts'
import type { Peers } from './peers.ts'
import { fromProto, toProto } from './raft-codec.ts'

/** A frame is closed when it has got this far. */
const FRAME_BYTES = 1024 * 1024
/** What waits for one node; more is dropped. */
const QUEUE_BYTES_MAX = 8 * 1024 * 1024

const LEADERS_ONLY: ReadonlySet<MessageType> = new Set(['append', 'heartbeat', 'snapshot'])

export interface RaftTransportParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly peers: Pick<Peers, 'peer' | 'isOpen' | 'heard'>
  /** What this node is part of. */
  readonly clusterId: () => string | undefined
  /** Where messages arrive: the driver. `clusterId`: of the sender; '' none yet. */
  receive(from: number, message: Message, clusterId: string): void
}

export class PeerRaftTransport implements RaftTransport {
  /** Messages that found no way; a figure for people. */
  droppedCount = 0
  readonly #parts: RaftTransportParts
  readonly #lines = new Map<number, Line>()
  #isFlushDue = false
  /** The process that spoke as leader last; '' where its stream was ours. */
  #leader = { nodeId: -1, incarnationId: '' }

  constructor(parts: RaftTransportParts) {
    this.#parts = parts
  }

  send(to: number, message: Message): void {
    const line = this.#line(to)
    const sizeBytes = sizeOf(message)
    if (line.queuedBytes + sizeBytes > QUEUE_BYTES_MAX) {
      this.droppedCount++
      return
    }
    line.queue.push(message)
    line.queuedBytes += sizeBytes
    if (this.#isFlushDue) return
    this.#isFlushDue = true
    this.#parts.clock.soon(() => this.#flush())
  }

  /** For PeerServer: a stream that another node has opened. */
  accept(remote: RemoteNode, stream: RpcStream): RpcStreamHandler {
    const line = this.#line(remote.nodeId)
    line.inbound = stream
    return {
      onMessage: (bytes) => this.#arrived(remote, bytes, stream),
      onDrain() {},
      onClose() {
        if (line.inbound === stream) line.inbound = undefined
      },
    }
  }

  /**
   * A process of this node has ended: has another one of the same node spoken as leader since?
   * `incarnationId` undefined: whichever it was has ended.
   */
  leadsAsAnother(nodeId: number, incarnationId: string | undefined): boolean {
    const { nodeId: leaderId, incarnationId: leader } = this.#leader
    if (incarnationId === undefined || leaderId !== nodeId || leader === '') return false
    return leader !== incarnationId
  }

  close(): void {
    for (const line of this.#lines.values()) line.outbound?.cancel()
    this.#lines.clear()
  }

  #line(nodeId: number): Line {
    let line = this.#lines.get(nodeId)
    if (line === undefined) {
      line = { queue: [], queuedBytes: 0, outbound: undefined, inbound: undefined, isHeld: false }
      this.#lines.set(nodeId, line)
    }
    return line
  }

  #flush(): void {
    this.#isFlushDue = false
    for (const [nodeId, line] of this.#lines) this.#flushLine(nodeId, line)
  }

  #flushLine(nodeId: number, line: Line): void {
    if (line.queue.length === 0) return
    const stream = this.#streamTo(nodeId, line)
    if (stream === undefined) {
      this.droppedCount += line.queue.length
      line.queue = []
      line.queuedBytes = 0
      return
    }
    while (line.queue.length > 0 && !line.isHeld) {
      const messages = takeFrame(line)
      const clusterId = this.#parts.clusterId() ?? ''
      const frame = { clusterId, messages: messages.map(toProto) }
      const isOpen = stream.send(raftFrame.encode(frame))
      // An inbound stream holds back by itself: what it carries is small.
      if (!isOpen && stream === line.outbound) line.isHeld = true
    }
  }

  #streamTo(nodeId: number, line: Line): RpcStream | undefined {
    if (line.outbound !== undefined) return line.outbound
    if (!this.#parts.peers.isOpen(nodeId)) return line.inbound
    const stream = this.#parts.peers.peer(nodeId).stream(RAFT_EXCHANGE, {
      onMessage: (bytes) => this.#arrived({ nodeId, incarnationId: '' }, bytes, stream),
      onDrain: () => {
        line.isHeld = false
        this.#flushLine(nodeId, line)
      },
      onClose: () => {
        if (line.outbound !== stream) return
        line.outbound = undefined
        line.isHeld = false
      },
    })
    line.outbound = stream
    return stream
  }

  #arrived(from: Speaker, bytes: Buffer, stream: RpcStream): void {
    const { nodeId, incarnationId } = from
    try {
      let leads = false
      const { clusterId, messages } = raftFrame.decode(bytes)
      for (const encoded of messages) {
        const message = fromProto(encoded)
        leads ||= LEADERS_ONLY.has(message.type)
        this.#deliver(nodeId, message, clusterId)
      }
      if (leads) this.#leader = { nodeId, incarnationId }
      this.#parts.peers.heard(nodeId, leads)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      const fields = { peer: nodeId, reason: error.message }
      this.#parts.logger.warn('a message of Raft could not be read', fields)
      stream.cancel()
    }
  }

  #deliver(nodeId: number, message: Message, clusterId: string): void {
    if (message.from !== nodeId) throw new ProtocolError(`it speaks for node ${message.from}`)
    this.#parts.receive(nodeId, message, clusterId)
  }
}

type Speaker = Pick<RemoteNode, 'nodeId' | 'incarnationId'>

interface Line {
  queue: Message[]
  queuedBytes: number
  /** Opened here. */
  outbound: RpcStream | undefined
  /** Opened there. */
  inbound: RpcStream | undefined
  /** The window of the outbound stream is full. */
  isHeld: boolean
}

/** The first messages of the queue, as many as make a frame. */
function takeFrame(line: Line): Message[] {
  const messages: Message[] = []
  let sizeBytes = 0
  for (const message of line.queue) {
    if (messages.length > 0 && sizeBytes + sizeOf(message) > FRAME_BYTES) break
    messages.push(message)
    sizeBytes += sizeOf(message)
  }
  line.queue.splice(0, messages.length)
  line.queuedBytes -= sizeBytes
  return messages
}
