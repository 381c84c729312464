"""What Sluice adds to Redis: leased lists, groups with a policy and dead letters, delayed, prepared and
expiring entries, bindings. The server's timers move things while nobody works; so what is where is asked
when all of them have fired, and every element must be in exactly one place that its history explains."""
import collections
import time

from resp import ReplyError, pairs
from streams import read_pending, read_stream
from private import parse_id
from workload import Actor, Failure, Op

MOST = 1500  # elements, before a queue is begun anew
PATIENCE = 20  # seconds for all timers


def payload(run, number):
    size = 5000 if number % 70 == 0 else (number * 17) % 60
    return b"%d:%d:" % (run, number) + b"%c" % (97 + number % 26) * size


def read_list(client, key):
    length = client.call("LLEN", key)
    pages = [("LRANGE", key, at, at + 199) for at in range(0, length, 200)]
    return [value for page in client.pipeline(pages) for value in page]


def at_rest(what, asked):
    end = time.monotonic() + PATIENCE
    while not asked():
        if time.monotonic() > end:
            raise Failure(f"{what}: its timers do not come to rest")
        time.sleep(0.01)


def once(where, values):
    twice = [value for value, count in collections.Counter(values).items() if count > 1]
    if twice:
        raise Failure(f"{where}: {twice[0][:40]!r} is there twice")


class History:
    """What was asked for each element: `made` has its operation (None: it is known to be there), and
    `ended` those that end it, answered or not."""

    def __init__(self):
        self.made, self.ended = {}, collections.defaultdict(list)
        self.rejected = collections.defaultdict(list)

    def surely(self, ops, required):
        return any(required(op) for op in ops)

    def check(self, where, found, required):
        for value in found:
            if value not in self.made:
                raise Failure(f"{where}: {value[:40]!r} is there, nobody sent it")
            if self.surely(self.ended[value], required):
                raise Failure(f"{where}: {value[:40]!r} was acknowledged and is there again")
        for value, op in self.made.items():
            if value not in found and not self.ended[value] and (op is None or required(op)):
                raise Failure(f"{where}: {value[:40]!r} is lost")

    def settle(self, found):
        self.made = dict.fromkeys(found)
        self.ended.clear()
        self.rejected.clear()

    def forget(self, op, value, kind):
        """The operation changed nothing."""
        ops = kind[value]
        if op in ops:
            ops.remove(op)


class Leased(History):
    """A list whose workers take elements under leases that end soon."""

    def __init__(self, world, name):
        super().__init__()
        self.world, self.name, self.dead = world, name, name + b":dead"
        self.keys = {self.name, self.dead}

    def create(self, client):
        client.call("LCFGSET", self.name, "BACKOFF", 2, 5, 20, "MAXDELIVERIES", 4, "DEADLETTER", self.dead)

    def check(self, client, required):
        at_rest(self.name, lambda: client.call("LLEASE", "PENDING", self.name)[0] == 0)
        found = read_list(client, self.name) + read_list(client, self.dead)
        once(self.name, found)
        super().check(self.name, set(found), required)
        policy = pairs(client.call("LLEASE", "POLICY", self.name))
        if policy[b"maxdeliveries"] != 4 or policy[b"deadletter"] != self.dead:
            raise Failure(f"{self.name}: its settings are {policy}")
        if len(found) > MOST:
            client.call("DEL", self.name, self.dead)
            self.create(client)
            found = []
        self.settle(found)


class Pusher(Actor):
    def __init__(self, world, rng, queue):
        super().__init__(world, rng)
        self.queue = queue
        self.renew()

    def renew(self):
        self.run, self.number = self.world.next_run(), 0

    def batch(self):
        if len(self.queue.made) > MOST:
            return []
        ops = []
        for _ in range(self.depth(6)):
            values = []
            for _ in range(self.rng.choice([1, 1, 3])):
                self.number += 1
                values.append(payload(self.run, self.number))
            op = Op([("RPUSH", self.queue.name, *values)], values)
            self.queue.made.update(dict.fromkeys(values, op))
            ops.append(op)
        return ops

    def done(self, op):
        if op.refused:
            for value in op.data:
                del self.queue.made[value]


