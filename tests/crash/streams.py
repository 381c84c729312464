"""A stream with several producers and consumer groups: who has what, and what is acknowledged."""
from private import parse_id
from resp import pairs
from workload import Actor, Failure, Op

MOST_UNREAD = 4000


def show(id):
    return b"%d-%d" % id


class Run:
    def __init__(self):
        self.ops, self.sent, self.last = [], 0, None


class Group:
    """`history` has, per entry, what may have happened to it since it was last settled: a list of
    (state, op), states being ("pending", consumer, count) and "acked"."""

    def __init__(self, name):
        self.name = name
        self.history = {}
        self.acked = set()  # settled for good
        self.last = (0, 0)  # last-delivered-id when last settled
        self.lost_reads = {}  # consumer -> how many entries unanswered reads may have delivered
        self.left_behind = []  # (consumer, ids) that nobody works on any more
        self.consumers = []


class Stream:
    def __init__(self, world, name, groups):
        self.world, self.name = world, name
        self.runs = {}
        self.entries = {}  # id -> (run, number), everything that ever existed
        self.deleted = {}  # id -> the XDEL, answered or not; None when settled
        self.groups = [Group(b"group%d" % number) for number in range(groups)]
        self.unread = 0

    def create(self, client):
        for group in self.groups:
            client.call("XGROUP", "CREATE", self.name, group.name, "0", "MKSTREAM")

    def check(self, client, required):
        info = pairs(client.call("XINFO", "STREAM", self.name))
        listed = read_stream(client, self.name)
        present = {id for id, _ in listed}
        self.check_entries(self.with_deleted(listed, present, info), required)
        self.check_deleted(present, required)
        if not info[b"length"] == client.call("XLEN", self.name) == len(listed):
            raise Failure(f"{self.name}: length {info[b'length']}, {len(listed)} entries")
        added = len(self.entries)
        if info[b"entries-added"] != added:
            raise Failure(f"{self.name}: entries-added {info[b'entries-added']}, really {added}")
        last = max(self.entries, default=(0, 0))
        if parse_id(info[b"last-generated-id"]) != last:
            raise Failure(f"{self.name}: last-generated-id {info[b'last-generated-id']}, not {last}")
        gone = max((id for id in self.entries if id not in present), default=(0, 0))
        if parse_id(info[b"max-deleted-entry-id"]) != gone:
            raise Failure(f"{self.name}: max-deleted {info[b'max-deleted-entry-id']}, not {gone}")
        infos = {pairs(i)[b"name"]: pairs(i) for i in client.call("XINFO", "GROUPS", self.name)}
        if set(infos) != {group.name for group in self.groups}:
            raise Failure(f"{self.name}: groups {sorted(infos)}")
        for group in self.groups:
            self.check_group(client, group, infos[group.name], required)
        self.deleted = {id: None for id in self.entries if id not in present}

    def with_deleted(self, listed, present, info):
        """The entries as they were before the janitor came. An answered one that is neither there
        nor beyond the stream's last id was deleted (or is lost: check_deleted tells)."""
        last = parse_id(info[b"last-generated-id"])
        gone = []
        for run in self.runs.values():
            for op in run.ops:
                if op.answered is not None and not op.refused:
                    id = parse_id(op.ids[0])
                    if id not in present and id <= last:
                        gone.append((id, fields_of(*op.data)))
        return sorted(listed + gone, key=lambda entry: entry[0])

    def check_entries(self, listed, required):
        """Every run is there from 1 on, in order, up to at least the last required entry."""
        previous = (0, 0)
        numbers = {}
        answered = {}
        for run in self.runs.values():
            for op in run.ops:
                if op.answered is not None and not op.refused:
                    answered[op.data] = op
        for id, fields in listed:
            if id <= previous:
                raise Failure(f"{self.name}: {id} after {previous}")
            previous = id
            place = check_fields(id, fields)
            known = self.entries.get(id)
            if known is not None and known != place:
                raise Failure(f"{self.name}: {id} was {known}, is {place}")
            if known is not None:
                continue
            run, number = place
            if run not in self.runs or number > self.runs[run].sent:
                raise Failure(f"{self.name}: {id} {place} was never sent, or is there twice")
            if number != numbers.get(run, 0) + 1:
                raise Failure(f"{self.name}: {place} after number {numbers.get(run, 0)}")
            numbers[run] = number
            op = answered.get(place)
            if op is not None and parse_id(op.ids[0]) != id:
                raise Failure(f"{self.name}: {place} was answered {op.ids[0]}, is at {id}")
            self.entries[id] = place
        for name, run in self.runs.items():
            needed = max((op.data[1] for op in run.ops if required(op)), default=0)
            if numbers.get(name, 0) < needed:
                raise Failure(
                    f"{self.name}: run {name} ends at {numbers.get(name, 0)}, answered to {needed}"
                )
            run.last = numbers.get(name, 0)
        self.runs = {}

    def check_deleted(self, present, required):
        for id in self.entries:
            if id in present:
                if id in self.deleted and (
                    self.deleted[id] is None or required(self.deleted[id])
                ):
                    raise Failure(f"{self.name}: {id} was deleted and is back")
            elif id not in self.deleted:
                raise Failure(f"{self.name}: {id} {self.entries[id]} is lost")

    def check_group(self, client, group, info, required):
        where = f"{self.name} {group.name}"
        pending = read_pending(client, self.name, group.name)
        last = parse_id(info[b"last-delivered-id"])
        if last != (0, 0) and last not in self.entries:
            raise Failure(f"{where}: last-delivered-id {last} never existed")
        if info[b"pending"] != len(pending):
            raise Failure(f"{where}: pending {info[b'pending']}, {len(pending)} listed")
        read = sum(id <= last for id in self.entries)
        lag = info[b"lag"]
        if lag is None and last in self.deleted:  # Redis cannot tell then
            lag = len(self.entries) - read
        exact = (info[b"entries-read"] or 0) == read and lag == len(self.entries) - read
        if not exact and not self.world.lenient:
            raise Failure(
                f"{where}: entries-read {info[b'entries-read']}, lag {info[b'lag']}; really"
                f" {read} and {len(self.entries) - read}"
            )
        self.check_consumers(client, group, pending, where)
        if last < group.last:
            raise Failure(f"{where}: last-delivered-id went back from {group.last} to {last}")
        surprises = {}
        for id in self.entries:
            if id > last:
                state = "new"
            elif id in pending:
                state = ("pending", *pending[id])
            else:
                state = "acked"
            self.check_state(group, id, state, required, surprises, where)
        for consumer, ids in surprises.items():
            if len(ids) > group.lost_reads.get(consumer, 0):
                raise Failure(f"{where}: {consumer} got {ids[:3]}... without asking")
        if any(id not in self.entries for id in pending):
            raise Failure(f"{where}: pending entries that never existed")
        self.settle(group, pending, last)

    def check_consumers(self, client, group, pending, where):
        counts = {}
        for consumer, _ in pending.values():
            counts[consumer] = counts.get(consumer, 0) + 1
        for flat in client.call("XINFO", "CONSUMERS", self.name, group.name):
            consumer = pairs(flat)
            if consumer[b"pending"] != counts.pop(consumer[b"name"], 0):
                raise Failure(f"{where}: pending of {consumer[b'name']} is {consumer[b'pending']}")
        if counts:
            raise Failure(f"{where}: pending entries of consumers that are not there: {counts}")
        summary = client.call("XPENDING", self.name, group.name)
        if summary[0] != len(pending):
            raise Failure(f"{where}: XPENDING says {summary[0]}, {len(pending)} listed")

    def check_state(self, group, id, state, required, surprises, where):
        if id in group.acked:
            if state != "acked":
                raise Failure(f"{where}: {id} was acknowledged before and is {state}")
            return
        history = group.history.get(id, [])
        floor = max((i for i, (_, op) in enumerate(history) if op is None or required(op)), default=-1)
        possible = [s for s, _ in history[max(floor, 0) :]]
        if floor < 0:
            possible.append("new")
            if not history and state != "new" and state != "acked" and state[2] == 1:
                surprises.setdefault(state[1], []).append(id)
                return
        if state not in possible:
            raise Failure(f"{where}: {id} is {state}, ought to be one of {possible}")

    def settle(self, group, pending, last):
        group.last = last
        group.acked = {id for id in self.entries if id <= last and id not in pending}
        group.history = {id: [(("pending", *state), None)] for id, state in pending.items()}
        group.lost_reads = {}
        owned = {}
        for id, (consumer, _) in pending.items():
            owned.setdefault(consumer, []).append(id)
        for actor in group.consumers:
            actor.own = owned.pop(actor.consumer, [])
            actor.last = last
        group.left_behind = sorted(owned.items())
        if group is self.groups[0]:
            self.unread = sum(id > last for id in self.entries)


