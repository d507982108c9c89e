"""The program that a newcomer types, with the node's address in place of localhost:9092."""
import common

PROGRAM = '''
from kafka import KafkaProducer, KafkaConsumer
producer = KafkaProducer(bootstrap_servers='localhost:9092')
producer.send('test_topic', key=b'key', value=b'value').get(10)
for m in KafkaConsumer('test_topic', bootstrap_servers='localhost:9092', auto_offset_reset='earliest', consumer_timeout_ms=3000):
    print(m.partition, m.offset, m.key, m.value)
'''


def run():
    import subprocess
    import sys
    text = PROGRAM.replace('localhost:9092', common.BOOTSTRAP.replace('127.0.0.1', 'localhost'))
    done = subprocess.run([sys.executable, '-c', text], capture_output=True, text=True, timeout=60)
    common.expect_equal(done.returncode, 0, done.stderr[-2000:])
    lines = done.stdout.strip().splitlines()
    common.expect(lines and lines[-1].endswith("b'key' b'value'"), f'printed {done.stdout!r}')
    return lines[-1]


common.check('the program of the first five minutes', run)
