"""Keys that one connection alone writes, and a small model of what Redis makes of them.

Because nobody else touches these keys, every reply is known beforehand, and after a crash the keys
must show the state after the j-th thing the connection sent, for one and the same j on all keys,
with j not before the last answered thing and not after the last sent one. A MULTI is one thing.
"""
import copy

from resp import ReplyError, pairs, text


def parse_id(value):
    ms, seq = value.split(b"-")
    return int(ms), int(seq)


class Stream:
    """What XINFO and XPENDING can tell about a stream. `plain` ends when entries are removed: from
    then on entries-read is an estimate that depends on more than this model keeps."""

    def __init__(self):
        self.entries, self.last, self.max_deleted = {}, (0, 0), (0, 0)
        self.added, self.groups, self.plain = 0, {}, True

    def shape(self):
        groups = {}
        for name, group in self.groups.items():
            pending = [(id, owner, count) for id, (owner, count) in sorted(group["pending"].items())]
            counts = {consumer: 0 for consumer in group["consumers"]}
            for _, owner, _ in pending:
                counts[owner] += 1
            read = (group["read"], self.added - group["read"]) if self.plain else None
            groups[name] = (group["last"], pending, sorted(counts.items()), read)
        entries = [(id, tuple(fields)) for id, fields in self.entries.items()]
        return ("stream", entries, self.last, self.max_deleted, self.added, groups)


