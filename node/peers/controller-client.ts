/**
 * The controller for whoever needs it on this node, wherever it is.
 *
 * Requests are repeated until their deadline when the controller moves, dies or can't be reached,
 * also when it is not known whether the first try was carried out. All of them bear that:
 * registrations, heartbeats, elections, reassignments, whole and incremental configs, features,
 * reports and reads have the same effect twice; AlterPartition is checked against the partition's
 * epoch; of producer ids a block is lost at worst. What a repeat of CreateTopics, DeleteTopics,
 * CreatePartitions or UnregisterBroker says of the work of the first try is put right (repeats.ts).
 */
import { createTopics } from '../../kafka/api/19-create-topics.ts'
import { deleteTopics } from '../../kafka/api/20-delete-topics.ts'
import { alterConfigs } from '../../kafka/api/33-alter-configs.ts'
import { createPartitions } from '../../kafka/api/37-create-partitions.ts'
import { electLeaders } from '../../kafka/api/43-elect-leaders.ts'
import { incrementalAlterConfigs } from '../../kafka/api/44-incremental-alter-configs.ts'
import { alterPartitionReassignments } from '../../kafka/api/45-alter-partition-reassignments.ts'
import { listPartitionReassignments } from '../../kafka/api/46-list-partition-reassignments.ts'
import { alterPartition } from '../../kafka/api/56-alter-partition.ts'
import { updateFeatures } from '../../kafka/api/57-update-features.ts'
import { brokerRegistration } from '../../kafka/api/62-broker-registration.ts'
import { brokerHeartbeat } from '../../kafka/api/63-broker-heartbeat.ts'
import { unregisterBroker } from '../../kafka/api/64-unregister-broker.ts'
import { allocateProducerIds } from '../../kafka/api/67-allocate-producer-ids.ts'
import type { Api } from '../../kafka/api/define.ts'
import type { Struct, Written } from '../../kafka/wire/schema.ts'
import type {
  Caller,
  ControllerPort,
  ControllerRequests,
  FailedReplica,
} from '../metadata/controller-port.ts'
import { Forwarder, type ForwarderParts } from './forwarder.ts'
import {
  amendCreatePartitions,
  amendCreateTopics,
  amendDeleteTopics,
  amendUnregisterBroker,
  type Images,
} from './repeats.ts'

type Requests = ControllerRequests

/** A client's own limit counts, within these. */
const TIMEOUT_MS_MIN = 1000
const TIMEOUT_MS_MAX = 60_000
const ADMIN_TIMEOUT_MS = 30_000
/** Between brokers and the controller: whoever asks asks again. */
const BROKER_TIMEOUT_MS = 5000

export interface ControllerClientParts extends ForwarderParts {
  /** Resolves, within a bound, when the other nodes know of the metadata up to an offset. */
  readonly whenSpread?: (offset: number) => Promise<void>
  /** Answers when this node leads. */
  readonly controller: ControllerPort
}

export class ControllerClient implements ControllerPort {
  readonly #forwarder: Forwarder
  readonly #local: ControllerPort
  readonly #image: () => Images['before']
  readonly #whenSpread: ControllerClientParts['whenSpread']

  constructor(parts: ControllerClientParts) {
    this.#forwarder = new Forwarder(parts)
    this.#local = parts.controller
    this.#image = () => parts.quorum.image
    this.#whenSpread = parts.whenSpread
  }

  /** A request of the quorum itself (DescribeQuorum, AddRaftVoter, ...), to the node that leads. */
  ask<Q extends Struct, S extends Struct>(
    api: Api<Q, S>,
    request: Written<Q>,
    local: () => Promise<Written<S>>,
  ): Promise<Written<S>> {
    return this.#forwarder.request(api, request, { timeoutMs: ADMIN_TIMEOUT_MS, local })
  }

  /** Requests that are under way are given up. */
  close(): void {
    this.#forwarder.close()
  }

  createTopics(caller: Caller, request: Requests[19][0]): Promise<Requests[19][1]> {
    const local = () => this.#local.createTopics(caller, request)
    return this.#amended(createTopics, request, { local, amend: amendCreateTopics })
  }

  deleteTopics(caller: Caller, request: Requests[20][0]): Promise<Requests[20][1]> {
    const local = () => this.#local.deleteTopics(caller, request)
    return this.#amended(deleteTopics, request, { local, amend: amendDeleteTopics })
  }

  createPartitions(caller: Caller, request: Requests[37][0]): Promise<Requests[37][1]> {
    const local = () => this.#local.createPartitions(caller, request)
    return this.#amended(createPartitions, request, { local, amend: amendCreatePartitions })
  }

