import assert from 'node:assert/strict'
import { StorageError } from '../../base/errors.ts'
import { listGroups } from '../../kafka/api/16-list-groups.ts'
import { describeQuorum } from '../../kafka/api/55-describe-quorum.ts'
import { encodeRequest } from '../../kafka/forward.ts'
import { forwardRequest, forwardResponse } from '../../proto/codecs.ts'
import { CLUSTER_FORWARD } from '../../proto/methods.ts'
import type { ControllerPort } from '../metadata/controller-port.ts'
import { EMPTY_IMAGE } from '../metadata/image.ts'
import { NotLeaderError } from '../metadata/quorum.ts'
import { idOf, imageOf, partitionRecord, topicRecord } from '../metadata/testing.ts'
import { ControllerClient } from './controller-client.ts'
import { ForwardService } from './forward-service.ts'
import { ForwardFailure } from './forwarder.ts'
import { helloOf } from './hello.ts'
import { ScriptedQuorum, scripted } from './testing/controllers.ts'
import { realStage, type Stage, type StageNode, simStage, startNodes } from './testing/stage.ts'

const SEED = 919

interface Seat {
  readonly node: StageNode
  readonly quorum: ScriptedQuorum
  readonly client: ControllerClient
  methods: Partial<ControllerPort>
}

function seat(node: StageNode): Seat {
  const quorum = new ScriptedQuorum()
  const { clock, logger } = node.place
  // Looked up at each call, so that a test can change its mind.
  const local = new Proxy(scripted({}), {
    get: (target, name: keyof ControllerPort) => one.methods[name] ?? target[name],
  })
  const client = new ControllerClient({
    clock,
    self: node.self,
    peers: node.peers,
    quorum,
    controller: local,
  })
  const one: Seat = { node, quorum, client, methods: {} }
  const others = new Map([[describeQuorum.key, async () => QUORUM]])
  const service = new ForwardService({ logger, self: node.self, quorum, controller: local, others })
  node.service.routeCall(CLUSTER_FORWARD, (request) => service.answer(request))
  return one
}

const QUORUM = { errorCode: 0, errorMessage: null, topics: [], nodes: [] }
const PRODUCER_IDS = { errorCode: 0, producerIdStart: 5000, producerIdLen: 1000 }
const CREATE = {
  topics: [
    { name: 'a', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] },
    { name: 'b', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] },
  ],
  timeoutMs: 10_000,
  validateOnly: false,
}

/** Topic `a` with two partitions. */
const IMAGE_WITH_A = imageOf([
  topicRecord('a', idOf(1)),
  partitionRecord(idOf(1), 0),
  partitionRecord(idOf(1), 1),
])

class Scene {
  readonly stage: Stage
  readonly seats: Seat[] = []
  constructor(stage: Stage) {
    this.stage = stage
  }

  seat(id: number): Seat {
    const found = this.seats[id - 1]
    assert.ok(found !== undefined)
    return found
  }

  /** All nodes know that this one leads. */
  leads(id: number): void {
    for (const { quorum } of this.seats) quorum.leaderId = id
  }

  complete<T>(promise: Promise<T>): Promise<T> {
    return this.stage.complete(promise)
  }

  async end(): Promise<void> {
    for (const { client, node } of this.seats) {
      client.close()
      node.peers.close()
    }
    for (const { node } of this.seats) await node.end()
  }
}

for (const [name, start] of [
  ['simulated', () => simStage(SEED)],
  ['gRPC', realStage],
] as const) {
  describe(`node/peers/controller-client ${name}`, () => {
    let scene: Scene
    beforeEach(async () => {
      scene = new Scene(start())
      scene.seats.push(...(await startNodes(scene.stage, 2)).map(seat))
    })
    afterEach(() => scene.end())
    answerTests(() => scene)
    moveTests(() => scene)
    repeatTests(() => scene)
    refusalTests(() => scene)
  })
}

