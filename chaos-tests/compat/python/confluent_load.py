"""An idempotent librdkafka producer for the kill test: numbers its records in each partition, and at
SIGTERM flushes and writes the acknowledged offsets by partition and number to a file."""
import json
import signal
import sys
import time

from confluent_kafka import Producer

bootstrap, topic, partitions, path = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
acked = [{} for _ in range(partitions)]
failures = []
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
producer = Producer({'bootstrap.servers': bootstrap, 'enable.idempotence': True, 'acks': 'all',
                     'linger.ms': 1, 'message.timeout.ms': 60000, 'reconnect.backoff.ms': 5,
                     'reconnect.backoff.max.ms': 50, 'log_level': 2,
                     'queue.buffering.max.messages': 20000})


def report_to(partition, number):
    def report(error, message):
        if error is not None:
            failures.append(f'{partition}:{number} {error}')
        else:
            acked[partition][number] = message.offset()
    return report


number = 0
while not stopped:
    for partition in range(partitions):
        while True:
            try:
                producer.produce(topic, f'{partition}:{number}'.encode(), partition=partition,
                                 on_delivery=report_to(partition, number))
                break
            except BufferError:
                producer.poll(0.1)
    number += 1
    producer.poll(0)
    time.sleep(0.0002)
left = producer.flush(60)
if left or failures:
    sys.stderr.write(f'{left} undelivered, {len(failures)} failed, first: {failures[:3]}\n')
    sys.exit(1)
with open(path, 'w') as file:
    json.dump([[offsets[n] for n in range(len(offsets))] for offsets in acked], file)
