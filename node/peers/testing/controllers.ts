/** Controllers and quorums that do what a test says. */
import type { ControllerPort } from '../../metadata/controller-port.ts'
import { EMPTY_IMAGE, type MetadataImage } from '../../metadata/image.ts'
import { NotLeaderError } from '../../metadata/quorum.ts'

/** A quorum as one node sees it. */
export class ScriptedQuorum {
  image: MetadataImage = { ...EMPTY_IMAGE, clusterId: 'cluster' }
  leaderId = -1
  leaderEpoch = 1
  /** False: no majority answers. */
  isConfirmed = true
  onReadIndex: () => void = () => {}
  readonly waits: number[] = []
  /** So much of the log is not in the image yet. */
  unapplied = 0
  #onApplied: (() => void)[] = []

  get nextOffset(): number {
    return this.image.offset + 1 + this.unapplied
  }

  readIndex(): Promise<number> {
    this.onReadIndex()
    if (this.isConfirmed) return Promise.resolve(this.image.offset)
    return Promise.reject(new NotLeaderError('no majority answers'))
  }

  whenApplied(offset: number): Promise<void> {
    this.waits.push(offset)
    return new Promise((resolve) => {
      const look = () => {
        if (this.image.offset >= offset) resolve()
        else this.#onApplied.push(look)
      }
      look()
    })
  }

  apply(image: MetadataImage): void {
    this.image = image
    const waiting = this.#onApplied
    this.#onApplied = []
    for (const look of waiting) look()
  }
}

/** Every method that a test does not give says that another node leads. */
export function scripted(methods: Partial<ControllerPort>): ControllerPort {
  const notHere = () => Promise.reject(new NotLeaderError('not here'))
  const all: ControllerPort = {
    createTopics: notHere,
    deleteTopics: notHere,
    createPartitions: notHere,
    alterConfigs: notHere,
    incrementalAlterConfigs: notHere,
    electLeaders: notHere,
    alterPartitionReassignments: notHere,
    listPartitionReassignments: notHere,
    updateFeatures: notHere,
    unregisterBroker: notHere,
    alterPartition: notHere,
    registerBroker: notHere,
    heartbeat: notHere,
    allocateProducerIds: notHere,
    reportFailedReplica: notHere,
  }
  return { ...all, ...methods }
}
