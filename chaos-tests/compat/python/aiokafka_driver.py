"""aiokafka against one node."""
import asyncio
import signal
import sys
import time

import common
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import OffsetAndMetadata
from common import BASE_TIMESTAMP_MS, BOOTSTRAP, CODECS, RUN, check, expect, expect_equal, expect_error

PREFIX = f'{RUN}-aiokafka'
loop = asyncio.new_event_loop()


def wait(coroutine):
    return loop.run_until_complete(asyncio.wait_for(coroutine, 60))


async def with_admin(run):
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    try:
        return await run(admin)
    finally:
        await admin.close()


async def create(name, partitions=1, configs=None):
    topic = f'{PREFIX}-{name}'
    answer = await with_admin(lambda admin: admin.create_topics(
        [NewTopic(topic, partitions, common.REPLICAS, topic_configs=configs or {})]))
    code = answer.topic_errors[0][1]
    if code != 0:
        raise RuntimeError(f'create_topics answered {answer.topic_errors[0]}')
    return topic


async def send(topic, records, **options):
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, **options)
    await producer.start()
    try:
        futures = [await producer.send(topic, **record) for record in records]
        return [(await future).offset for future in futures]
    finally:
        await producer.stop()


def consumer(*topics, **options):
    options.setdefault('auto_offset_reset', 'earliest')
    options.setdefault('enable_auto_commit', False)
    return AIOKafkaConsumer(*topics, bootstrap_servers=BOOTSTRAP, **options)


async def read(topic, count, limit_s=20, partitions=1, **options):
    reader = consumer(**options)
    await reader.start()
    try:
        reader.assign([TopicPartition(topic, p) for p in range(partitions)])
        await reader.seek_to_beginning()
        records = []
        until = time.monotonic() + limit_s
        while len(records) < count and time.monotonic() < until:
            for batch in (await reader.getmany(timeout_ms=500)).values():
                records.extend(batch)
        expect(len(records) >= count, f'read {len(records)} of {count} records of {topic}')
        return records
    finally:
        await reader.stop()


def codecs():
    for codec in CODECS:
        async def run():
            topic = await create(f'codec-{codec}')
            values = [f'{codec}-{i}-'.encode() + b'y' * (i % 300) for i in range(500)]
            await send(topic, [{'value': v} for v in values],
                       compression_type=None if codec == 'none' else codec, linger_ms=20)
            expect_equal([r.value for r in await read(topic, 500)], values, 'values')
        check(f'produce and consume: {codec}', lambda: wait(run()))


async def shapes():
    topic = await create('shapes')
    sent = [(b'k', b'v', [('h', b'1'), ('h', b'')]), (None, b'no key', []),
            (b'tombstone', None, []), (b'', b'', [])]
    await send(topic, [{'key': k, 'value': v, 'headers': h} for k, v, h in sent])
    found = [(r.key, r.value, list(r.headers)) for r in await read(topic, len(sent))]
    expect_equal(found, sent, 'records')


async def big():
    topic = await create('big')
    value = bytes(range(256)) * 3906
    await send(topic, [{'value': value}], max_request_size=2_000_000)
    expect_equal((await read(topic, 1))[0].value == value, True, 'the 1 MB value came back')
    try:
        await send(topic, [{'value': b'z' * 1_500_000}], max_request_size=2_000_000)
    except Exception as error:
        expect('TooLarge' in type(error).__name__, repr(error))
        return type(error).__name__
    raise AssertionError('a record above the limit was taken')


async def idempotent():
    topic = await create('idempotent')
    offsets = await send(topic, [{'value': b'%d' % i} for i in range(1000)], enable_idempotence=True)
    expect_equal(offsets, list(range(1000)), 'offsets')
    expect_equal([r.value for r in await read(topic, 1000)], [b'%d' % i for i in range(1000)], 'values')


async def timestamps():
    topic = await create('timestamps')
    await send(topic, [{'value': b'%d' % i, 'timestamp_ms': BASE_TIMESTAMP_MS + i * 1000} for i in range(10)])
    expect_equal([r.timestamp for r in await read(topic, 10)],
                 [BASE_TIMESTAMP_MS + i * 1000 for i in range(10)], 'timestamps')
    reader = consumer()
    await reader.start()
    partition = TopicPartition(topic, 0)
    found = await reader.offsets_for_times({partition: BASE_TIMESTAMP_MS + 4500})
    expect_equal(found[partition].offset, 5, 'offset for a time')
    expect_equal((await reader.beginning_offsets([partition]), await reader.end_offsets([partition])),
                 ({partition: 0}, {partition: 10}), 'beginning and end')
    await reader.stop()


async def commit_resume():
    topic = await create('resume')
    await send(topic, [{'value': b'%d' % i} for i in range(20)])
    partition = TopicPartition(topic, 0)

    async def take(count):
        reader = consumer(topic, group_id=f'{PREFIX}-resume', session_timeout_ms=6000)
        await reader.start()
        values = [(await asyncio.wait_for(reader.getone(), 20)).value for _ in range(count)]
        await reader.commit({partition: OffsetAndMetadata(int(values[-1]) + 1, 'note')})
        expect_equal(await reader.committed(partition), int(values[-1]) + 1, 'committed')
        await reader.stop()
        return values

    expect_equal(await take(7), [b'%d' % i for i in range(7)], 'first part')
    expect_equal(await take(13), [b'%d' % i for i in range(7, 20)], 'second part')
    reader = consumer(topic, group_id=f'{PREFIX}-resume', session_timeout_ms=6000)
    await reader.start()
    await reader.commit({partition: OffsetAndMetadata(5, '')})
    await reader.stop()
    expect_equal(await take(2), [b'5', b'6'], 'after the reset')


