"""Connections that work on a server until it dies, and what each of them may expect afterwards.

One loop drives all connections, so that "answered before the other was sent" is known. An actor
offers a batch of operations whenever all of the last one is answered; an operation is one or more
commands (a MULTI is one operation) and remembers when it was sent and when it was answered.

What must hold after a crash is asked with a `required` function: required(op) says whether the
operation has to be there. Under `always`, or when only the process died, that is every answered
one; after a power cut under `everysec` every one answered a while before the cut.
"""
import collections
import copy
import selectors
import socket
import time

from private import BulkGenerator, Generator, Model, Stream, difference, observe, without_idle_consumers
from resp import Parser, ReplyError, encode


class Failure(Exception):
    """The server broke a promise."""


class Op:
    __slots__ = ("commands", "replies", "sent", "answered", "data", "refused")

    def __init__(self, commands, data=None):
        self.commands, self.data = commands, data
        self.replies, self.sent, self.answered, self.refused = [], None, None, False


class Actor:
    def __init__(self, world, rng):
        self.world, self.rng = world, rng
        self.paused = False

    def batch(self):
        """Operations to send now; [] to do nothing for a moment."""
        raise NotImplementedError

    def done(self, op):
        """All replies of the operation are there."""

    def lost(self, op):
        """The connection broke before they were."""

    def depth(self, most):
        """How many operations to send at once. Only one where some may be refused: with more, what
        an unanswered tail did would be anybody's guess."""
        return 1 if self.world.tolerated else self.rng.randint(1, most)

    def may_refuse(self, op):
        """Whether a full disk excuses the server from doing this."""
        return True

    def check_error(self, op, reply):
        if self.world.tolerates(reply) and (self.world.all_may_fail or self.may_refuse(op)):
            if not op.refused:
                self.world.refusals += 1
            op.refused = True
            return
        raise Failure(f"{brief(op.commands)} answered {reply}")


def brief(commands):
    words = [" ".join(str(a)[:30] for a in command) for command in commands]
    return " | ".join(words)[:300]


class Connection:
    def __init__(self, actor, port):
        self.actor = actor
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.parser = Parser()
        self.waiting = collections.deque()
        self.out = b""
        self.closed = False

    def offer(self):
        if self.waiting or self.closed or self.actor.paused:
            return
        ops = self.actor.batch()
        now = time.monotonic()
        for op in ops:
            op.sent = now
            self.waiting.append(op)
        self.out += b"".join(encode(command) for op in ops for command in op.commands)
        self.flush()

    def flush(self):
        try:
            while self.out:
                sent = self.socket.send(self.out[: 1 << 18])
                self.out = self.out[sent:]
        except BlockingIOError:
            pass
        except OSError:
            self.out = b""  # what it has answered may still be read

    def receive(self):
        """False at the end of the stream."""
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        self.parser.feed(data)
        for reply in self.parser.replies():
            if not self.waiting:
                raise Failure(f"an answer to nothing: {reply!r}")
            op = self.waiting[0]
            op.replies.append(reply)
            if len(op.replies) < len(op.commands):
                continue
            self.waiting.popleft()
            op.answered = time.monotonic()
            self.finish(op)
        return bool(data)

    def finish(self, op):
        for reply in op.replies:
            if isinstance(reply, ReplyError):
                self.actor.check_error(op, reply)
        self.actor.done(op)

    def close(self):
        self.closed = True
        self.socket.close()
        while self.waiting:
            self.actor.lost(self.waiting.popleft())


