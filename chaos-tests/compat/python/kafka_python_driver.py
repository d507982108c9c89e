"""kafka-python against one node."""
import signal
import sys
import time

import common
from common import BASE_TIMESTAMP_MS, BOOTSTRAP, CODECS, RUN, check, expect, expect_equal, expect_error
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

PREFIX = f'{RUN}-kafka-python'
admin = None


def producer(**options):
    return KafkaProducer(bootstrap_servers=BOOTSTRAP, **options)


def consumer(*topics, **options):
    options.setdefault('auto_offset_reset', 'earliest')
    options.setdefault('enable_auto_commit', False)
    return KafkaConsumer(*topics, bootstrap_servers=BOOTSTRAP, **options)


def create(name, partitions=1, configs=None):
    topic = f'{PREFIX}-{name}'
    admin.create_topics({topic: {'num_partitions': partitions, 'replication_factor': common.REPLICAS,
                                 'configs': configs or {}}}, wait_for_metadata=True)
    return topic


def read(topic, count, limit_s=20, partitions=None, **options):
    """The first `count` records of the topic's partitions, from the beginning."""
    with_close = consumer(**options)
    try:
        with_close.assign([TopicPartition(topic, p) for p in
                           partitions or sorted(with_close.partitions_for_topic(topic))])
        with_close.seek_to_beginning()
        records = []
        until = time.monotonic() + limit_s
        while len(records) < count and time.monotonic() < until:
            for batch in with_close.poll(timeout_ms=500).values():
                records.extend(batch)
        expect(len(records) >= count, f'read {len(records)} of {count} records of {topic}')
        return records
    finally:
        with_close.close()


def codec_of(name):
    return None if name == 'none' else name


def codecs():
    for codec in CODECS:
        def run():
            topic = create(f'codec-{codec}')
            with_close = producer(compression_type=codec_of(codec), linger_ms=20)
            values = [f'{codec}-{i}-'.encode() + b'y' * (i % 300) for i in range(500)]
            for value in values:
                with_close.send(topic, value=value)
            with_close.flush()
            with_close.close()
            expect_equal([r.value for r in read(topic, 500)], values, 'values')
        check(f'produce and consume: {codec}', run)


def shapes():
    topic = create('shapes')
    with_close = producer()
    sent = [(b'k', b'v', [('h', b'1'), ('h', b''), ('empty', b'')]), (None, b'no key', []),
            (b'tombstone', None, []), (b'', b'', []), (b'only a key', None, [('only', b'header')])]
    for key, value, headers in sent:
        metadata = with_close.send(topic, key=key, value=value, headers=headers).get(10)
        expect(metadata.offset >= 0, 'no offset')
    with_close.close()
    found = [(r.key, r.value, [tuple(h) for h in r.headers]) for r in read(topic, len(sent))]
    expect_equal(found, sent, 'records')


def big():
    topic = create('big')
    with_close = producer(max_request_size=2_000_000)
    value = bytes(range(256)) * 3906
    with_close.send(topic, value=value).get(20)
    expect_equal(read(topic, 1)[0].value == value, True, 'the 1 MB value came back')
    error = expect_error(lambda: with_close.send(topic, value=b'z' * 1_500_000).get(20),
                         'MessageSizeTooLarge', 'RecordTooLarge', 'MESSAGE_TOO_LARGE')
    with_close.close()
    return f'{type(error).__name__}'


def idempotent():
    topic = create('idempotent')
    with_close = producer(enable_idempotence=True, acks='all')
    futures = [with_close.send(topic, value=str(i).encode()) for i in range(1000)]
    with_close.flush()
    expect_equal([f.get(10).offset for f in futures], list(range(1000)), 'offsets')
    with_close.close()
    expect_equal([r.value for r in read(topic, 1000)], [str(i).encode() for i in range(1000)], 'values')


def timestamps():
    topic = create('timestamps')
    with_close = producer()
    for i in range(10):
        with_close.send(topic, value=b'%d' % i, timestamp_ms=BASE_TIMESTAMP_MS + i * 1000)
    with_close.flush()
    with_close.close()
    records = read(topic, 10)
    expect_equal([r.timestamp for r in records], [BASE_TIMESTAMP_MS + i * 1000 for i in range(10)],
                 'timestamps')
    partition = TopicPartition(topic, 0)
    with_close = consumer()
    try:
        found = with_close.offsets_for_times({partition: BASE_TIMESTAMP_MS + 4500})
        expect_equal((found[partition].offset, found[partition].timestamp),
                     (5, BASE_TIMESTAMP_MS + 5000), 'offset for a time')
        expect_equal(with_close.beginning_offsets([partition])[partition], 0, 'beginning')
        expect_equal(with_close.end_offsets([partition])[partition], 10, 'end')
        late = with_close.offsets_for_times({partition: BASE_TIMESTAMP_MS + 99_000_000})
        expect_equal(late[partition], None, 'offset for a late time')
    finally:
        with_close.close()


def commit_resume():
    topic = create('resume', 1)
    with_close = producer()
    for i in range(20):
        with_close.send(topic, value=b'%d' % i)
    with_close.flush()
    with_close.close()
    group = f'{PREFIX}-resume'

    def take(count):
        values = []
        member = consumer(topic, group_id=group, max_poll_records=count, session_timeout_ms=6000)
        until = time.monotonic() + 20
        while len(values) < count and time.monotonic() < until:
            for batch in member.poll(timeout_ms=500, max_records=count - len(values)).values():
                values.extend(r.value for r in batch)
        last = int(values[-1]) + 1
        member.commit({TopicPartition(topic, 0): OffsetAndMetadata(last, 'note', -1)})
        committed = member.committed(TopicPartition(topic, 0), metadata=True)
        expect_equal((committed.offset, committed.metadata), (last, 'note'), 'committed')
        member.close()
        return values

    expect_equal(take(7), [b'%d' % i for i in range(7)], 'first part')
    expect_equal(take(13), [b'%d' % i for i in range(7, 20)], 'second part')
    admin.alter_group_offsets(group, {TopicPartition(topic, 0): OffsetAndMetadata(5, '', -1)})
    expect_equal(take(2), [b'5', b'6'], 'after the reset')


