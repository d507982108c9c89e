/* Differences that are known and wanted, each with its reason. One that no longer occurs is told. */
import type { Difference } from './compare.ts'

export interface Known {
  readonly question: RegExp
  readonly path: RegExp
  /** What Kafka and we say there; absent: anything. */
  readonly kafka?: RegExp
  readonly ours?: RegExp
  readonly reason: string
}

export const KNOWN: readonly Known[] = [
  {
    question: /CreateTopics|DescribeConfigs/,
    path: /\.configs\.(flush|flush\.policy|http\.|cluster\.id|log\.scrub\.|metrics\.partition\.level)/,
    kafka: /^absent$/,
    reason: 'settings that Kafka does not have',
  },
  {
    question: /DescribeConfigs/,
    path: /\.configs\.controlled\.shutdown\.max\.wait\.ms/,
    kafka: /^absent$/,
    reason: 'controlled.shutdown.max.wait.ms, which bounds how long a node hands over its leaders',
  },
  {
    question: /DescribeConfigs/,
    path: /\.configs\.(log\.dirs?|(advertised\.)?listeners|controller\.quorum\.voters)\./,
    reason: 'each server has its own directories and ports',
  },
  {
    question: /DescribeConfigs/,
    path: /\.configs\.(min\.insync\.replicas|broker\.(session|heartbeat)\.[a-z.]+)\./,
    reason: 'defaults of ours: two replicas have a record, and a dead broker is noticed in 1.2 s',
  },
  {
    question: /DescribeConfigs/,
    path: /\.configs\.(controller\.listener\.names|process\.roles)\.synonyms/,
    kafka: /^absent$/,
    reason: 'what Kafka wants to be told has a default',
  },
  {
    question: /DescribeConfigs/,
    path: /\.configs\.(share\.coordinator\.state\.topic\.|listener\.security\.protocol\.map)/,
    reason: 'only Kafka was told these when it was started',
  },
  {
    question: /^/,
    path: /[eE]rrorMessage$/,
    kafka: /^(null|"")$/,
    ours: /^words$/,
    reason: 'a reason in words where Kafka gives the code alone',
  },
  {
    question: /no time \| CreateTopics/,
    path: /errorCode$/,
    kafka: /^REQUEST_TIMED_OUT$/,
    reason: 'a topic is made even if nobody waits: time-outs bound the answer, not the decision',
  },
  {
    question: /to validate \| CreateTopics/,
    path: /topicId$/,
    reason: 'no id for a topic that is not made',
  },
  {
    question: /Metadata/,
    path: /auto\.errorCode$/,
    kafka: /^UNKNOWN_TOPIC_OR_PARTITION$/,
    ours: /^NONE$/,
    reason: 'a topic that Metadata makes is in the same answer, not only in the next',
  },
  {
    question: /by (an unknown )?(id|id and name|neither) \| Metadata/,
    path: /^(brokers\.1|clusterId|controllerId)$/,
    kafka: /^(absent|null|-1)$/,
    reason: 'topics asked for by id before v12 are refused one by one, the rest is answered',
  },
  {
    question: /(by neither \| Metadata|bad names \| DescribeTopicPartitions|unknown operation)/,
    path: /./,
    reason: 'what makes no sense is refused by name where Kafka says UNKNOWN_SERVER_ERROR',
  },
  {
    question: /null records \| Produce/,
    path: /^$/,
    kafka: /^no answer: timeout$/,
    reason: 'records that are null are refused: Kafka never answers',
  },
  {
    question: /no time \| Produce/,
    path: /errorCode$/,
    kafka: /^NONE$/,
    ours: /^REQUEST_TIMED_OUT$/,
    reason: 'acks=all waits for the disk, which takes longer than no time',
  },
  {
    question: /record-offset-delta-(one|negative) \| Produce/,
    path: /./,
    reason: 'records whose offsets contradict their batch are not stored',
  },
  {
    question: /\| Produce/,
    path: /logStartOffset$/,
    kafka: /^-1$/,
    ours: /^0$/,
    reason: "the log's start is told in a refusal too",
  },
  {
    question: /first again \| Produce/,
    path: /logAppendTimeMs$/,
    reason: 'a repeated batch is answered as it was the first time',
  },
  {
    question: /an unknown broker.* \| .*AlterConfigs/,
    path: /errorCode$/,
    kafka: /^INVALID_REQUEST$/,
    ours: /^BROKER_ID_NOT_REGISTERED$/,
    reason: 'any broker takes the settings of another one, if there is such a broker',
  },
  {
    question: /a logger.* \| IncrementalAlterConfigs/,
    path: /errorCode$/,
    reason: 'loggers have no levels of their own',
  },
  {
    question: /(unknown member|a stranger) \| JoinGroup/,
    path: /^memberId$/,
    kafka: /^""$/,
    reason: 'a refused member is told the id that it gave',
  },
  {
    question: /Fetch$/,
    path: /abortedTransactions$/,
    kafka: /^\{\}$/,
    ours: /^null$/,
    reason: 'no list of aborted transactions with a refusal',
  },
  {
    question: /no partitions \| OffsetCommit/,
    path: /^topics\./,
    kafka: /^absent$/,
    reason: 'a topic without partitions is in the answer as in the request',
  },
]

export function knownOf(difference: Difference): Known | undefined {
  return KNOWN.find(
    ({ question, path, kafka = /^/, ours = /^/ }) =>
      question.test(difference.question) &&
      path.test(difference.path) &&
      kafka.test(difference.kafka) &&
      ours.test(difference.ours),
  )
}
