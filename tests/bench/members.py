"""For `make bench`: random places in one large sorted set, hash and set.

What is said to be O(log n) is measured at a thousand members and at many. There are as many at the end of a load as at its
beginning: what removes is measured in pairs with what adds. Both servers get the same bytes.
"""
import random
import selectors
import socket
import sys
import time
from itertools import islice

import resp

CLIENTS, PIPELINE = 50, 16
CHUNK = 1000  # members to a command, while filling
STEP = 1_000_003  # shares no factor with a size: names come in no order, and none twice in twice the size
WALK = 20_000_000  # members that the ZRANKs of a load pass, about
END = b'+PONG\r\n'  # of the replies to a pipeline


def fail(why):
    sys.exit('bench: %s' % why)


class Members:
    """The names that are there: a window that moves on over twice as many."""

    def __init__(self, size):
        self.size = size
        self.begin = 0
        self.random = random.Random(1)

    def name(self, i):
        return b'%012d' % (i * STEP % (2 * self.size))

    def any(self):
        return self.name(self.begin + self.random.randrange(self.size))

    def score(self):
        return b'%d' % (self.begin + self.random.randrange(self.size))

    def replaced(self):
        """(the name that comes, the name that goes)."""
        self.begin += 1
        return self.name(self.begin - 1 + self.size), self.name(self.begin - 1)


def fill(port, size):
    members = Members(size)
    client = resp.Client(port, 120)
    for command, words in (('ZADD', lambda m: (members.score(), m)), ('HSET', lambda m: (m, b'value')), ('SADD', lambda m: (m,))):
        names = map(members.name, range(size))
        for _ in range(0, size, CHUNK):
            client.call(command, command, *(word for m in islice(names, CHUNK) for word in words(m)))
    client.close()


def loads(size, count):
    """[(name, how many commands, pipelines of them)]."""
    members = Members(size)

    def load(name, commands, n=count):
        pipelines = []
        while n > 0:
            words = []
            while len(words) < PIPELINE:
                words += commands()
            n -= PIPELINE
            pipelines.append(b''.join(map(resp.encode, words + [('PING',)])))
        return name, len(pipelines) * PIPELINE, pipelines

    def pair(add, remove):
        new, old = members.replaced()
        return [add(new), remove(old)]

    def zadd(m):
        return 'ZADD', 'ZADD', members.score(), m
    out = [load('ZADD', lambda: [zadd(members.any())]),
           load('ZADD, ZREM', lambda: pair(zadd, lambda m: ('ZREM', 'ZADD', m))),
           load('ZSCORE', lambda: [('ZSCORE', 'ZADD', members.any())]),
           load('ZRANGEBYSCORE LIMIT 0 10', lambda: [('ZRANGEBYSCORE', 'ZADD', members.score(), '+inf', 'LIMIT', '0', '10')]),
           load('ZADD, ZPOPMIN', lambda: pair(zadd, lambda _: ('ZPOPMIN', 'ZADD')))]
    members.begin = 0  # each key has a window of its own
    out += [load('HSET', lambda: [('HSET', 'HSET', members.any(), 'other')]),
            load('HSET, HDEL', lambda: pair(lambda m: ('HSET', 'HSET', m, 'value'), lambda m: ('HDEL', 'HSET', m))),
            load('HGET', lambda: [('HGET', 'HSET', members.any())])]
    members.begin = 0
    out += [load('SADD, SREM', lambda: pair(lambda m: ('SADD', 'SADD', m), lambda m: ('SREM', 'SADD', m))),
            load('SISMEMBER', lambda: [('SISMEMBER', 'SADD', members.any())])]
    # By itself at the end, because it walks.
    return out, load('ZRANK', lambda: [('ZRANK', 'ZADD', members.any())], min(count, 4 * WALK // size))


def send(port, pipelines):
    """Through all clients at once; the seconds that it took."""
    todo = iter(pipelines)
    selector = selectors.DefaultSelector()

    def next_pipeline(s):
        part = next(todo, None)
        if part is None:
            selector.unregister(s)
            s.close()
        else:
            s.sendall(part)
    sockets = [socket.create_connection(('127.0.0.1', port)) for _ in range(CLIENTS)]
    got = {s: b'' for s in sockets}
    for s in sockets:
        selector.register(s, selectors.EVENT_READ)
    began = time.monotonic()
    for s in sockets:
        next_pipeline(s)
    while selector.get_map():
        for key, _ in selector.select():
            s = key.fileobj
            data = got[s] + s.recv(1 << 16)
            if b'-' == data[:1] or b'\r\n-' in data or not data:
                fail(data[:100])
            if data.endswith(END):
                got[s] = b''
                next_pipeline(s)
            else:
                got[s] = data
    return time.monotonic() - began


def figures(server, load):
    """(commands per second, the server's processor time for one in us)."""
    _, count, pipelines = load
    cpu = server.cpu_us()
    took = send(server.port, pipelines)
    return count / took, (server.cpu_us() - cpu) / count


def slowest_turn_ms(server):
    """Since it was asked last; Redis does not say."""
    slowest = int(server.info('slowest_turn_us') or 0) / 1000
    resp.Client(server.port, 60).call('CONFIG', 'RESETSTAT')
    return slowest


def measure(server, size, all_loads):
    """{name: figures}, with what is not a load under names of its own."""
    began = time.monotonic()
    fill(server.port, size)
    out = {'filled': (time.monotonic() - began, slowest_turn_ms(server))}
    random_places, ranks = all_loads
    for load in random_places:
        out[load[0]] = figures(server, load)
    out['memory'] = (server.status('RssAnon') / 1024, slowest_turn_ms(server))
    out[ranks[0]] = figures(server, ranks)
    return out


def show(size, ours, theirs):
    print('\n%s members of a sorted set, a hash and a set, everysec, %d clients, pipeline %d' % (
        format(size, ','), CLIENTS, PIPELINE))
    print('  %-28s %11s %11s %7s   %11s %11s' % ('', 'sluice /s', 'redis /s', 'ratio', 'sluice cpu', 'redis cpu'))
    for name, (rate, cpu) in ours.items():
        if name in ('filled', 'memory'):
            continue
        r_rate, r_cpu = theirs[name]
        print('  %-28s %11.0f %11.0f %7.2f   %8.1f us %8.1f us' % (name, rate, r_rate, rate / r_rate, cpu, r_cpu))
    for name, unit, what in (('filled', 's', 'filled in'), ('memory', 'MB', 'private memory (RssAnon)')):
        print('  %s: %.1f %s, Redis %.1f %s; slowest turn of the loop: %.1f ms (aim: under 50)' % (
            what, ours[name][0], unit, theirs[name][0], unit, ours[name][1]))
    sys.stdout.flush()
