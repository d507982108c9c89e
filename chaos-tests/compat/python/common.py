"""What the Python drivers share: one JSON line a check on stdout, the records that every client
writes for the others to read, and the story of a group whose members are processes of their own."""
import json
import os
import subprocess
import sys
import threading
import time
import traceback

BOOTSTRAP = os.environ.get('INTEROP_BOOTSTRAP', '')
RUN = os.environ.get('INTEROP_RUN', 'run')
REPLICAS = int(os.environ.get('INTEROP_REPLICAS', '1'))
HAS_TRANSACTIONS = os.environ.get('INTEROP_TRANSACTIONS') == 'supported'
IS_FAST = os.environ.get('INTEROP_FAST') == '1'
CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
CROSS_COUNT = 20
# Recent, or retention removes the records; the same for all drivers of a run.
BASE_TIMESTAMP_MS = int(os.environ.get('INTEROP_BASE_TIMESTAMP_MS', '0'))


def say(**event):
    sys.stdout.write(json.dumps(event) + '\n')
    sys.stdout.flush()


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def expect_equal(actual, expected, what):
    if actual != expected:
        raise AssertionError(f'{what}: got {actual!r:.800}, expected {expected!r:.800}')


def expect_error(run, *fragments):
    """Runs and expects an exception whose text has one of the fragments; gives it back."""
    try:
        result = run()
    except Exception as error:
        text = f'{type(error).__name__} {error!r} {error}'
        expect(any(fragment.lower() in text.lower() for fragment in fragments),
               f'expected an error with one of {fragments}, got {text:.800}')
        return error
    raise AssertionError(f'expected an error with one of {fragments}, got {result!r:.400}')


def wait_for(condition, limit_s, what):
    until = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f'not within {limit_s} s: {what() if callable(what) else what}')
        time.sleep(0.05)


def check(name, run):
    begin = time.monotonic()
    try:
        detail = run()
        say(check=name, ok=True, ms=round((time.monotonic() - begin) * 1000),
            detail=detail if isinstance(detail, str) else None)
    except Exception:
        say(check=name, ok=False, ms=round((time.monotonic() - begin) * 1000),
            detail=traceback.format_exc())


def skip(name, reason):
    say(check=name, skip=reason, ms=0)


def cross_record(client, codec, i):
    """Record i of the shared set: key, value, headers, timestamp."""
    key = None if i % 5 == 4 else f'key-{i}'.encode()
    value = None if i % 7 == 3 else f'value-{codec}-{i}-{"x" * (i * 13)}'.encode()
    headers = [('codec', codec.encode()), ('client', client.encode())]
    return key, value, headers, BASE_TIMESTAMP_MS + i * 1000


def expect_cross(source, records):
    """`records` has one (partition, offset, key, value, headers, timestamp) for each record."""
    by_partition = {}
    for partition, offset, key, value, headers, timestamp in records:
        by_partition.setdefault(partition, []).append((offset, key, value, headers, timestamp))
    for codec in source['codecs']:
        partition = CODECS.index(codec)
        found = sorted(by_partition.get(partition, []), key=lambda record: record[0])
        expect_equal(len(found), CROSS_COUNT, f'records of {source["client"]} with {codec}')
        for i, (offset, key, value, headers, timestamp) in enumerate(found):
            want = cross_record(source['client'], codec, i)
            what = f'record {i} of {source["client"]} with {codec}'
            expect_equal(offset, i, f'offset of {what}')
            expect_equal((key, value), want[:2], what)
            if source['headers']:
                expect_equal([tuple(h) for h in headers or []], want[2], f'headers of {what}')
            if source['timestamps']:
                expect_equal(timestamp, want[3], f'timestamp of {what}')


def cross(client, topic, codecs, read, timestamps=True, headers=True):
    """Says what was written, waits for the runner's list, and reads what every client wrote."""
    say(produced={'client': client, 'topic': topic, 'codecs': codecs, 'timestamps': timestamps,
                  'headers': headers})
    line = sys.stdin.readline()
    if not line.strip():
        return
    for source in json.loads(line)['cross']:
        check(f'reads what {source["client"]} wrote',
              lambda: expect_cross(source, read(source['topic'], len(source['codecs']) * CROSS_COUNT)))


class Member:
    """One group member in its own process, which prints its assignment whenever it changes."""

    def __init__(self, script, topic, group):
        self.assigned = None
        self.process = subprocess.Popen(
            [sys.executable, script, 'member', topic, group], stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.assigned = json.loads(line)['assigned']

    def count(self):
        return len(self.assigned or [])


def group_story(script, topic, group):
    """Three members share twelve partitions; one leaves, then one dies; the last has them all."""
    members = [Member(script, topic, group) for _ in range(3)]

    def owned(alive):
        return sorted(partition for member in alive for partition in member.assigned or [])

    def shared(alive, each):
        return owned(alive) == list(range(12)) and all(m.count() == each for m in alive)

    try:
        check('group of three shares 12 partitions', lambda: wait_for(
            lambda: shared(members, 4), 30, lambda: [m.assigned for m in members]))
        members[0].process.terminate()
        check('group: a member leaves', lambda: wait_for(
            lambda: shared(members[1:], 6), 20, lambda: [m.assigned for m in members]))
        members[1].process.kill()
        check('group: a member dies', lambda: wait_for(
            lambda: shared(members[2:], 12), 25, lambda: [m.assigned for m in members]))
    finally:
        for member in members:
            member.process.kill()
            member.process.wait()


def is_member():
    return len(sys.argv) > 1 and sys.argv[1] == 'member'
