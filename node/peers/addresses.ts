/** Where the other nodes are: voters as the settings say, others as they have registered. */
import type { VoterAddress } from '../config/listeners.ts'
import type { MetadataImage } from '../metadata/image.ts'
import type { PeerAddress } from './link.ts'

/**
 * All nodes that are known, this one too. `controllerListeners`: controller.listener.names, under
 * one of which every node registers where other nodes reach it.
 */
export function peerAddresses(
  voters: readonly VoterAddress[],
  image: Pick<MetadataImage, 'brokers'>,
  controllerListeners: readonly string[],
): Map<number, PeerAddress> {
  const addresses = new Map<number, PeerAddress>()
  for (const broker of image.brokers.values()) {
    for (const name of controllerListeners) {
      const endpoint = broker.endpoints.find((one) => one.name === name)
      if (endpoint === undefined) continue
      addresses.set(broker.id, { host: endpoint.host, port: endpoint.port })
      break
    }
  }
  for (const { id, host, port } of voters) addresses.set(id, { host, port })
  return addresses
}