def admin_topics():
    topic = create('admin', 2, {'retention.ms': '60000'})
    described = admin.describe_topics([topic])[0]
    expect_equal(len(described['partitions']), 2, 'partitions')
    expect(topic in admin.list_topics(), 'the topic is not listed')
    from kafka.admin import ConfigResource, ConfigResourceType
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)

    def value(name):
        configs = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: None})],
                                         config_filter='all')
        entry = next(iter(next(iter(configs.values())).values()))[name]
        return entry['value'] if isinstance(entry, dict) else entry

    expect_equal(value('retention.ms'), '60000', 'retention.ms at creation')
    resource.configs = {'retention.ms': '120000', 'cleanup.policy': 'compact'}
    admin.alter_configs([resource])
    expect_equal(value('retention.ms'), '120000', 'retention.ms')
    expect_equal(value('cleanup.policy'), 'compact', 'cleanup.policy')
    admin.create_partitions({topic: 5})
    expect_equal(len(admin.describe_topics([topic])[0]['partitions']), 5, 'partitions after growth')
    expect_error(lambda: admin.create_partitions({topic: 3}), 'InvalidPartitions')
    expect_error(lambda: admin.create_topics({topic: {'num_partitions': 1, 'replication_factor': 1}}),
                 'TopicAlreadyExists')
    expect_error(lambda: admin.create_topics({'bad name!': {'num_partitions': 1, 'replication_factor': 1}}),
                 'InvalidTopic')
    admin.delete_topics([topic])
    common.wait_for(lambda: topic not in admin.list_topics(), 10, 'the topic is gone')
    expect_error(lambda: admin.delete_topics([topic]), 'UnknownTopicOrPartition')


def admin_records():
    topic = create('records')
    with_close = producer()
    for i in range(10):
        with_close.send(topic, value=b'%d' % i)
    with_close.flush()
    with_close.close()
    partition = TopicPartition(topic, 0)
    admin.delete_records({partition: 4})
    records = read(topic, 6)
    expect_equal((records[0].offset, len(records)), (4, 6), 'first offset and count')
    expect_error(lambda: admin.delete_records({partition: 99}), 'OffsetOutOfRange')


def admin_groups():
    group = f'{PREFIX}-resume'
    listed = admin.list_groups()
    expect(group in str(listed), f'{group} is not in {str(listed):.400}')
    described = admin.describe_groups([group])
    expect('Empty' in str(described), f'not Empty: {str(described):.400}')
    expect(f'{PREFIX}-resume' in str(admin.list_group_offsets(group)), 'no offsets of the group')
    admin.delete_groups([group])
    expect(group not in str(admin.list_groups()), 'the group is still listed')


def refusals():
    with_close = consumer(f'{PREFIX}-no-such-topic', allow_auto_create_topics=False,
                          consumer_timeout_ms=500)
    expect(not with_close.partitions_for_topic(f'{PREFIX}-no-such-topic'), 'it has partitions')
    with_close.close()
    expect_error(lambda: admin.describe_topics([f'{PREFIX}-no-such-topic'])[0]['partitions'][0],
                 'UnknownTopic', 'IndexError')


def transactions():
    with_close = producer(transactional_id=f'{PREFIX}-tx', max_block_ms=15000)
    if not common.HAS_TRANSACTIONS:
        expect_error(lambda: with_close.init_transactions(), 'transaction', 'authoriz', 'InvalidRequest',
                     'Unsupported')
        with_close.close(timeout=1)
        return
    topic = create('transactions')
    with_close.init_transactions()
    for outcome in ('abort', 'commit'):
        with_close.begin_transaction()
        with_close.send(topic, value=outcome.encode())
        with_close.abort_transaction() if outcome == 'abort' else with_close.commit_transaction()
    with_close.close()
    expect_equal([r.value for r in read(topic, 1, isolation_level='read_committed')], [b'commit'],
                 'committed records')


def cross_write():
    topic = create('cross', len(CODECS))
    for codec in CODECS:
        with_close = producer(compression_type=codec_of(codec), linger_ms=20)
        for i in range(common.CROSS_COUNT):
            key, value, headers, timestamp = common.cross_record('kafka-python', codec, i)
            with_close.send(topic, key=key, value=value, headers=headers, timestamp_ms=timestamp,
                            partition=CODECS.index(codec))
        with_close.flush()
        with_close.close()


def cross_read(topic, count):
    return [(r.partition, r.offset, r.key, r.value, r.headers, r.timestamp)
            for r in read(topic, count)]


def member(topic, group):
    """Prints its assignment until it is told to end."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    with_close = consumer(topic, group_id=group, session_timeout_ms=6000, heartbeat_interval_ms=500)
    last = None
    while not stopped:
        with_close.poll(timeout_ms=200)
        now = sorted(p.partition for p in with_close.assignment())
        if now != last:
            last = now
            common.say(assigned=now)
    with_close.close()


if common.is_member():
    member(*sys.argv[2:4])
else:
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
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
    common.cross('kafka-python', f'{PREFIX}-cross', CODECS, cross_read)
    admin.close()