class Model:
    """name -> value. str: bytes; list: list; hash: dict; set: set; zset: dict of int; stream."""

    def __init__(self):
        self.keys, self.expiry = {}, {}

    def get(self, key, make):
        if key not in self.keys:
            self.keys[key] = make()
        return self.keys[key]

    def remove(self, key):
        self.expiry.pop(key, None)
        return self.keys.pop(key, None)

    def save(self, keys):
        return {
            key: (copy.deepcopy(self.keys.get(key)), self.expiry.get(key)) for key in keys
        }

    def restore(self, saved):
        for key, (value, expiry) in saved.items():
            self.keys.pop(key, None)
            self.expiry.pop(key, None)
            if value is not None:
                self.keys[key] = value
            if expiry is not None:
                self.expiry[key] = expiry

    def shape(self, key):
        """The value as `observe` sees it."""
        value = self.keys.get(key)
        expiry = self.expiry.get(key, -1)
        if value is None:
            return None
        if isinstance(value, Stream):
            return (value.shape(), expiry)
        if isinstance(value, bytes):
            return (("string", value), expiry)
        if isinstance(value, list):
            return (("list", value), expiry)
        if isinstance(value, set):
            return (("set", value), expiry)
        kind = "zset" if key.split(b":")[-1].startswith(b"z") else "hash"
        return ((kind, value), expiry)

    def apply(self, command):
        """The reply Redis gives."""
        name, *arguments = command
        return getattr(self, "do_" + name.lower())(*[text(a) for a in arguments])

    # strings and keys
    def do_set(self, key, value):
        self.remove(key)
        self.keys[key] = value
        return b"OK"

    def do_append(self, key, value):
        self.keys[key] = self.keys.get(key, b"") + value
        return len(self.keys[key])

    def do_incrby(self, key, amount):
        self.keys[key] = text(int(self.keys.get(key, b"0")) + int(amount))
        return int(self.keys[key])

    def do_del(self, *keys):
        return sum(self.remove(key) is not None for key in keys)

    def do_pexpireat(self, key, when):
        if key not in self.keys:
            return 0
        self.expiry[key] = int(when)
        return 1

    def do_persist(self, key):
        return int(self.expiry.pop(key, None) is not None)

    def do_rename(self, key, other):
        expiry = self.expiry.get(key)
        value = self.remove(key)
        self.remove(other)
        self.keys[other] = value
        if expiry is not None:
            self.expiry[other] = expiry
        return b"OK"

    # lists
    def do_rpush(self, key, *values):
        self.get(key, list).extend(values)
        return len(self.keys[key])

    def do_lpush(self, key, *values):
        self.get(key, list)[:0] = reversed(values)
        return len(self.keys[key])

    def _pop(self, key, count, left):
        items = self.keys.get(key)
        if items is None:
            return None
        taken = [items.pop(0 if left else -1) for _ in range(min(int(count or 1), len(items)))]
        if not items:
            self.remove(key)
        return taken if count is not None else taken[0]

    def do_lpop(self, key, count=None):
        return self._pop(key, count, True)

    def do_rpop(self, key, count=None):
        return self._pop(key, count, False)

    def do_lmove(self, key, other, where, to):
        items = self.keys.get(key)
        if key == other and items is not None:  # a rotation; the key never goes away
            value = items.pop(0 if where == b"LEFT" else -1)
            items.insert(0 if to == b"LEFT" else len(items), value)
            return value
        value = self._pop(key, None, where == b"LEFT")
        if value is not None:
            self.get(other, list).insert(0 if to == b"LEFT" else len(self.keys[other]), value)
        return value

    def do_lset(self, key, index, value):
        self.keys[key][int(index)] = value
        return b"OK"

    def do_linsert(self, key, where, pivot, value):
        items = self.keys.get(key)
        if items is None:
            return 0
        if pivot not in items:
            return -1
        items.insert(items.index(pivot) + (where == b"AFTER"), value)
        return len(items)

    def do_lrem(self, key, count, value):
        items = self.keys.get(key)
        if items is None or value not in items:
            return 0
        items.remove(value)  # count is always 1 here
        if not items:
            self.remove(key)
        return 1

    def do_ltrim(self, key, start, stop):
        items = self.keys.get(key)
        if items is not None:
            items[:] = items[int(start) : int(stop) + 1]
            if not items:
                self.remove(key)
        return b"OK"

    # hashes, sets, sorted sets
    def do_hset(self, key, *flat):
        fields = self.get(key, dict)
        new = sum(field not in fields for field in set(flat[::2]))
        fields.update(zip(flat[::2], flat[1::2]))
        return new

    def do_hincrby(self, key, field, amount):
        fields = self.get(key, dict)
        fields[field] = text(int(fields.get(field, b"0")) + int(amount))
        return int(fields[field])

    def _drop(self, key, members):
        items = self.keys.get(key)
        if items is None:
            return 0
        gone = [member for member in set(members) if member in items]
        for member in gone:
            items.remove(member) if isinstance(items, set) else items.pop(member)
        if not items:
            self.remove(key)
        return len(gone)

    def do_hdel(self, key, *fields):
        return self._drop(key, fields)

    def do_sadd(self, key, *members):
        items = self.get(key, set)
        before = len(items)
        items.update(members)
        return len(items) - before

    def do_srem(self, key, *members):
        return self._drop(key, members)

    def do_zadd(self, key, *flat):
        items = self.get(key, dict)
        new = sum(member not in items for member in set(flat[1::2]))
        for score, member in zip(flat[::2], flat[1::2]):
            items[member] = int(score)
        return new

    def do_zincrby(self, key, amount, member):
        items = self.get(key, dict)
        items[member] = items.get(member, 0) + int(amount)
        return text(items[member])

    def do_zrem(self, key, *members):
        return self._drop(key, members)

    # streams
    def do_xadd(self, key, id, *fields):
        stream = self.get(key, Stream)
        stream.last = parse_id(id)
        stream.entries[stream.last] = list(fields)
        stream.added += 1
        return id

    def do_xdel(self, key, *ids):
        stream = self.keys.get(key)
        gone = 0
        for id in map(parse_id, ids):
            if stream is not None and stream.entries.pop(id, None) is not None:
                gone += 1
                stream.plain = False
                stream.max_deleted = max(stream.max_deleted, id)
        return gone

    def do_xtrim(self, key, _maxlen, _exactly, length):
        stream = self.keys.get(key)
        gone = 0
        while stream is not None and len(stream.entries) > int(length):
            del stream.entries[next(iter(stream.entries))]
            stream.plain = False
            gone += 1
        return gone

    def do_xgroup(self, what, key, group, *rest):
        what, stream = what.upper(), self.keys.get(key)
        if what == b"CREATE":
            stream = self.get(key, Stream)
            if group in stream.groups:
                return ReplyError("BUSYGROUP Consumer Group name already exists")
            stream.groups[group] = {
                "last": (0, 0), "read": 0, "pending": {}, "consumers": set(),
            }
            return b"OK"
        if what == b"DESTROY":
            return int(stream.groups.pop(group, None) is not None)
        assert what == b"DELCONSUMER"
        state = stream.groups[group]
        gone = [id for id, (owner, _) in state["pending"].items() if owner == rest[0]]
        for id in gone:
            del state["pending"][id]
        state["consumers"].discard(rest[0])
        return len(gone)

    def do_xreadgroup(self, _group, group, consumer, _count, count, _streams, key, _new):
        stream = self.keys[key]
        state = stream.groups[group]
        state["consumers"].add(consumer)
        new = [id for id in stream.entries if id > state["last"]][: int(count)]
        for id in new:
            state["pending"][id] = [consumer, 1]
            state["last"], state["read"] = id, state["read"] + 1
        if not new:
            return None
        return [[key, [[b"%d-%d" % id, stream.entries[id]] for id in new]]]

    def do_xack(self, key, group, *ids):
        pending = self.keys[key].groups[group]["pending"]
        return sum(pending.pop(parse_id(id), None) is not None for id in ids)

    def do_xclaim(self, key, group, consumer, _idle, *ids):
        stream = self.keys[key]
        state, out = stream.groups[group], []
        state["consumers"].add(consumer)
        for id in map(parse_id, ids):
            if id not in state["pending"]:
                continue
            if id not in stream.entries:
                del state["pending"][id]
                continue
            state["pending"][id] = [consumer, state["pending"][id][1] + 1]
            out.append([b"%d-%d" % id, stream.entries[id]])
        return out