class Leaser(Actor):
    """Takes elements under a lease, and acknowledges, gives back, rejects or forgets them."""

    def __init__(self, world, rng, queue):
        super().__init__(world, rng)
        self.queue = queue
        self.renew()

    def renew(self):
        self.held = []

    def batch(self):
        if self.held:
            ops = [self.end(*self.held.pop()) for _ in range(min(self.depth(8), len(self.held)))]
            return [op for op in ops if op]
        end = self.rng.choice(["LEFT", "LEFT", "RIGHT"])
        command = ("LMPOP", 1, self.queue.name, end, "COUNT", self.rng.randint(1, 8),
                   "LEASE", self.rng.choice([5, 40, 200]))
        return [Op([command], None)]

    def end(self, lease, value):
        roll = self.rng.random()
        if roll < 0.1:
            return None
        if roll < 0.3:
            kind = self.rng.choice(["SILENT", "FAIL", "FATAL"])
            return Op([("LLEASE", "NACK", self.queue.name, kind, "IDS", 1, lease)], ("nack", value))
        op = Op([("LLEASE", "ACK", self.queue.name, "IDS", 1, lease)], ("ack", value))
        self.queue.ended[value].append(op)
        return op

    def may_refuse(self, op):
        return op.data is None or op.data[0] != "ack"

    def done(self, op):
        (reply,) = op.replies
        if op.data is None:
            if reply is not None and not op.refused:
                self.held += reply[1]
        elif op.data[0] == "ack" and (op.refused or reply == 0):  # too late: it has returned
            self.queue.forget(op, op.data[1], self.queue.ended)


