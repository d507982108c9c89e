/* What a connection costs that was used once and waits: memory, and CPU time of the node. */
import { connect, type Socket } from 'node:net'
import { metadataFrame } from '../chaos-tests/cluster/frames.ts'
import { prepareServer, sleep } from '../chaos-tests/cluster/processes.ts'
import { cpuSeconds, residentBytes } from './measure.ts'
import type { Figures, RowContext } from './rows.ts'

const COUNT = 5000
const SETTLE_MS = 3000

/** Connects, asks once, and leaves the connection open. */
async function open(port: number): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('connect', () => socket.write(metadataFrame('none')))
    socket.once('data', () => resolve(socket))
    socket.once('error', reject)
  })
}

export async function connectionsRow({ target, seconds }: RowContext): Promise<Figures> {
  const server = await prepareServer(target.options)
  const sockets: Socket[] = []
  try {
    await server.start()
    await sleep(SETTLE_MS)
    const before = residentBytes(server.pid)
    while (sockets.length < COUNT) sockets.push(await open(server.ports.kafka))
    await sleep(SETTLE_MS)
    const bytes = residentBytes(server.pid) - before
    const cpuBefore = cpuSeconds(server.pid)
    await sleep(seconds * 2000)
    const percent = ((cpuSeconds(server.pid) - cpuBefore) / (seconds * 2)) * 100
    return {
      'KB each': bytes / COUNT / 1024,
      'memory MB': (before + bytes) / 1e6,
      'CPU %': percent,
    }
  } finally {
    for (const socket of sockets) socket.destroy()
    await server.remove()
  }
}