async def until(read_value, wanted, limit_s=5):
    end = time.monotonic() + limit_s
    while (value := await read_value()) != wanted:
        expect(time.monotonic() < end, f'got {value!r}, expected {wanted!r}')
        await asyncio.sleep(0.05)


async def admin_topics():
    topic = await create('admin', 2, {'retention.ms': '60000'})

    async def run(admin):
        described = (await admin.describe_topics([topic]))[0]
        expect_equal((described['error_code'], len(described['partitions'])), (0, 2), 'description')
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic,
                                                  configs={'retention.ms': '120000'})])

        async def retention():
            answer = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
            return {entry[0]: entry[1] for entry in answer[0].resources[0][4]}['retention.ms']

        async def count():
            return len((await admin.describe_topics([topic]))[0]['partitions'])

        # A broker of Kafka answers from metadata that lag behind the controller's.
        await until(retention, '120000')
        await admin.create_partitions({topic: NewPartitions(5)})
        await until(count, 5)
        await admin.delete_topics([topic])
        expect(topic not in await admin.list_topics(), 'the topic is still listed')
    await with_admin(run)
    try:
        await create('bad name!')
    except RuntimeError as error:
        expect('17' in str(error), str(error))
    else:
        raise AssertionError('a bad name was taken')


async def admin_records():
    topic = await create('records')
    await send(topic, [{'value': b'%d' % i} for i in range(10)])
    await with_admin(lambda admin: admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(4)}))
    expect_equal((await read(topic, 6))[0].offset, 4, 'first offset')


async def admin_groups():
    group = f'{PREFIX}-resume'

    async def run(admin):
        expect(group in [g[0] for g in await admin.list_consumer_groups()], 'the group is not listed')
        described = await admin.describe_consumer_groups([group])
        expect('Empty' in str(described), f'not Empty: {described}')
        offsets = await admin.list_consumer_group_offsets(group)
        expect_equal([o.offset for o in offsets.values()], [7], 'offsets')
    await with_admin(run)


async def refusals():
    async def run(admin):
        answer = await admin.delete_topics([f'{PREFIX}-no-such-topic'])
        expect_equal(answer.topic_error_codes[0][1], 3, 'error code')
    await with_admin(run)


async def transactions():
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=f'{PREFIX}-tx')
    if not common.HAS_TRANSACTIONS:
        try:
            await asyncio.wait_for(producer.start(), 15)
        except asyncio.TimeoutError:
            raise AssertionError('a time-out instead of an error') from None
        except Exception as error:
            return repr(error)
        finally:
            await producer.stop()
        raise AssertionError('a transactional id was taken')
    topic = await create('transactions')
    await producer.start()
    for outcome in ('abort', 'commit'):
        await producer.begin_transaction()
        await producer.send_and_wait(topic, outcome.encode())
        await (producer.abort_transaction() if outcome == 'abort' else producer.commit_transaction())
    await producer.stop()
    found = await read(topic, 1, isolation_level='read_committed')
    expect_equal([r.value for r in found], [b'commit'], 'committed records')


async def cross_write():
    topic = await create('cross', len(CODECS))
    for codec in CODECS:
        records = []
        for i in range(common.CROSS_COUNT):
            key, value, headers, timestamp = common.cross_record('aiokafka', codec, i)
            records.append({'key': key, 'value': value, 'headers': headers, 'timestamp_ms': timestamp,
                            'partition': CODECS.index(codec)})
        await send(topic, records, compression_type=None if codec == 'none' else codec, linger_ms=20)


def cross_read(topic, count):
    return [(r.partition, r.offset, r.key, r.value, r.headers, r.timestamp)
            for r in wait(read(topic, count, partitions=len(CODECS)))]


async def member(topic, group):
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    reader = consumer(topic, group_id=group, session_timeout_ms=6000, heartbeat_interval_ms=500)
    await reader.start()
    last = None
    while not stopped.is_set():
        await reader.getmany(timeout_ms=200)
        now = sorted(p.partition for p in reader.assignment())
        if now != last:
            last = now
            common.say(assigned=now)
    await reader.stop()


if common.is_member():
    loop.run_until_complete(member(*sys.argv[2:4]))
else:
    codecs()
    for name, run in {
        'keys, headers, null values': shapes,
        '1 MB record; a larger one is refused': big,
        'idempotent producer': idempotent,
        'timestamps and offsets for times': timestamps,
    }.items():
        check(name, lambda: wait(run()))
    if not common.IS_FAST:
        common.group_story(__file__, wait(create('group', 12)), f'{PREFIX}-group')
    for name, run in {
        'commit, resume, reset': commit_resume,
        'admin: topics and configs': admin_topics,
        'admin: delete records': admin_records,
        'admin: groups': admin_groups,
        'unknown topic': refusals,
        'transactional id': transactions,
        'writes for the others': cross_write,
    }.items():
        check(name, lambda: wait(run()))
    common.cross('aiokafka', f'{PREFIX}-cross', CODECS, cross_read)