class Jobs(History):
    """A stream and a group with a policy; copies of all entries go to another stream, and of all dead
    letters to a list. `brief`: entries expire, and then are dead letters."""

    def __init__(self, world, name, brief):
        super().__init__()
        self.world, self.name, self.brief = world, name, brief
        self.dead, self.copy, self.bodies = name + b":dead", name + b":copy", name + b":bodies"
        self.keys = {self.name, self.dead, self.copy, self.bodies}
        self.prepared = {}  # value -> its handle
        self.outcome = {}  # value -> (whether it is to be visible, operation)
        self.acked = set()  # values, settled for good

    def create(self, client):
        client.call("XGROUP", "CREATE", self.name, "work", "0", "MKSTREAM")
        client.call("XGROUP", "CFGSET", self.name, "work", "VISIBILITY", 60, "BACKOFF", 2, 5, 20,
                    "MAXDELIVERIES", 3, "DEADLETTER", self.dead)
        if "XBIND" in self.world.known:
            client.call("XBIND", self.name, self.copy)
            client.call("XBIND", self.dead, self.bodies, "LIST", "RIGHT", "body")

    def resting(self, client):
        policy = pairs(client.call("XINFO", "POLICY", self.name, "work"))
        if policy[b"in-flight"] or policy[b"waiting"]:
            return False
        if self.brief and client.call("XLEN", self.name):
            return False
        return not any(row[1] == b"delayed" for row in self.staged(client))

    def staged(self, client):
        return client.call("XSTAGE", "RANGE", self.name, "-", "+") if "XSTAGE" in self.world.known else []

    def check(self, client, required):
        at_rest(self.name, lambda: self.resting(client))
        entries = read_stream(client, self.name)
        visible = {id: fields[1] for id, fields in entries}
        letters = [dict(zip(f[::2], f[1::2])) for _, f in read_stream(client, self.dead)]
        dead = {letter[b"body"]: letter[b"dlq-reason"] for letter in letters}
        staged = {row[4][1]: row[0] for row in self.staged(client)}
        once(self.name, visible.values())
        once(self.dead, [letter[b"body"] for letter in letters])
        there = set(visible.values()) | set(dead)
        self.check_prepared(there, staged, required)
        self.check_group(client, visible, dead, required)
        if "XBIND" in self.world.known:
            self.check_copies(client, visible, letters)
        if self.brief and visible:
            raise Failure(f"{self.name}: {len(visible)} entries have not expired")
        if len(there) > MOST:
            client.call("DEL", *self.keys)
            self.create(client)
            visible, dead, staged = {}, {}, {}
            self.acked.clear()
        self.settle(set(visible.values()) | set(dead) | set(staged))
        self.prepared, self.outcome = dict(staged), {}

    def check_prepared(self, there, staged, required):
        for value, (show, op) in self.outcome.items():
            if required(op) and value in staged:
                raise Failure(f"{self.name}: {value[:40]!r} was committed or discarded and is still prepared")
            if required(op) and value in there and not show:
                raise Failure(f"{self.name}: {value[:40]!r} was discarded and is there")
        for value in self.prepared:
            if value in there and value not in self.outcome:
                raise Failure(f"{self.name}: {value[:40]!r} is there, nobody committed it")
        once(self.name, list(there) + list(staged))
        hidden = {value for value, (show, _) in self.outcome.items() if not show}
        for value in hidden:
            self.ended[value].append(Op([]))  # so that its absence is explained
        acknowledged = {v: ops for v, ops in self.ended.items()}
        self.ended = collections.defaultdict(list)
        for value in there | set(staged):
            if value not in self.made:
                raise Failure(f"{self.name}: {value[:40]!r} is there, nobody sent it")
        for value, op in self.made.items():
            known = value in there or value in staged or acknowledged.get(value)
            if not known and (op is None or required(op)):
                raise Failure(f"{self.name}: {value[:40]!r} is lost")
        self.ended.update(acknowledged)

    def check_group(self, client, visible, dead, required):
        pending = {visible[id] for id in read_pending(client, self.name, "work") if id in visible}
        (group,) = client.call("XINFO", "GROUPS", self.name)
        last = parse_id(pairs(group)[b"last-delivered-id"])
        for id, value in visible.items():
            if id > last:
                if value in dead:
                    raise Failure(f"{self.name}: {value[:40]!r} is dead and was never delivered")
                continue
            ops = self.ended[value]
            if (value in pending) and (value in dead):
                raise Failure(f"{self.name}: {value[:40]!r} is pending and dead")
            left = value in pending or value in dead
            if left and (value in self.acked or self.surely(ops, required)):
                raise Failure(f"{self.name}: {value[:40]!r} was acknowledged and is pending or dead")
            if not left and not ops and value not in self.acked:
                raise Failure(f"{self.name}: {value[:40]!r} is neither pending nor dead nor acknowledged")
            if not left:
                self.acked.add(value)
        for value, ops in self.rejected.items():
            if self.surely(ops, required) and value not in dead:
                raise Failure(f"{self.name}: {value[:40]!r} was rejected and is not dead")
        reasons = {b"max-deliveries", b"rejected"} | ({b"expired"} if self.brief else set())
        if not set(dead.values()) <= reasons:
            raise Failure(f"{self.dead}: reasons {set(dead.values())}")

    def check_copies(self, client, visible, letters):
        copies = [fields[1] for _, fields in read_stream(client, self.copy)]
        if not self.brief and copies != list(visible.values()):
            raise Failure(f"{self.copy}: {len(copies)} copies of {len(visible)} entries, or out of order")
        once(self.copy, copies)
        bodies = read_list(client, self.bodies)
        if bodies != [letter[b"body"] for letter in letters]:
            raise Failure(f"{self.bodies}: {len(bodies)} elements of {len(letters)} dead letters")


