"""confluent-kafka (librdkafka) against one node."""
import signal
import sys
import time

import common
from common import BASE_TIMESTAMP_MS, BOOTSTRAP, CODECS, RUN, check, expect, expect_equal, expect_error
from confluent_kafka import (OFFSET_BEGINNING, TIMESTAMP_CREATE_TIME, Consumer,
                             ConsumerGroupTopicPartitions, KafkaException, Producer, TopicCollection,
                             TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource,
                                   NewPartitions, NewTopic, OffsetSpec)

PREFIX = f'{RUN}-confluent'
admin = None


def producer(**options):
    return Producer({'bootstrap.servers': BOOTSTRAP, 'message.timeout.ms': 20000,
                     **{name.replace('_', '.'): value for name, value in options.items()}})


def consumer(group=None, **options):
    return Consumer({'bootstrap.servers': BOOTSTRAP, 'group.id': group or f'{PREFIX}-unused',
                     'auto.offset.reset': 'earliest', 'enable.auto.commit': False,
                     **{name.replace('_', '.'): value for name, value in options.items()}})


def one(futures):
    return next(iter(futures.values())).result(20)


def create(name, partitions=1, configs=None):
    topic = f'{PREFIX}-{name}'
    one(admin.create_topics([NewTopic(topic, partitions, common.REPLICAS, config=configs or {})]))
    common.wait_for(lambda: topic in admin.list_topics(timeout=10).topics, 10, f'{topic} appears')
    return topic


def send(with_close, topic, records):
    """Produces dicts, waits for every report, gives the offsets."""
    offsets = []
    errors = []

    def report(error, message):
        errors.append(error) if error else offsets.append(message.offset())
    for record in records:
        with_close.produce(topic, on_delivery=report, **record)
        with_close.poll(0)
    left = with_close.flush(30)
    if errors:
        raise KafkaException(errors[0])
    expect_equal((left, len(offsets)), (0, len(records)), 'undelivered, delivered')
    return offsets


def read(topic, count, limit_s=20, **options):
    with_close = consumer(**options)
    try:
        partitions = with_close.list_topics(topic, 10).topics[topic].partitions
        with_close.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
        messages = []
        until = time.monotonic() + limit_s
        while len(messages) < count and time.monotonic() < until:
            for message in with_close.consume(count - len(messages), 0.5):
                expect(message.error() is None, str(message.error()))
                messages.append(message)
        expect(len(messages) >= count, f'read {len(messages)} of {count} records of {topic}')
        return messages
    finally:
        with_close.close()


def codecs():
    for codec in CODECS:
        def run():
            topic = create(f'codec-{codec}')
            values = [f'{codec}-{i}-'.encode() + b'y' * (i % 300) for i in range(500)]
            send(producer(compression_type=codec, linger_ms=20), topic, [{'value': v} for v in values])
            expect_equal([m.value() for m in read(topic, 500)], values, 'values')
        check(f'produce and consume: {codec}', run)


def shapes():
    topic = create('shapes')
    sent = [(b'k', b'v', [('h', b'1'), ('h', b''), ('null', None)]), (None, b'no key', None),
            (b'tombstone', None, None), (b'', b'', None), (None, None, [('only', b'header')])]
    send(producer(), topic, [{'key': k, 'value': v, **({'headers': h} if h else {})} for k, v, h in sent])
    expect_equal([(m.key(), m.value(), m.headers()) for m in read(topic, len(sent))], sent, 'records')


def big():
    topic = create('big')
    value = bytes(range(256)) * 3906
    large = producer(message_max_bytes=2_000_000)
    send(large, topic, [{'value': value}])
    expect_equal(read(topic, 1)[0].value() == value, True, 'the 1 MB value came back')
    error = expect_error(lambda: send(large, topic, [{'value': b'z' * 1_500_000}]), 'MSG_SIZE_TOO_LARGE')
    return error.args[0].name()


def idempotent():
    topic = create('idempotent')
    offsets = send(producer(enable_idempotence=True), topic, [{'value': b'%d' % i} for i in range(2000)])
    expect_equal(offsets, list(range(2000)), 'offsets')
    expect_equal([m.value() for m in read(topic, 2000)], [b'%d' % i for i in range(2000)], 'values')