def difference(wanted, got):
    """Where two shapes first differ, in words."""
    if type(wanted) is type(got) and isinstance(wanted, (list, tuple)):
        for at, (one, other) in enumerate(zip(wanted, got)):
            if one != other:
                return f"[{at}]{difference(one, other)}"
        return f": {len(got)} items instead of {len(wanted)}"
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in sorted(set(wanted) | set(got)):
            if wanted.get(key) != got.get(key):
                return f"[{key!r}]{difference(wanted.get(key), got.get(key))}"
    return f": {got!r:.200} instead of {wanted!r:.200}"


def without_idle_consumers(shape):
    """For redis-server, which forgets a consumer that never had anything."""
    if shape is None or shape[0][0] != "stream":
        return shape
    groups = {
        name: (last, pending, [c for c in counts if c[1]], read)
        for name, (last, pending, counts, read) in shape[0][5].items()
    }
    return ((*shape[0][:5], groups), shape[1])


def observe(client, keys, plain_streams):
    """What the server shows of these keys, in the form of Model.shape."""
    types = client.pipeline([("TYPE", key) for key in keys])
    expiries = client.pipeline([("PEXPIRETIME", key) for key in keys])
    reads = {
        b"string": lambda key: ("GET", key),
        b"list": lambda key: ("LRANGE", key, 0, -1),
        b"hash": lambda key: ("HGETALL", key),
        b"set": lambda key: ("SMEMBERS", key),
        b"zset": lambda key: ("ZRANGE", key, 0, -1, "WITHSCORES"),
        b"stream": lambda key: ("XRANGE", key, "-", "+"),
    }
    found = {}
    there = [(k, t, e) for k, t, e in zip(keys, types, expiries) if t != b"none"]
    values = client.pipeline([reads[kind](key) for key, kind, _ in there])
    for (key, kind, expiry), value in zip(there, values):
        if isinstance(value, ReplyError):
            raise AssertionError(f"reading {key!r}: {value}")
        if kind == b"hash":
            value = pairs(value)
        elif kind == b"set":
            value = set(value)
        elif kind == b"zset":
            value = {member: int(float(score)) for member, score in pairs(value).items()}
        if kind == b"stream":
            shape = observe_stream(client, key, value, key in plain_streams)
        else:
            shape = (kind.decode(), value)
        found[key] = (shape, expiry)
    return found


