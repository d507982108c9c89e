/* One request, one answer, on a connection of its own: what the rows need besides load. */
import { connect } from 'node:net'
import {
  AnswerReader,
  createTopicsFrame,
  produceError,
  produceFrame,
  recordBatch,
} from './frames.ts'

const ANSWER_LIMIT_MS = 150_000

/** Sends a frame and gives the answer without its length; undefined when nobody listens. */
export async function ask(port: number, frame: Buffer): Promise<Buffer | undefined> {
  return await new Promise((resolve) => {
    const chunks: Buffer[] = []
    let length = 0
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => socket.write(frame))
    socket.setTimeout(ANSWER_LIMIT_MS, () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      const first = chunks[0]!
      if (first.length < 4 && length >= 4) chunks.splice(0, chunks.length, Buffer.concat(chunks))
      if (length < 4 || length < 4 + chunks[0]!.readInt32BE(0)) return
      resolve(Buffer.concat(chunks).subarray(4))
      socket.destroy()
    })
    socket.on('error', () => resolve(undefined))
    socket.on('close', () => resolve(undefined))
  })
}

export interface NewTopic {
  name: string
  partitions: number
  configs?: Record<string, string>
}

/** Error codes of the topics, in order; undefined when nobody answers. */
export async function createTopics(
  port: number,
  topics: readonly NewTopic[],
): Promise<number[] | undefined> {
  const answer = await ask(port, createTopicsFrame(topics))
  if (answer === undefined) return undefined
  const reader = new AnswerReader(answer, 4)
  reader.skipTags()
  reader.int32()
  const errors: number[] = []
  const count = reader.uvarint() - 1
  for (let i = 0; i < count; i++) {
    reader.skipCompact()
    errors.push(reader.int16())
    reader.skipCompact()
    reader.int32()
    reader.int16()
    const configs = Math.max(0, reader.uvarint() - 1)
    for (let k = 0; k < configs; k++) {
      reader.skipCompact()
      reader.skipCompact()
      reader.position += 3
      reader.skipTags()
    }
    reader.skipTags()
  }
  return errors
}

/** Creates a topic and waits until each partition takes a record. */
export async function makeTopic(port: number, topic: NewTopic): Promise<void> {
  const errors = await createTopics(port, [topic])
  if (errors?.[0] !== 0) throw new Error(`topic ${topic.name} was not made: ${errors}`)
  await waitUntilWritable(port, [topic])
}

/** Sends one record to each partition, again and again, until each took one. */
export async function waitUntilWritable(port: number, topics: readonly NewTopic[]): Promise<void> {
  const batch = recordBatch({ values: [Buffer.from('x')] })
  const missing = topics.flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => produceFrame(name, partition, batch, 1)),
  )
  while (missing.length > 0) {
    const left = await sendAll(port, missing)
    if (left.length === missing.length) await new Promise((resolve) => setTimeout(resolve, 10))
    missing.splice(0, missing.length, ...left)
  }
}

/** Sends the frames on one connection, 64 in flight; gives those that were not acknowledged. */
async function sendAll(port: number, frames: readonly Buffer[]): Promise<Buffer[]> {
  return await new Promise((resolve) => {
    const failed: Buffer[] = []
    let sent = 0
    let answered = 0
    let rest: Buffer = Buffer.alloc(0)
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const done = () => {
      failed.push(...frames.slice(answered))
      answered = frames.length
      resolve(failed)
      socket.destroy()
    }
    const fill = () => {
      while (sent < frames.length && sent - answered < 64) socket.write(frames[sent++]!)
    }
    socket.on('connect', fill)
    socket.on('data', (chunk: Buffer) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
        const end = 4 + rest.readInt32BE(0)
        if (produceError(rest, 4).error !== 0) failed.push(frames[answered]!)
        answered++
        rest = rest.subarray(end)
      }
      if (answered === frames.length) done()
      else fill()
    })
    socket.on('error', done)
    socket.on('close', done)
  })
}