def timestamps():
    topic = create('timestamps')
    send(producer(), topic, [{'value': b'%d' % i, 'timestamp': BASE_TIMESTAMP_MS + i * 1000} for i in range(10)])
    expect_equal([m.timestamp() for m in read(topic, 10)],
                 [(TIMESTAMP_CREATE_TIME, BASE_TIMESTAMP_MS + i * 1000) for i in range(10)], 'timestamps')
    with_close = consumer()
    found = with_close.offsets_for_times([TopicPartition(topic, 0, BASE_TIMESTAMP_MS + 4500)], 10)
    expect_equal(found[0].offset, 5, 'offset for a time')
    expect_equal(with_close.get_watermark_offsets(TopicPartition(topic, 0), 10), (0, 10), 'watermarks')
    with_close.close()
    partition = TopicPartition(topic, 0)
    newest = one(admin.list_offsets({partition: OffsetSpec.max_timestamp()}))
    expect_equal((newest.offset, newest.timestamp), (9, BASE_TIMESTAMP_MS + 9000), 'max timestamp')


def commit_resume():
    topic = create('resume')
    send(producer(), topic, [{'value': b'%d' % i} for i in range(20)])
    group = f'{PREFIX}-resume'

    def take(count):
        member = consumer(group, session_timeout_ms=6000)
        member.subscribe([topic])
        values = []
        until = time.monotonic() + 20
        while len(values) < count and time.monotonic() < until:
            message = member.poll(0.5)
            if message is not None and message.error() is None:
                values.append(message.value())
        last = int(values[-1]) + 1
        member.commit(offsets=[TopicPartition(topic, 0, last)], asynchronous=False)
        expect_equal(member.committed([TopicPartition(topic, 0)], 10)[0].offset, last, 'committed')
        member.close()
        return values

    expect_equal(take(7), [b'%d' % i for i in range(7)], 'first part')
    expect_equal(take(13), [b'%d' % i for i in range(7, 20)], 'second part')
    one(admin.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 5)])]))
    expect_equal(take(2), [b'5', b'6'], 'after the reset')


def admin_topics():
    topic = create('admin', 2, {'retention.ms': '60000'})
    described = one(admin.describe_topics(TopicCollection([topic])))
    expect_equal((described.name, len(described.partitions)), (topic, 2), 'description')
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)

    def value(name):
        return one(admin.describe_configs([resource]))[name].value

    expect_equal(value('retention.ms'), '60000', 'retention.ms at creation')
    one(admin.incremental_alter_configs([ConfigResource(
        ConfigResource.Type.TOPIC, topic, incremental_configs=[
            ConfigEntry('retention.ms', '120000', incremental_operation=AlterConfigOpType.SET),
            ConfigEntry('cleanup.policy', 'compact', incremental_operation=AlterConfigOpType.APPEND)])]))
    expect_equal((value('retention.ms'), value('cleanup.policy')), ('120000', 'delete,compact'), 'configs')
    expect_error(lambda: one(admin.incremental_alter_configs([ConfigResource(
        ConfigResource.Type.TOPIC, topic, incremental_configs=[
            ConfigEntry('retention.ms', 'soon', incremental_operation=AlterConfigOpType.SET)])])),
        'INVALID_CONFIG')
    one(admin.create_partitions([NewPartitions(topic, 5)]))
    common.wait_for(lambda: len(admin.list_topics(topic, 10).topics[topic].partitions) == 5, 10, 'growth')
    expect_error(lambda: one(admin.create_partitions([NewPartitions(topic, 3)])), 'INVALID_PARTITIONS')
    expect_error(lambda: create('admin'), 'TOPIC_ALREADY_EXISTS')
    expect_error(lambda: create('bad name!'), 'TOPIC_EXCEPTION')
    one(admin.delete_topics([topic]))
    common.wait_for(lambda: topic not in admin.list_topics(timeout=10).topics, 10, 'the topic is gone')
    expect_error(lambda: one(admin.delete_topics([topic])), 'UNKNOWN_TOPIC')
    cluster = admin.describe_cluster().result(10)
    expect(len(cluster.nodes) >= 1 and cluster.cluster_id, 'no cluster')


