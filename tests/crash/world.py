"""All actors together, and what must hold on one directory."""
import random

from broker import make_broker
from queues import Mover, Popper, Producer, Queue
from resp import ReplyError
from streams import Adder, Consumer, Janitor, Stream
from workload import Counter, Expirer, Failure, Owner, check_counter

COMMANDS = """SET APPEND INCRBY INCR DEL PEXPIREAT PERSIST RENAME RPUSH LPUSH LPOP RPOP LMOVE LSET
LINSERT LREM LTRIM HSET HINCRBY HDEL SADD SREM ZADD ZINCRBY ZREM XADD XDEL XTRIM XGROUP XREADGROUP
XACK XCLAIM MULTI EXEC BLPOP BRPOP BLMOVE XPENDING XINFO XRANGE XNACK XSTAGE XBIND LLEASE""".split()


def known_commands(client):
    """Those that the server has, so that the harness can be used while one grows."""
    replies = client.pipeline([("COMMAND", "INFO", *COMMANDS)])
    if isinstance(replies[0], list):
        return {name for name, row in zip(COMMANDS, replies[0]) if row}
    known = set()
    for name in COMMANDS:
        if name in ("MULTI", "EXEC"):
            known.add(name)
            continue
        (reply,) = client.pipeline([(name,)])
        if not (isinstance(reply, ReplyError) and "unknown command" in str(reply)):
            known.add(name)
    return known


class World:
    def __init__(self, seed, client, lenient=False):
        self.rng = random.Random(seed)
        # Beginnings of error replies that are expected at the moment, and whether even commands
        # that only take away may answer them.
        self.tolerated, self.all_may_fail = (), False
        self.lenient = lenient  # redis-server forgets some things about groups when it restarts
        self.refusals, self.runs = 0, 0
        self.known = known_commands(client)
        self.missing = sorted(set(COMMANDS) - self.known)
        self.queues, self.streams, self.actors = [], [], []
        self.counter = {"base": 0, "sent": [], "seen": set()}
        self.make_actors()
        for stream in self.streams:
            stream.create(client)
        self.brokers = make_broker(self, client)

    def child(self):
        return random.Random(self.rng.getrandbits(64))

    def next_run(self):
        self.runs += 1
        return self.runs

    def tolerates(self, reply):
        return bool(self.tolerated) and str(reply).startswith((*self.tolerated, "EXECABORT"))

    def make_actors(self):
        add = self.actors.append
        for number in range(3):
            add(Owner(self, self.child(), b"own%d" % number))
        if self.rng.random() < 0.5:
            add(Owner(self, self.child(), b"bulk", bulk=True))
        add(Expirer(self, self.child(), 1))
        for _ in range(2):
            add(Counter(self, self.child(), self.counter))
        for name, reverse in ((b"queue", False), (b"backwards", True)):
            queue = Queue(self, name, reverse)
            self.queues.append(queue)
            for number in range(2):
                add(Producer(self, self.child(), queue, number, number == 1))
            add(Popper(self, self.child(), queue))
            add(Popper(self, self.child(), queue))
            if {"LMOVE", "LREM"} <= self.known:
                add(Mover(self, self.child(), queue, 0))
        if {"XADD", "XREADGROUP", "XCLAIM", "XINFO"} <= self.known:
            self.make_stream()

    def make_stream(self):
        stream = Stream(self, b"stream", 2)
        self.streams.append(stream)
        for number in range(2):
            self.actors.append(Adder(self, self.child(), stream, number, number == 1))
        for group in stream.groups:
            for number in range(2):
                self.actors.append(Consumer(self, self.child(), stream, group, number))
        self.actors.append(Janitor(self, self.child(), stream))

    def of(self, kind):
        return [actor for actor in self.actors if isinstance(actor, kind)]

    def check(self, client, required):
        """Everything that was promised is there, and nothing else."""
        survived, lost = [], []
        for owner in self.of(Owner):
            there, gone = owner.check(client, required)
            survived += there
            lost += gone
        pushes = [op for queue in self.queues for run in queue.runs.values() for op in run.ops]
        runs = {n: run for queue in self.queues for n, run in queue.runs.items()}
        for queue in self.queues:
            queue.check(client, required)
        adds = [op for stream in self.streams for run in stream.runs.values() for op in run.ops]
        runs.update((n, run) for stream in self.streams for n, run in stream.runs.items())
        for stream in self.streams:
            stream.check(client, required)
        for op in pushes + adds:
            run = runs[op.data[0]]
            end = run.found_last if hasattr(run, "found_last") else run.last
            # A push beyond the end of a list that ran empty may have been popped again.
            if op.data[-1] <= end:
                survived.append(op)
            elif op in adds:
                lost.append(op)
        for adder in self.of(Adder):
            adder.check(client, required)
        if not self.tolerated:  # on a full disk timers do not fire: nothing comes to rest
            for broker in self.brokers:
                broker.check(client, required)
        check_counter(client, self.counter, required)
        for expirer in self.of(Expirer):
            expirer.check(client, required)
        self.check_prefix(survived, lost)
        self.check_keys(client)
        for actor in self.actors:
            if hasattr(actor, "renew"):
                actor.renew()

    def check_prefix(self, survived, lost):
        """Nothing is lost that was answered before something that is there was even sent."""
        latest = max((op.sent for op in survived), default=0)
        for op in lost:
            if op.answered is not None and not op.refused and op.answered < latest:
                raise Failure(
                    f"{op.commands!r:.200} is lost, though answered {latest - op.answered:.3f} s"
                    " before something was sent that is there"
                )

    def check_keys(self, client):
        expected = {b"counter"}
        for owner in self.of(Owner):
            expected |= set(owner.model.keys)
        for queue in self.queues:
            expected.add(queue.name)
            expected |= {mover.key for mover in queue.movers}
            expected |= {producer.counter for producer in queue.counters}
        for stream in self.streams:
            expected.add(stream.name)
        for broker in self.brokers:
            expected |= broker.keys
        expected |= {adder.twin for adder in self.of(Adder) if adder.twin}
        cursor, found = b"0", set()
        while True:
            cursor, page = client.call("SCAN", cursor, "COUNT", 500)
            found |= set(page)
            if cursor == b"0":
                break
        strange = {key for key in found - expected if not key.startswith(b"ttl:")}
        if strange:
            raise Failure(f"keys that nobody made: {sorted(strange)[:5]}")
        size = client.call("DBSIZE")
        if size != len(found):
            raise Failure(f"DBSIZE is {size}, SCAN finds {len(found)}")