def read_stream(client, key):
    out, start = [], "-"
    while True:
        page = client.call("XRANGE", key, start, "+", "COUNT", 1000)
        out += [(parse_id(id), fields) for id, fields in page]
        if len(page) < 1000:
            return out
        start = b"(" + page[-1][0]


def read_pending(client, key, group):
    out, start = {}, "-"
    while True:
        page = client.call("XPENDING", key, group, start, "+", 1000)
        for id, consumer, _, count in page:
            out[parse_id(id)] = (consumer, count)
        if len(page) < 1000:
            return out
        start = b"(" + page[-1][0]


def fields_of(run, number):
    size = 6000 if number % 60 == 0 else (number * 131) % 90
    return [b"run", b"%d" % run, b"number", b"%d" % number, b"filler", b"%c" % (97 + number % 26) * size]


def check_fields(id, fields):
    place = int(fields[1]), int(fields[3])
    if fields != fields_of(*place):
        raise Failure(f"entry {id} is damaged: {fields!r:.200}")
    return place


class Adder(Actor):
    def __init__(self, world, rng, stream, number, counting):
        super().__init__(world, rng)
        self.stream = stream
        # A second stream in the same MULTI; it must always have the same numbers.
        self.twin = b"%s:twin:%d" % (stream.name, number) if counting else None
        self.last = (0, 0)
        self.renew()

    def renew(self):
        self.run = self.world.next_run()
        self.state = self.stream.runs[self.run] = Run()

    def batch(self):
        if self.stream.unread > MOST_UNREAD:
            return []
        run, ops = self.state, []
        for _ in range(self.depth(8)):
            run.sent += 1
            fields = fields_of(self.run, run.sent)
            commands = [("XADD", self.stream.name, "*", *fields)]
            if self.twin:
                twin = ("XADD", self.twin, "MAXLEN", "=", 10, "*", *fields)
                commands = [("MULTI",), *commands, twin, ("EXEC",)]
            op = StreamOp(commands, (self.run, run.sent))
            ops.append(op)
            run.ops.append(op)
        return ops

    def done(self, op):
        if op.refused:
            self.state.ops.remove(op)
            self.state.sent = op.data[1] - 1
            return
        op.ids = op.replies[-1] if self.twin else op.replies
        self.stream.unread += 1
        id = parse_id(op.ids[0])
        if id <= self.last:
            raise Failure(f"{self.stream.name}: XADD answered {id} after {self.last}")
        self.last = id

    def check(self, client, required):
        """The twin ends with the very entry that this producer's part of the stream ends with."""
        if self.twin is None:
            return
        entries = client.call("XRANGE", self.twin, "-", "+")
        numbers = [check_fields(id, fields) for id, fields in entries]
        last = max((number for run, number in numbers if run == self.run), default=0)
        if last != self.state.last:
            raise Failure(f"{self.twin} ends at {last}, its other half at {self.state.last}")
        if numbers != sorted(numbers):
            raise Failure(f"{self.twin} is out of order: {numbers}")