  unregisterBroker(caller: Caller, request: Requests[64][0]): Promise<Requests[64][1]> {
    const local = () => this.#local.unregisterBroker(caller, request)
    return this.#amended(unregisterBroker, request, { local, amend: amendUnregisterBroker })
  }

  alterConfigs(caller: Caller, request: Requests[33][0]): Promise<Requests[33][1]> {
    return this.#admin(alterConfigs, request, () => this.#local.alterConfigs(caller, request))
  }

  incrementalAlterConfigs(caller: Caller, request: Requests[44][0]): Promise<Requests[44][1]> {
    const local = () => this.#local.incrementalAlterConfigs(caller, request)
    return this.#admin(incrementalAlterConfigs, request, local)
  }

  electLeaders(caller: Caller, request: Requests[43][0]): Promise<Requests[43][1]> {
    return this.#admin(electLeaders, request, () => this.#local.electLeaders(caller, request))
  }

  alterPartitionReassignments(caller: Caller, request: Requests[45][0]): Promise<Requests[45][1]> {
    const local = () => this.#local.alterPartitionReassignments(caller, request)
    return this.#admin(alterPartitionReassignments, request, local)
  }

  listPartitionReassignments(caller: Caller, request: Requests[46][0]): Promise<Requests[46][1]> {
    const local = () => this.#local.listPartitionReassignments(caller, request)
    const options = { timeoutMs: ADMIN_TIMEOUT_MS, local }
    return this.#forwarder.request(listPartitionReassignments, request, options)
  }

  updateFeatures(caller: Caller, request: Requests[57][0]): Promise<Requests[57][1]> {
    return this.#admin(updateFeatures, request, () => this.#local.updateFeatures(caller, request))
  }

  alterPartition(request: Requests[56][0]): Promise<Requests[56][1]> {
    return this.#broker(alterPartition, request, () => this.#local.alterPartition(request))
  }

  registerBroker(request: Requests[62][0]): Promise<Requests[62][1]> {
    return this.#broker(brokerRegistration, request, () => this.#local.registerBroker(request))
  }

  /** Sessions (session.ts) do it better: this is for tests and for those that have none. */
  heartbeat(request: Requests[63][0], loopProgress: number): Promise<Requests[63][1]> {
    const local = () => this.#local.heartbeat(request, loopProgress)
    return this.#broker(brokerHeartbeat, request, local)
  }

  allocateProducerIds(request: Requests[67][0]): Promise<Requests[67][1]> {
    const local = () => this.#local.allocateProducerIds(request)
    return this.#broker(allocateProducerIds, request, local)
  }

  reportFailedReplica(report: FailedReplica): Promise<number> {
    const { reason, ...where } = report
    const message = { failedReplica: { ...where, isDamaged: reason === 'damaged' } }
    const local = () => this.#local.reportFailedReplica(report)
    return this.#forwarder.message('a failed replica', message, {
      timeoutMs: BROKER_TIMEOUT_MS,
      local,
    })
  }

  async #amended<Q extends Struct, S extends Struct, R extends Written<Q>>(
    api: Api<Q, S>,
    request: R & { readonly timeoutMs?: number },
    how: {
      readonly local: () => Promise<Written<S>>
      readonly amend: (images: Images, request: R, response: Written<S>) => Written<S>
    },
  ): Promise<Written<S>> {
    const attempts = { isRepeat: false }
    const before = this.#image()
    const timeoutMs = bounded(request.timeoutMs ?? ADMIN_TIMEOUT_MS)
    const options = { timeoutMs, local: how.local, attempts }
    const response = await this.#forwarder.request(api, request, options)
    await this.#whenSpread?.(this.#image().offset)
    if (!attempts.isRepeat) return response
    return how.amend({ before, after: this.#image() }, request, response)
  }

  async #admin<Q extends Struct, S extends Struct>(
    api: Api<Q, S>,
    request: Written<Q>,
    local: () => Promise<Written<S>>,
  ): Promise<Written<S>> {
    const options = { timeoutMs: ADMIN_TIMEOUT_MS, local }
    const response = await this.#forwarder.request(api, request, options)
    await this.#whenSpread?.(this.#image().offset)
    return response
  }

  #broker<Q extends Struct, S extends Struct>(
    api: Api<Q, S>,
    request: Written<Q>,
    local: () => Promise<Written<S>>,
  ): Promise<Written<S>> {
    return this.#forwarder.request(api, request, { timeoutMs: BROKER_TIMEOUT_MS, local })
  }
}

function bounded(timeoutMs: number): number {
  return Math.min(Math.max(timeoutMs, TIMEOUT_MS_MIN), TIMEOUT_MS_MAX)
}
