"""For `make bench`: states that are said to cost disk, not memory, and what they do to everything else.

A state is built through one socket, in a pipeline. Ordinary work on the same key is measured before it and beside it;
then the server is restarted, left alone, and watched while all of the state falls due.
"""
import statistics
import sys
import time
from itertools import islice

import resp

CHUNK = 1000  # commands, so that a million of them are not held at once
LIVES = 30_000  # of ordinary messages, in one measurement


def fail(why):
    sys.exit('bench: %s' % why)


def run(client, commands):
    replies, part = [], []

    def send():
        for reply in client.pipeline(part):
            if isinstance(reply, resp.ReplyError):
                fail(reply)
            replies.append(reply)
        part.clear()
    for command in commands:
        part.append(command)
        if len(part) == CHUNK:
            send()
    send()
    return replies


def read(client, key, group, n):
    """The ids of n new entries."""
    command = ('XREADGROUP', 'GROUP', group, 'me', 'COUNT', 10, 'STREAMS', key, '>')
    ids = [entry[0] for reply in run(client, [command] * (n // 10)) for entry in reply[0][1]]
    if len(ids) != n:
        fail('%d entries read of %d' % (len(ids), n))
    return ids


def worst_wait(client, done, look=lambda: None):
    """Asks for a PONG again and again until `done`; the longest that one took, in ms."""
    longest = 0
    while True:
        for _ in range(100):
            began = time.monotonic()
            client.call('PING')
            longest = max(longest, (time.monotonic() - began) * 1000)
        look()
        if done():
            return longest


class State:
    """`size` things in the key `state`."""
    work = 'add, read, ack'
    due_after_s = 0  # from the beginning of the build, several times as long as that takes; 0: nothing falls due

    def __init__(self, size):
        self.size = size

    def __str__(self):
        return self.name % format(self.size, ',')

    def prepare(self, client):
        client.call('XGROUP', 'CREATE', 'state', 'plain', '$', 'MKSTREAM')

    def moments(self, due_ms):
        """When each falls due: nine of ten within ten seconds, the last tenth in one millisecond."""
        spread = self.size * 9 // 10
        return (due_ms + min(i, spread) * 10_000 // spread for i in range(self.size))

    def live(self, client, n):
        """n ordinary messages, from the beginning to the end."""
        run(client, [('XADD', 'state', '*', 'field', 'xxx')] * n)
        ids = read(client, 'state', 'plain', n)
        run(client, [('XACK', 'state', 'plain', i) for i in ids])
        run(client, [('XDEL', 'state', i) for i in ids])

    def first_look(self, client):
        """What is asked first when all has fallen due: [(command, ms)]."""
        return []


class Delayed(State):
    name = '%s delayed entries'
    due_after_s = 30

    def build(self, client, due_ms):
        run(client, (('XADD', 'state', 'DELAYUNTIL', at, '*', 'field', 'xxx') for at in self.moments(due_ms)))

    def over(self, client):
        return client.call('XLEN', 'state') == self.size


class Leased(State):
    name = '%s leases'
    work = 'push, lease, ack'
    due_after_s = 25

    def prepare(self, client):
        pass

    def build(self, client, due_ms):
        run(client, (('RPUSH', 'state', *(b'%020d' % i for i in range(at, at + 1000))) for at in range(0, self.size, 1000)))
        run(client, (('LMPOP', 1, 'state', 'LEFT', 'COUNT', 100, 'LEASE', at - int(time.time() * 1000))
                     for at in islice(self.moments(due_ms), 0, self.size, 100)))

    def live(self, client, n):
        run(client, [('RPUSH', 'state', 'xxx')] * n)
        command = ('LMPOP', 1, 'state', 'LEFT', 'COUNT', 10, 'LEASE', 60_000)
        ids = [lease for reply in run(client, [command] * (n // 10)) for lease, _ in reply[1]]
        run(client, [('LLEASE', 'ACK', 'state', 'IDS', 1, i) for i in ids])

    def over(self, client):
        return client.call('LLEN', 'state') == self.size


class Groups(State):
    """Groups with a policy, each with ten entries in hand, which go to the dead letters when their time is over."""
    name = '%s groups with policies, of one stream'
    due_after_s = 15
    streams = 1

    def key(self, i):
        return 'state'

    def build(self, client, due_ms):
        keys = sorted({self.key(i) for i in range(self.size)})
        run(client, (('XADD', key, '*', 'field', 'xxx') for key in keys for _ in range(10)))
        run(client, (command for i, at in enumerate(self.moments(due_ms))
                     for command in self.group(self.key(i), 'group%d' % i, at - int(time.time() * 1000))))
        client.call('XGROUP', 'SETID', 'state', 'plain', '$')

    def group(self, key, name, visible_ms):
        return [('XGROUP', 'CREATE', key, name, 0),
                ('XGROUP', 'CFGSET', key, name, 'VISIBILITY', visible_ms, 'BACKOFF', 2, 1000, 5000, 'MAXDELIVERIES', 1,
                 'DEADLETTER', 'dead'),
                ('XREADGROUP', 'GROUP', name, 'me', 'COUNT', 10, 'STREAMS', key, '>')]

    def over(self, client):
        return client.call('XLEN', 'dead') == 10 * self.size


class Streams(Groups):
    name = '%s groups with policies, each of a stream of its own'

    def key(self, i):
        return 'state%d' % i


class Ordered(State):
    """The group has one entry of each value in hand. A life: one more of a value, which waits until the one in hand is
    acknowledged."""
    name = '%s values of ORDERBY in flight (without: 100)'
    step = 7919  # values are not taken in order

    def prepare(self, client):
        client.call('XGROUP', 'CREATE', 'state', 'plain', '$', 'MKSTREAM')
        client.call('XGROUP', 'CFGSET', 'state', 'plain', 'ORDERBY', 'value')
        self.in_hand = {}
        self.next = 0
        self.add(client, range(100))

    def add(self, client, values):
        run(client, [('XADD', 'state', '*', 'value', v) for v in values])
        self.in_hand.update(zip(values, read(client, 'state', 'plain', len(values))))

    def build(self, client, _):
        self.add(client, range(100, self.size))

    def live(self, client, n):
        count = len(self.in_hand)
        for _ in range(n // 100):
            values = [(self.next + i * self.step) % count for i in range(100)]
            self.next += 100 * self.step
            run(client, [('XADD', 'state', '*', 'value', v) for v in values])
            run(client, [('XACK', 'state', 'plain', self.in_hand[v]) for v in values])
            run(client, [('XDEL', 'state', self.in_hand[v]) for v in values])
            self.in_hand.update(zip(values, read(client, 'state', 'plain', 100)))


class Expiring(State):
    """All of one moment, with a thousand in front of them and behind them that live on. Those that expire go to the dead
    letters of a group."""
    name = '%s entries that expire in the same millisecond'
    due_after_s = 25

    def build(self, client, due_ms):
        run(client, [('XADD', 'state', '*', 'field', 'xxx')] * 1000)
        client.call('XGROUP', 'CREATE', 'state', 'policy', '$')
        client.call('XGROUP', 'CFGSET', 'state', 'policy', 'DEADLETTER', 'dead')
        client.call('XGROUP', 'CREATE', 'state', 'front', '$')
        run(client, (('XADD', 'state', 'PXAT', due_ms, '*', 'field', 'xxx') for _ in range(self.size)))
        run(client, [('XADD', 'state', '*', 'field', 'xxx')] * 1000)
        client.call('XGROUP', 'SETID', 'state', 'plain', '$')

    def first_look(self, client):
        looks = []
        for command in (('XLEN', 'state'), ('XRANGE', 'state', '-', '+', 'COUNT', 1001),
                        ('XREADGROUP', 'GROUP', 'front', 'me', 'COUNT', 10, 'STREAMS', 'state', '>'),
                        ('XREADGROUP', 'GROUP', 'policy', 'me', 'COUNT', 10, 'STREAMS', 'state', '>')):
            began = time.monotonic()
            client.call(*command)
            looks.append((' '.join(command[:3:2] if command[0] == 'XREADGROUP' else command[:1]), (time.monotonic() - began) * 1000))
        return looks

    def over(self, client):
        return client.call('XLEN', 'dead') == self.size


def lives(server, client, state, rounds):
    """(lives per second, processor time of the server for one in us), medians."""
    figures = []
    for _ in range(rounds):
        began, cpu = time.monotonic(), server.cpu_us()
        state.live(client, LIVES)
        figures.append((LIVES / (time.monotonic() - began), (server.cpu_us() - cpu) / LIVES))
    return [statistics.median(f) for f in zip(*figures)]


def slowest_turn_ms(server, client):
    """Since it was asked last."""
    slowest = int(server.info('slowest_turn_us')) / 1000
    client.call('CONFIG', 'RESETSTAT')
    return slowest


def measure(server, state, rounds):
    def mb():
        return server.status('RssAnon') / 1024

    def say(what, text, *values):
        print('  %-24s %s' % (what + ':', text % values))
        sys.stdout.flush()
    print('\n%s, always' % state)
    client = resp.Client(server.port, 60)
    state.prepare(client)
    without = lives(server, client, state, rounds)
    memory = mb()
    slowest_turn_ms(server, client)
    began = time.time()
    due_s = began + state.due_after_s
    state.build(client, int(due_s * 1000))
    took = time.time() - began
    say('built', 'in %.1f s, %.0f/s; slowest turn %.1f ms', took, state.size / took, slowest_turn_ms(server, client))
    say('private memory', '%.1f MB before, %.1f MB after (RssAnon)', memory, mb())
    beside = lives(server, client, state, rounds)
    say(state.work, '%.0f/s without, %.0f/s beside it, ratio %.2f; %.0f and %.0f us of the server; slowest turn %.1f ms',
        without[0], beside[0], beside[0] / without[0], without[1], beside[1], slowest_turn_ms(server, client))
    client.close()
    server.stop()
    server.start()
    say('restart', '%.0f ms to the first PONG, %.1f MB', server.started_ms, mb())
    time.sleep(0.5)
    switches = server.switches()
    time.sleep(2)
    say('wake-ups', '%d in two seconds (aim: 0)', server.switches() - switches)
    if not state.due_after_s:
        return
    if time.time() > due_s:
        fail('building took too long')
    client = resp.Client(server.port, 60)
    time.sleep(max(0, due_s - time.time() - 0.1))
    memory = []
    longest = worst_wait(client, lambda: time.time() > due_s + 0.002)
    looks = state.first_look(client)
    longest = max(longest, worst_wait(client, lambda: state.over(client), lambda: memory.append(mb())))
    if looks:
        say('first looks', '%s', ', '.join('%s %.1f ms' % look for look in looks))
    say('falling due', 'in %.1f s; slowest turn %.1f ms (aim: under 50), longest wait for a PONG %.1f ms; up to %.1f MB',
        time.time() - due_s, slowest_turn_ms(server, client), longest, max(memory))


def states(factor):
    million = max(1, int(1000 * factor)) * 1000
    return [Delayed(million), Leased(million), Groups(million // 100), Streams(million // 100), Ordered(million // 10),
            Expiring(million)]