def observe_stream(client, key, value, plain):
    entries = [(parse_id(id), tuple(fields)) for id, fields in value]
    info = pairs(client.call("XINFO", "STREAM", key))
    if info[b"length"] != len(entries):
        raise AssertionError(f"{key!r}: length {info[b'length']}, {len(entries)} entries")
    groups = {}
    for flat in client.call("XINFO", "GROUPS", key):
        group = pairs(flat)
        name = group[b"name"]
        pending = [
            (parse_id(id), owner, count)
            for id, owner, _, count in client.call("XPENDING", key, name, "-", "+", 100000)
        ]
        if group[b"pending"] != len(pending):
            raise AssertionError(f"{key!r} {name!r}: pending {group[b'pending']}, {len(pending)} there")
        consumers = [pairs(flat) for flat in client.call("XINFO", "CONSUMERS", key, name)]
        counts = sorted((c[b"name"], c[b"pending"]) for c in consumers)
        read = (group[b"entries-read"] or 0, group[b"lag"]) if plain else None
        groups[name] = (parse_id(group[b"last-delivered-id"]), pending, counts, read)
    return (
        "stream", entries, parse_id(info[b"last-generated-id"]),
        parse_id(info[b"max-deleted-entry-id"]), info[b"entries-added"], groups,
    )