function answerTests(scene: () => Scene): void {
  it('asks the controller of this node, when this node leads', async () => {
    scene().leads(1)
    const one = scene().seat(1)
    one.methods = { allocateProducerIds: async () => PRODUCER_IDS }
    const request = { brokerId: 1, brokerEpoch: 7 }
    assert.equal(await scene().complete(one.client.allocateProducerIds(request)), PRODUCER_IDS)
  })

  it('asks the node that leads, and waits until this one has seen the change', async () => {
    scene().leads(2)
    const [one, two] = scene().seats
    two!.methods = {
      async createTopics(caller, { topics, timeoutMs }) {
        assert.deepEqual([caller, timeoutMs], [undefined, 10_000])
        two!.quorum.apply(IMAGE_WITH_A)
        return {
          topics: topics.map(({ name }) => ({
            name,
            errorCode: 0,
            errorMessage: name,
            configs: [],
          })),
        }
      },
    }
    let isAnswered = false
    const answer = one!.client.createTopics(undefined, CREATE).then((response) => {
      isAnswered = true
      return response
    })
    await scene().stage.until(() => one!.quorum.waits.length > 0)
    await scene().stage.elapse(20)
    assert.equal(isAnswered, false)
    one!.quorum.apply(IMAGE_WITH_A)
    const { topics } = await scene().complete(answer)
    assert.deepEqual(
      topics.map((topic) => [topic.name, topic.errorMessage]),
      [
        ['a', 'a'],
        ['b', 'b'],
      ],
    )
    assert.deepEqual(one!.quorum.waits, [IMAGE_WITH_A.offset])
  })

  it('passes on what is no message of Kafka', async () => {
    scene().leads(2)
    const [one, two] = scene().seats
    const report = {
      brokerId: 1,
      brokerEpoch: 2 ** 40,
      topicId: idOf(4),
      partitionIndex: 3,
      leaderEpoch: 9,
      reason: 'damaged' as const,
    }
    two!.methods = {
      async reportFailedReplica(received) {
        assert.deepEqual(received, report)
        return 74
      },
    }
    assert.equal(await scene().complete(one!.client.reportFailedReplica(report)), 74)
  })

  it('passes on requests of the quorum itself', async () => {
    scene().leads(2)
    const { client } = scene().seat(1)
    const local = () => Promise.reject(new Error('not asked'))
    const answer = await scene().complete(client.ask(describeQuorum, { topics: [] }, local))
    assert.equal(answer.errorCode, 0)
  })
}

function moveTests(scene: () => Scene): void {
  const request = { brokerId: 1, brokerEpoch: 7 }

  it('waits for a controller, and follows it', async () => {
    const [one, two] = scene().seats
    const answer = one!.client.allocateProducerIds(request)
    await scene().stage.elapse(50)
    // One believes in two, who does not lead; then one leads and loses it; then two leads.
    one!.quorum.leaderId = 2
    await scene().stage.elapse(50)
    one!.quorum.leaderId = 1
    await scene().stage.elapse(50)
    two!.methods = { allocateProducerIds: async () => PRODUCER_IDS }
    scene().leads(2)
    assert.equal((await scene().complete(answer)).producerIdStart, 5000)
  })

  it('asks the next controller when the first one dies before it answers', async () => {
    scene().leads(2)
    const [one, two] = scene().seats
    let asked = 0
    two!.methods = {
      allocateProducerIds() {
        asked++
        return new Promise(() => {})
      },
    }
    const answer = one!.client.allocateProducerIds(request)
    await scene().stage.until(() => asked === 1)
    two!.node.peers.close()
    await two!.node.end()
    one!.methods = { allocateProducerIds: async () => PRODUCER_IDS }
    one!.quorum.leaderId = 1
    assert.equal((await scene().complete(answer)).producerIdStart, 5000)
  })

  it('gives up at the deadline', async () => {
    const { client } = scene().seat(1)
    const answer = client.createTopics(undefined, { ...CREATE, timeoutMs: 0 })
    await assert.rejects(scene().complete(answer), (error: unknown) => {
      assert.ok(error instanceof NotLeaderError)
      assert.match(error.message, /CreateTopics .* no node leads/)
      return true
    })
  })

  it('gives up when it is closed', async () => {
    const { client } = scene().seat(1)
    const answer = client.allocateProducerIds(request)
    client.close()
    await assert.rejects(scene().complete(answer), NotLeaderError)
  })
}

