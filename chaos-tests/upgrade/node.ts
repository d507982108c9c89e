/* One node of the code at hand, alone, in this process and in a directory of its own. */
import { SILENT } from '../../base/logger.ts'
import { UNSCRAPED } from '../../base/metrics.ts'
import { realClock } from '../../base/real/clock.ts'
import { realWorld } from '../../base/real/world.ts'
import { Cluster } from '../../kafka/client/cluster.ts'
import { loadSettings } from '../../node/config/load.ts'
import { Node } from '../../node/node.ts'
import { GrpcRpc } from '../../proto/rpc.ts'

export const CLIENT_ID = 'upgrade'

const world = realWorld({
  logger: SILENT,
  metrics: UNSCRAPED,
  rpc: new GrpcRpc({ clock: realClock }),
})

/** `advertisedPort`: where clients find it; by default where it listens. */
export function startNode(directory: string, advertisedPort?: number): Promise<Node> {
  const settings = loadSettings({
    profile: 'test',
    flags: {
      'process.roles': 'broker,controller',
      'node.id': '1',
      listeners: 'PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0',
      'controller.listener.names': 'CONTROLLER',
      'log.dirs': directory,
      'http.address': '',
      ...(advertisedPort !== undefined && {
        'advertised.listeners': `PLAINTEXT://127.0.0.1:${advertisedPort}`,
      }),
    },
  })
  return Node.start(world, settings, (error) => {
    throw error
  })
}

export function clientOf(port: number): Cluster {
  const bootstrap = [`127.0.0.1:${port}`]
  return new Cluster(world, { bootstrap, clientId: CLIENT_ID, timeoutMs: 10_000 })
}