def admin_records():
    topic = create('records')
    send(producer(), topic, [{'value': b'%d' % i} for i in range(10)])
    deleted = one(admin.delete_records([TopicPartition(topic, 0, 4)]))
    expect_equal(deleted.low_watermark, 4, 'low watermark')
    expect_equal(read(topic, 6)[0].offset(), 4, 'first offset')
    expect_error(lambda: one(admin.delete_records([TopicPartition(topic, 0, 99)])), 'OFFSET_OUT_OF_RANGE')


def admin_groups():
    group = f'{PREFIX}-resume'

    def listed():
        return [g.group_id for g in admin.list_consumer_groups().result(10).valid]

    expect(group in listed(), f'{group} is not listed')
    described = one(admin.describe_consumer_groups([group]))
    expect_equal((described.group_id, described.state.name), (group, 'EMPTY'), 'description')
    offsets = one(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))
    expect(len(offsets.topic_partitions) == 1, 'offsets')
    one(admin.delete_consumer_groups([group]))
    expect(group not in listed(), 'the group is still listed')
    expect_error(lambda: one(admin.delete_consumer_groups([group])), 'GROUP_ID_NOT_FOUND')


def refusals():
    with_close = consumer(f'{PREFIX}-refused')
    with_close.subscribe([f'{PREFIX}-no-such-topic'])
    message = None
    until = time.monotonic() + 15
    while message is None and time.monotonic() < until:
        message = with_close.poll(0.5)
    expect(message is not None and message.error() is not None, 'no error')
    expect_equal(message.error().name(), 'UNKNOWN_TOPIC_OR_PART', 'error')
    with_close.close()


def transactions():
    with_close = producer(transactional_id=f'{PREFIX}-tx')
    if not common.HAS_TRANSACTIONS:
        error = expect_error(lambda: with_close.init_transactions(15), 'KafkaError')
        expect('TIMED_OUT' not in str(error), f'a time-out instead of an error: {error}')
        return str(error)
    topic = create('transactions')
    with_close.init_transactions(15)
    for outcome in ('abort', 'commit'):
        with_close.begin_transaction()
        with_close.produce(topic, value=outcome.encode())
        with_close.flush(10)
        with_close.abort_transaction(10) if outcome == 'abort' else with_close.commit_transaction(10)
    expect_equal([m.value() for m in read(topic, 1, isolation_level='read_committed')], [b'commit'],
                 'committed records')


def cross_write():
    topic = create('cross', len(CODECS))
    for codec in CODECS:
        records = []
        for i in range(common.CROSS_COUNT):
            key, value, headers, timestamp = common.cross_record('confluent-kafka', codec, i)
            records.append({'key': key, 'value': value, 'headers': headers, 'timestamp': timestamp,
                            'partition': CODECS.index(codec)})
        send(producer(compression_type=codec, linger_ms=20), topic, records)


def cross_read(topic, count):
    return [(m.partition(), m.offset(), m.key(), m.value(), m.headers(), m.timestamp()[1])
            for m in read(topic, count)]


def member(topic, group):
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    with_close = consumer(group, session_timeout_ms=6000, heartbeat_interval_ms=500)
    with_close.subscribe([topic])
    last = None
    while not stopped:
        with_close.poll(0.2)
        now = sorted(p.partition for p in with_close.assignment())
        if now != last:
            last = now
            common.say(assigned=now)
    with_close.close()


if common.is_member():
    member(*sys.argv[2:4])
else:
    admin = AdminClient({'bootstrap.servers': BOOTSTRAP})
    codecs()
    check('keys, headers, null values', shapes)
    check('1 MB record; a larger one is refused', big)
    check('idempotent producer', idempotent)
    check('timestamps and offsets for times', timestamps)
    if not common.IS_FAST:
        common.group_story(__file__, create('group', 12), f'{PREFIX}-group')
    check('commit, resume, reset', commit_resume)
    check('admin: topics and configs', admin_topics)
    check('admin: delete records', admin_records)
    check('admin: groups', admin_groups)
    check('unknown topic', refusals)
    check('transactional id', transactions)
    check('writes for the others', cross_write)
    common.cross('confluent-kafka', f'{PREFIX}-cross', CODECS, cross_read)