class Loop:
    """Runs all connections of a world for a while."""

    def __init__(self, actors, port):
        self.selector = selectors.DefaultSelector()
        self.connections = []
        for actor in actors:
            try:
                connection = Connection(actor, port)
            except OSError:
                continue  # it may die as soon as it is up
            self.connections.append(connection)
            self.selector.register(connection.socket, selectors.EVENT_READ, connection)

    def run(self, seconds, until=lambda: False):
        """Until the time is over, all connections are closed, or `until` says so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            if not self.step(True):
                return

    def step(self, offering):
        live = [c for c in self.connections if not c.closed]
        for connection in live:
            if offering:
                connection.offer()
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.out else 0)
            if not connection.closed:
                self.selector.modify(connection.socket, events, connection)
        for key, events in self.selector.select(0.005):
            connection = key.data
            if events & selectors.EVENT_WRITE:
                connection.flush()
            if events & selectors.EVENT_READ:
                if not connection.receive():
                    self.close(connection)
        return bool(live)

    def drain(self, seconds=5.0):
        """Sends nothing new; reads what is still coming, until everything is answered or closed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not any(c.waiting and not c.closed for c in self.connections):
                return True
            self.step(False)
        return False

    def finish(self, seconds=5.0):
        """After the server's death: reads to the end of every connection."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.step(False):
            pass
        for connection in self.connections:
            self.close(connection)
        self.selector.close()

    def close(self, connection):
        if not connection.closed:
            self.selector.unregister(connection.socket)
            connection.close()


# What only takes away works on a full disk.
NEVER_REFUSED = {
    "MULTI", "EXEC", "DEL", "LPOP", "RPOP", "LREM", "LTRIM", "HDEL", "SREM", "ZREM", "XACK", "XDEL",
    "XTRIM",
}


class Owner(Actor):
    """Writes keys of its own with everything there is; knows every reply beforehand."""

    def __init__(self, world, rng, prefix, bulk=False):
        super().__init__(world, rng)
        self.prefix = prefix
        self.model = Model()
        self.generator = (
            BulkGenerator(prefix, rng) if bulk else Generator(prefix, self.model, rng, world.known)
        )
        self.sent = []  # since the last check, in order

    def batch(self):
        ops = []
        for _ in range(self.depth(12)):
            count = self.rng.randint(2, 5) if self.rng.random() < 0.25 else 1
            commands, expected, saved = [], [], {}
            for _ in range(count):
                command = self.generator.command()
                for key, value in self.model.save(self.touched(command)).items():
                    saved.setdefault(key, value)
                commands.append(command)
                expected.append(copy.deepcopy(self.model.apply(command)))
            if count > 1:
                commands = [("MULTI",), *commands, ("EXEC",)]
            op = Op(commands, (expected, saved))
            ops.append(op)
            self.sent.append(op)
        return ops

    def touched(self, command):
        return {a for a in command if isinstance(a, bytes) and a.startswith(self.prefix + b":")}

    def done(self, op):
        expected, saved = op.data
        if op.refused:
            return self.refuse(op)
        got = op.replies
        if len(op.commands) > 1:
            got = op.replies[-1]
        if got != expected:
            where = next((i for i, (g, e) in enumerate(zip(got or [], expected)) if g != e), 0)
            raise Failure(
                f"{brief(op.commands)}: reply {where} is {got and got[where]!r:.200}, not"
                f" {expected[where]!r:.200}"
            )

    def may_refuse(self, op):
        return any(command[0] not in NEVER_REFUSED for command in op.commands)

    def refuse(self, op):
        """Take back what was refused. In a MULTI that ran, only those commands that were."""
        _, saved = op.data
        self.model.restore(saved)
        ran = op.replies[-1]
        if len(op.commands) == 1 or isinstance(ran, ReplyError) or ran is None:
            self.sent.remove(op)
            return
        for command, reply in zip(op.commands[1:-1], ran):
            if not isinstance(reply, ReplyError) and self.model.apply(command) != reply:
                raise Failure(f"{brief([command])} in a MULTI answered {reply!r:.200}")

    def check(self, client, required):
        """Returns the operations that surely survived and those that surely did not."""
        keys = set(self.model.keys)
        for op in self.sent:
            keys |= set(op.data[1])
        plain = {k for k, v in self.model.keys.items() if isinstance(v, Stream) and v.plain}
        for op in self.sent:  # a stream counts as plain only if it was so in every candidate state
            for key, (value, _) in op.data[1].items():
                if isinstance(value, Stream) and not value.plain:
                    plain.discard(key)
        if self.world.lenient:
            plain = set()
        seen = observe(client, sorted(keys), plain)
        lenient = without_idle_consumers if self.world.lenient else lambda shape: shape
        seen = {key: lenient(shape) for key, shape in seen.items()}

        def differs(key):
            shape = self.model.shape(key)
            if shape is not None and shape[0][0] == "stream" and key not in plain:
                groups = {n: (*g[:3], None) for n, g in shape[0][5].items()}
                shape = ((*shape[0][:5], groups), shape[1])
            return lenient(shape) != seen.get(key)

        floor = max((i + 1 for i, op in enumerate(self.sent) if required(op)), default=0)
        wrong = {key for key in keys if differs(key)}
        best, state, low = (len(wrong), len(self.sent), set(wrong)), None, None
        high = None
        for at in range(len(self.sent), floor - 1, -1):
            if len(wrong) < best[0]:
                best = (len(wrong), at, set(wrong))
            if not wrong:
                low = at
                if state is None:
                    high, state = at, self.model.save(set(self.model.keys))
            if at > floor:
                saved = self.sent[at - 1].data[1]
                self.model.restore(saved)
                wrong = {key for key in wrong if key not in saved} | {k for k in saved if differs(k)}
        if low is None:
            raise Failure(self.explain(best, floor, seen))
        survived, lost = self.sent[:low], self.sent[high:]
        for key in set(self.model.keys):
            self.model.remove(key)
        self.model.restore(state)
        self.sent = []
        return survived, lost

    def explain(self, best, floor, seen):
        count, at, wrong = best
        key = sorted(wrong)[0]
        last = brief(self.sent[floor - 1].commands) if floor else "nothing"
        doubt = brief(self.sent[floor].commands) if floor < len(self.sent) else "nothing"
        return (
            f"{self.prefix!r}: of {len(self.sent)} operations sent the first {floor} must be there;"
            f" no number of them explains the keys. With {floor} of them {key!r}"
            f"{difference(self.model.shape(key), seen.get(key))}. Nearest: {at} operations,"
            f" {count} keys differ: {sorted(wrong)!r:.200}. Last required: {last}; first in doubt:"
            f" {doubt}"
        )


class Counter(Actor):
    """INCR of one key by several connections: no answer twice, nothing lost."""

    def __init__(self, world, rng, shared):
        super().__init__(world, rng)
        self.shared = shared

    def batch(self):
        ops = [Op([("INCR", b"counter")]) for _ in range(self.depth(8))]
        self.shared["sent"] += ops
        return ops

    def done(self, op):
        if op.refused:
            self.shared["sent"].remove(op)
            return
        value = op.replies[0]
        if value in self.shared["seen"] or value <= self.shared["base"]:
            raise Failure(f"INCR counter answered {value} twice")
        self.shared["seen"].add(value)


def check_counter(client, shared, required):
    value = int(client.call("GET", "counter") or 0)
    sent = shared["sent"]
    least = max([op.replies[0] for op in sent if required(op)], default=shared["base"])
    needed = shared["base"] + sum(map(required, sent))
    if not max(least, needed) <= value <= shared["base"] + len(sent):
        raise Failure(
            f"counter is {value}: base {shared['base']}, {needed - shared['base']} increments must be"
            f" there, up to {least} was answered, {len(sent)} were sent"
        )
    shared.update(base=value, sent=[], seen=set())


class Expirer(Actor):
    """Keys that live for a moment. Dead ones stay dead."""

    def __init__(self, world, rng, number):
        super().__init__(world, rng)
        self.number, self.count, self.deadlines = number, 0, {}

    def batch(self):
        self.count += 1
        life = self.rng.choice([30, 100, 300, 10**8])
        key = b"ttl:%d:%d" % (self.number, self.count % 200)
        if key in self.deadlines:
            return []
        self.deadlines[key] = (None, None)
        return [Op([("SET", key, "v", "PX", life)], (key, life))]

    def done(self, op):
        key, life = op.data
        if op.refused:
            del self.deadlines[key]
        else:
            self.deadlines[key] = (time.monotonic() + life / 1000, op)

    def check(self, client, required):
        keys = sorted(self.deadlines)
        now = time.monotonic()
        for key, there in zip(keys, client.pipeline([("EXISTS", key) for key in keys])):
            deadline, op = self.deadlines[key]
            if op is None or not required(op):
                continue  # an earlier one may have come back
            if there and deadline < now - 0.1:
                raise Failure(f"{key!r} is there {now - deadline:.3f} s after its end")
            if not there and deadline > now + 1:
                raise Failure(f"{key!r} is gone {deadline - now:.3f} s before its end")
        client.pipeline([("DEL", key) for key in keys])
        self.deadlines = {}