class Generator:
    """Random commands on the keys of one connection, valid in the state the model is in."""

    def __init__(self, prefix, model, rng, known):
        self.prefix, self.model, self.rng, self.known = prefix, model, rng, known
        self.counter = 0
        self.sequence = 0
        self.makers = [
            (self.string, 6), (self.list, 10), (self.hash, 3), (self.set, 2), (self.zset, 3),
            (self.stream, 9), (self.key, 2),
        ]

    def pick(self, kind):
        return b"%s:%s%d" % (self.prefix, kind, self.rng.randrange(3))

    def value(self):
        """Never the same twice. Mostly small, sometimes of several pages, rarely above 1 MiB."""
        self.counter += 1
        roll = self.rng.random()
        size = 0 if roll < 0.5 else 60 if roll < 0.85 else 700 if roll < 0.97 else 9000
        if roll > 0.9997:
            size = 1_300_000
        return b"%d" % self.counter + b"." * size

    def command(self):
        for _ in range(50):
            maker = self.rng.choices([m for m, _ in self.makers], [w for _, w in self.makers])[0]
            command = maker()
            if command is not None and command[0] in self.known:
                return command
        return ("SET", self.pick(b"s"), self.value())

    def string(self):
        key, roll = self.pick(b"s"), self.rng.random()
        if roll < 0.6:
            return ("SET", key, self.value())
        if roll < 0.8:
            return ("INCRBY", b"%s:n" % self.prefix, self.rng.randint(-5, 50))
        if len(self.model.keys.get(key, b"")) < 5000:
            return ("APPEND", key, self.value()[:500])
        return ("DEL", key)

    def key(self):
        key = self.pick(self.rng.choice([b"s", b"l", b"h", b"x"]))
        roll = self.rng.random()
        if roll < 0.4:
            return ("PEXPIREAT", key, 4_000_000_000_000 + self.rng.randrange(10**9))
        if roll < 0.6:
            return ("PERSIST", key)
        if roll < 0.8:
            return ("DEL", key, self.pick(b"l"))
        other = self.pick(key[len(self.prefix) + 1 : len(self.prefix) + 2])
        return ("RENAME", key, other) if key in self.model.keys and key != other else None

    def list(self):
        key = self.pick(b"l")
        items = self.model.keys.get(key, [])
        if len(items) > 60:
            return ("LTRIM", key, self.rng.randrange(10), 30)
        roll = self.rng.randrange(9)
        if roll < 3:
            values = [self.value() for _ in range(self.rng.choice([1, 1, 2, 5]))]
            return (self.rng.choice(["RPUSH", "LPUSH"]), key, *values)
        if roll == 3:
            count = [self.rng.randint(1, 4)] if self.rng.random() < 0.3 else []
            return (self.rng.choice(["LPOP", "RPOP"]), key, *count)
        if roll == 4:
            sides = [self.rng.choice(["LEFT", "RIGHT"]) for _ in range(2)]
            return ("LMOVE", key, self.pick(b"l"), *sides)
        if not items:
            return None
        if roll == 5:
            return ("LSET", key, self.rng.randrange(len(items)), self.value())
        if roll == 6:
            return ("LREM", key, 1, self.rng.choice(items))
        if roll == 7:
            side = self.rng.choice(["BEFORE", "AFTER"])
            return ("LINSERT", key, side, self.rng.choice(items), self.value())
        return ("RPOP", key)

    def hash(self):
        key, field = self.pick(b"h"), b"f%d" % self.rng.randrange(20)
        roll = self.rng.randrange(4)
        if roll < 2:
            return ("HSET", key, field, self.value(), b"f%d" % self.rng.randrange(20, 40), b"x")
        return ("HINCRBY", key, b"n", 3) if roll == 2 else ("HDEL", key, field)

    def set(self):
        key, member = self.pick(b"t"), b"m%d" % self.rng.randrange(30)
        return (self.rng.choice(["SADD", "SADD", "SREM"]), key, member)

    def zset(self):
        key, member = self.pick(b"z"), b"m%d" % self.rng.randrange(30)
        roll = self.rng.randrange(4)
        if roll < 2:
            return ("ZADD", key, self.rng.randint(-1000, 1000), member)
        return ("ZINCRBY", key, 7, member) if roll == 2 else ("ZREM", key, member)

    def stream(self):
        key = self.pick(b"x")
        stream = self.model.keys.get(key)
        roll = self.rng.randrange(12)
        if stream is None or roll < 4:
            if stream is not None and len(stream.entries) > 40:
                return ("XTRIM", key, "MAXLEN", "=", 15)
            self.sequence += 1
            id = b"%d-%d" % (self.sequence, self.rng.randrange(3))
            return ("XADD", key, id, b"n", self.value(), b"k", b"v")
        if not stream.groups or roll == 4:
            name = b"g%d" % self.rng.randrange(2)
            if name in stream.groups:
                return ("XGROUP", "DESTROY", key, name) if self.rng.random() < 0.1 else None
            return ("XGROUP", "CREATE", key, name, "0")
        name = self.rng.choice(sorted(stream.groups))
        consumer = b"c%d" % self.rng.randrange(3)
        pending = sorted(stream.groups[name]["pending"])
        if roll < 8 or not pending:
            count = self.rng.randint(1, 5)
            return ("XREADGROUP", "GROUP", name, consumer, "COUNT", count, "STREAMS", key, ">")
        some = [b"%d-%d" % id for id in self.rng.sample(pending, min(len(pending), 3))]
        if roll < 10:
            return ("XACK", key, name, *some)
        if roll == 10:
            return ("XCLAIM", key, name, consumer, 0, *some)
        if self.rng.random() < 0.2 and stream.groups[name]["consumers"]:
            consumer = self.rng.choice(sorted(stream.groups[name]["consumers"]))
            return ("XGROUP", "DELCONSUMER", key, name, consumer)
        if stream.entries and self.rng.random() < 0.3:
            return ("XDEL", key, b"%d-%d" % self.rng.choice(list(stream.entries)))
        return None


class BulkGenerator:
    """Large strings, one after the other: many bytes through the journal, many checkpoints."""

    def __init__(self, prefix, rng):
        self.prefix, self.rng, self.count = prefix, rng, 0

    def command(self):
        self.count += 1
        key = b"%s:s%d" % (self.prefix, self.rng.randrange(40))
        filler = b"%c" % (97 + self.count % 26)
        return ("SET", key, b"%d:" % self.count + filler * self.rng.randrange(20_000, 150_000))