class Sender(Actor):
    """Adds entries: at once, delayed, prepared and then committed or discarded."""

    def __init__(self, world, rng, jobs):
        super().__init__(world, rng)
        self.jobs = jobs
        self.renew()

    def renew(self):
        self.run, self.number = self.world.next_run(), 0
        self.open = [(value, handle) for value, handle in self.jobs.prepared.items()
                     if handle and value not in self.jobs.outcome]

    def batch(self):
        if self.open and self.rng.random() < 0.6:
            return [self.decide(*self.open.pop())]
        if len(self.jobs.made) > MOST:
            return []
        return [self.add() for _ in range(self.depth(5))]

    def add(self):
        self.number += 1
        value, words, kind = payload(self.run, self.number), [], "plain"
        roll = self.rng.random()
        if "XSTAGE" in self.world.known and roll < 0.5:
            kind = "delayed" if roll < 0.25 else "prepared"
            words = ["DELAY", self.rng.randint(1, 80)] if kind == "delayed" else ["PREPARE"]
        if self.jobs.brief:
            words += ["PX", self.rng.randint(5, 300)]
        op = Op([("XADD", self.jobs.name, *words, "*", "body", value)], (kind, value))
        self.jobs.made[value] = op
        if kind == "prepared":
            self.jobs.prepared[value] = None
        return op

    def decide(self, value, handle):
        show = self.rng.random() < 0.7
        op = Op([("XSTAGE", "COMMIT" if show else "DISCARD", self.jobs.name, "IDS", 1, handle)],
                ("decided", value))
        self.jobs.outcome[value] = (show, op)
        return op

    def may_refuse(self, op):
        return op.commands[0][1] != "DISCARD"

    def done(self, op):
        kind, value = op.data
        (reply,) = op.replies
        if kind == "decided":
            if op.refused:
                del self.jobs.outcome[value]
                self.open.append((value, self.jobs.prepared[value]))
            elif reply[0] in (None, -1, 2):
                raise Failure(f"{op.commands[0]!r:.200} answered {reply!r}")
            return
        if op.refused:
            del self.jobs.made[value]
            self.jobs.prepared.pop(value, None)
        elif kind == "prepared":
            self.jobs.prepared[value] = reply
            self.open.append((value, reply))


class Performer(Actor):
    """Reads as a member of the group and acknowledges, releases, rejects or forgets what it got."""

    def __init__(self, world, rng, jobs, number):
        super().__init__(world, rng)
        self.jobs, self.consumer = jobs, b"performer%d" % number
        self.renew()

    def renew(self):
        self.held = []

    def batch(self):
        if self.held:
            ops = [self.end(*self.held.pop()) for _ in range(min(self.depth(8), len(self.held)))]
            return [op for op in ops if op]
        command = ("XREADGROUP", "GROUP", "work", self.consumer, "COUNT", self.rng.randint(1, 8),
                   "STREAMS", self.jobs.name, ">")
        return [Op([command], None)]

    def end(self, id, fields):
        roll, value = self.rng.random(), fields[1]
        if roll < 0.1:
            return None
        if roll < 0.2:
            op = Op([("XNACK", self.jobs.name, "work", "FAIL", "IDS", 1, id)], ("nack", value))
        elif roll < 0.3:
            op = Op([("XNACK", self.jobs.name, "work", "FATAL", "IDS", 1, id)], ("reject", value))
            self.jobs.rejected[value].append(op)
        else:
            op = Op([("XACK", self.jobs.name, "work", id)], ("ack", value))
            self.jobs.ended[value].append(op)
        return op

    def may_refuse(self, op):
        return op.data is None or op.data[0] != "ack"

    def done(self, op):
        (reply,) = op.replies
        if op.data is None:
            if reply is not None and not op.refused:
                # An entry that expired between its delivery and the answer has no fields.
                self.held += [(id, fields) for id, fields in reply[0][1] if fields]
        elif op.refused or reply == 0:  # somebody else was faster, or the dead letters
            for kind in (self.jobs.ended, self.jobs.rejected):
                self.jobs.forget(op, op.data[1], kind)


def can_expire(client):
    (reply,) = client.pipeline([("XADD", "probe", "PX", 1, "NOMKSTREAM", "*", "a", "b")])
    return not isinstance(reply, ReplyError)


def make_broker(world, client):
    """Adds actors to the world, and returns the queues that they work on."""
    queues = []
    if "LLEASE" in world.known:
        leased = Leased(world, b"leased")
        queues.append(leased)
        world.actors += [Pusher(world, world.child(), leased)]
        world.actors += [Leaser(world, world.child(), leased) for _ in range(2)]
    if "XNACK" in world.known:
        for name, brief in ((b"jobs", False), (b"brief", True)):
            if brief and not can_expire(client):
                continue
            jobs = Jobs(world, name, brief)
            queues.append(jobs)
            world.actors += [Sender(world, world.child(), jobs)]
            world.actors += [Performer(world, world.child(), jobs, n) for n in range(2)]
    for queue in queues:
        queue.create(client)
    return queues