function repeatTests(scene: () => Scene): void {
  /** The first try is carried out and not known to be; the second sees its work. */
  function loseFirstAnswer<T>(second: () => Promise<T>): () => Promise<T> {
    let tries = 0
    return () => {
      tries++
      if (tries > 1) return second()
      const two = scene().seat(2)
      two.quorum.apply(IMAGE_WITH_A)
      scene().seat(1).quorum.apply(IMAGE_WITH_A)
      return Promise.reject(new NotLeaderError('it led'))
    }
  }

  it('does not call its own work a mistake: created topics', async () => {
    scene().leads(2)
    const [one, two] = scene().seats
    const exists = (name: string) => ({ name, errorCode: 36, errorMessage: 'exists', configs: [] })
    two!.methods = {
      createTopics: loseFirstAnswer(async () => ({ topics: [exists('a'), exists('b')] })),
    }
    const { topics } = await scene().complete(one!.client.createTopics(undefined, CREATE))
    assert.deepEqual(
      topics.map(({ name, errorCode }) => [name, errorCode]),
      [
        ['a', 0],
        ['b', 36], // not there: the answer is somebody else's business
      ],
    )
    assert.deepEqual([topics[0]!.topicId, topics[0]!.numPartitions], [idOf(1), 2])
  })

  it('does not call its own work a mistake: deleted topics', async () => {
    scene().leads(2)
    const [one, two] = scene().seats
    one!.quorum.apply(IMAGE_WITH_A)
    two!.quorum.apply(IMAGE_WITH_A)
    let tries = 0
    two!.methods = {
      async deleteTopics(_caller, { topics }) {
        tries++
        const image = { ...EMPTY_IMAGE, offset: IMAGE_WITH_A.offset + 1 }
        one!.quorum.apply(image)
        two!.quorum.apply(image)
        if (tries === 1) throw new NotLeaderError('it led')
        return {
          responses: topics.map(({ name, topicId }) => ({ name, topicId, errorCode: 3 })),
        }
      },
    }
    const topics = ['a', 'never'].map((name) => ({ name, topicId: idOf(0) }))
    const request = { topics, topicNames: [], timeoutMs: 10_000 }
    const { responses } = await scene().complete(one!.client.deleteTopics(undefined, request))
    assert.deepEqual(
      responses.map(({ name, errorCode }) => [name, errorCode]),
      [
        ['a', 0],
        ['never', 3],
      ],
    )
  })

  it('says what a controller says to the first try', async () => {
    scene().leads(2)
    const [one, two] = scene().seats
    const answer = { name: 'a', errorCode: 36, errorMessage: 'exists', configs: [] }
    two!.methods = { createTopics: async () => ({ topics: [answer] }) }
    const { topics } = await scene().complete(one!.client.createTopics(undefined, CREATE))
    assert.equal(topics[0]!.errorCode, 36)
  })
}

function refusalTests(scene: () => Scene): void {
  const request = { brokerId: 1, brokerEpoch: 7 }

  it('says that the log of the controller is full', async () => {
    scene().leads(2)
    const [one, two] = scene().seats
    two!.methods = {
      allocateProducerIds: () => Promise.reject(new StorageError('ENOSPC', '/data', 'write')),
    }
    await assert.rejects(scene().complete(one!.client.allocateProducerIds(request)), (error) => {
      assert.ok(error instanceof StorageError)
      assert.equal(error.code, 'ENOSPC')
      assert.match(error.message, /node 2/)
      return true
    })
  })

  it('does not try again what failed for another reason', async () => {
    scene().leads(2)
    const [one, two] = scene().seats
    let tries = 0
    two!.methods = {
      allocateProducerIds() {
        tries++
        return Promise.reject(new Error('a mistake'))
      },
    }
    const answer = scene().complete(one!.client.allocateProducerIds(request))
    await assert.rejects(answer, (error) => error instanceof ForwardFailure)
    assert.equal(tries, 1)
    assert.ok(two!.node.place.lines.some(({ level }) => level === 'error'))
  })

  it('answers strangers with a sentence', async () => {
    scene().leads(2)
    const [one, two] = scene().seats
    two!.node.clusterId = 'cluster-b'
    const call = async (bytes: Buffer) => {
      const peer = one!.node.peers.peer(2)
      return forwardResponse.decode(await scene().complete(peer.call(CLUSTER_FORWARD, bytes, 5000)))
    }
    const stranger = { ...one!.node.self, clusterId: () => 'cluster-a' }
    for (const [bytes, sentence] of [
      [forwardRequest.encode({ hello: helloOf(stranger, 2) }), /node 1 is of cluster cluster-a/],
      [forwardRequest.encode({}), /without a hello/],
      [forwardRequest.encode({ hello: helloOf(one!.node.self, 2) }), /message of 0 bytes/],
      [forwardRequest.encode(groupsFrom(one!)), /ListGroups is not for the controller/],
      [Buffer.from('ffff', 'hex'), /no ForwardRequest/],
    ] as const) {
      const response = await call(bytes)
      assert.equal(response.outcome, 'FORBIDDEN')
      assert.match(response.sentence, sentence)
    }
  })
}

/** A request that clients send to brokers. */
function groupsFrom({ node }: Seat) {
  const request = encodeRequest(listGroups, { statesFilter: [], typesFilter: [] })
  return { hello: helloOf(node.self, 2), request }
}