class StreamOp(Op):
    __slots__ = ("ids",)


class Consumer(Actor):
    def __init__(self, world, rng, stream, group, number):
        super().__init__(world, rng)
        self.stream, self.group, self.number = stream, group, number
        self.own, self.last, self.lives = [], (0, 0), 0
        self.rename()
        group.consumers.append(self)

    def rename(self):
        self.lives += 1
        self.consumer = b"c%d.%d" % (self.number, self.lives)

    def batch(self):
        roll = self.rng.random()
        if roll < 0.02 and self.own:
            # This worker dies; somebody else will claim what it had.
            self.group.left_behind.append((self.consumer, self.own))
            self.own = []
            self.rename()
        if roll > 0.9 and self.group.left_behind and len(self.own) < 200:
            return [self.claim()]
        if self.own and (len(self.own) > 150 or roll < 0.5):
            return [self.ack() for _ in range(self.depth(4)) if self.own]
        return [self.read() for _ in range(self.depth(4))]

    def read(self):
        count = self.rng.randint(1, 20)
        command = ["XREADGROUP", "GROUP", self.group.name, self.consumer, "COUNT", count]
        if self.rng.random() < 0.2:
            command += ["BLOCK", 20]
        return Op([(*command, "STREAMS", self.stream.name, ">")], ("read", self.consumer, count))

    def ack(self):
        self.rng.shuffle(self.own)
        count = self.rng.randint(1, min(len(self.own), 30))
        ids, self.own = self.own[:count], self.own[count:]
        op = Op([("XACK", self.stream.name, self.group.name, *map(show, ids))], ("ack", ids))
        for id in ids:
            self.group.history[id].append(("acked", op))
        return op

    def claim(self):
        name, ids = self.group.left_behind.pop()
        ids, rest = ids[:50], ids[50:]
        if rest:
            self.group.left_behind.append((name, rest))
        justid = self.rng.random() < 0.3
        command = ["XCLAIM", self.stream.name, self.group.name, self.consumer, 0, *map(show, ids)]
        op = Op([(*command, *(["JUSTID"] if justid else []))], ("claim", ids, justid))
        for id in ids:
            (_, _, count), _ = self.group.history[id][-1]
            self.group.history[id].append((("pending", self.consumer, count + (not justid)), op))
        return op

    def may_refuse(self, op):
        return op.data[0] != "ack"

    def done(self, op):
        kind, (reply,) = op.data[0], op.replies
        if op.refused:
            if kind != "read":
                for id in op.data[1]:
                    self.group.history[id].pop()
                self.own += op.data[1]
        elif kind == "ack":
            if reply != len(op.data[1]):
                raise Failure(f"{op.commands!r:.200} answered {reply}, not {len(op.data[1])}")
        elif kind == "claim":
            got = [parse_id(item if op.data[2] else item[0]) for item in reply]
            if got != op.data[1]:
                raise Failure(f"{op.commands!r:.200} answered {reply!r:.200}")
            self.own += got
        elif reply is not None:
            self.took(op, reply[0][1])

    def took(self, op, entries):
        for id, fields in entries:
            id = parse_id(id)
            check_fields(id, fields)
            if id <= self.last or id in self.group.acked or id in self.group.history:
                raise Failure(f"{self.stream.name} {self.group.name}: {id} was delivered again")
            self.last = id
            self.group.history[id] = [(("pending", op.data[1], 1), op)]
            self.own.append(id)
        if self.group is self.stream.groups[0]:
            self.stream.unread -= len(entries)

    def lost(self, op):
        if op.data[0] == "read":
            lost = self.group.lost_reads
            lost[op.data[1]] = lost.get(op.data[1], 0) + op.data[2]


class Janitor(Actor):
    """Deletes entries that every group has acknowledged."""

    def __init__(self, world, rng, stream):
        super().__init__(world, rng)
        self.stream = stream

    def batch(self):
        ready = []
        for id in self.candidates():
            if id not in self.stream.deleted and all(self.acked(g, id) for g in self.stream.groups):
                ready.append(id)
                if len(ready) == 20:
                    break
        if not ready:
            return []
        op = Op([("XDEL", self.stream.name, *map(show, ready))], ready)
        for id in ready:
            self.stream.deleted[id] = op
        return [op]

    def candidates(self):
        history = self.stream.groups[0].history
        keys = list(history)
        return self.rng.sample(keys, min(len(keys), 60))

    def acked(self, group, id):
        if id in group.acked:
            return True
        history = group.history.get(id)
        return bool(history) and history[-1][0] == "acked" and history[-1][1].answered is not None

    def may_refuse(self, op):
        return False

    def done(self, op):
        if op.refused:
            for id in op.data:
                del self.stream.deleted[id]
        elif op.replies[0] != len(op.data):
            raise Failure(f"XDEL of {len(op.data)} entries answered {op.replies[0]}")
