"""Lists as queues: several producers, poppers and movers on one list.

An element carries its producer, its number and a filler that follows from them. A producer numbers
from 1 and begins a new "run" after every crash, so that in the list a run is always one unbroken
stretch of numbers in order.
"""
from workload import Actor, Failure, Op

MOST_WAITING = 3000


def element(run, number):
    size = (number * 7919 + run * 31) % 40
    if number % 50 == 0:
        size = 5000
    if number % 4001 == 4000:
        size = 300_000
    return b"%d:%d:" % (run, number) + b"%c" % (97 + number % 26) * size


def parse(value):
    try:
        run, number = (int(part) for part in value.split(b":", 2)[:2])
    except ValueError:
        raise Failure(f"not an element of ours: {value[:80]!r}") from None
    if element(run, number) != value:
        raise Failure(f"element {run}:{number} is damaged: {value[:80]!r}")
    return run, number


class Run:
    """One producer's stretch of elements between two crashes."""

    def __init__(self):
        self.ops = []  # every push sent; op.data is (run, first, last)
        self.sent = 0
        self.first = 1  # the lowest number that may still be in the list
        self.last = None  # the highest number that exists, once settled
        self.counted = None  # what the producer's counter says about it
        self.found_last = 0  # the highest number that the last check was sure of


class Queue:
    def __init__(self, world, name, reverse):
        self.world, self.name, self.reverse = world, name, reverse
        self.push = "LPUSH" if reverse else "RPUSH"
        self.pop = "RPOP" if reverse else "LPOP"
        self.ends = ("RIGHT", "LEFT") if reverse else ("LEFT", "RIGHT")
        self.runs = {}
        self.popped = {}  # (run, number) -> the answered pop
        self.moved = {}  # (run, number) -> (mover, the answered move, or None when settled)
        self.acking = {}  # (run, number) -> the LREM, answered or not
        self.lost_pops = 0  # how many elements unanswered pops may have taken
        self.lost_moves = {}  # mover -> the same for moves
        self.waiting = 0
        self.movers = []
        self.counters = {}  # producer -> what its counter was when last settled

    def next_run(self, producer):
        number = self.world.next_run()
        self.runs[number] = Run()
        return number

    def took(self, op, value, last):
        """Checks one element that an answered pop or move brought."""
        run, number = place = parse(value)
        if run not in self.runs or number > self.runs[run].sent:
            raise Failure(f"{self.name}: {place} came out but was never pushed")
        settled = self.runs[run].last
        if place in self.popped or place in self.moved or number < self.runs[run].first or (
            settled is not None and number > settled
        ):
            raise Failure(f"{self.name}: {place} came out a second time")
        if number <= last.get(run, 0):
            raise Failure(f"{self.name}: {place} came out after number {last[run]}")
        last[run] = number
        self.waiting -= 1
        return place

    def check(self, client, required):
        listed = [parse(value) for value in read_list(client, self.name)]
        length = client.call("LLEN", self.name)
        if length != len(listed):
            raise Failure(f"{self.name}: LLEN {length}, {len(listed)} elements")
        held = {}
        for mover in self.movers:
            held[mover] = [parse(value) for value in read_list(client, mover.key)]
        if self.reverse:
            listed.reverse()  # now in the order in which they were pushed
        where = {place: None for place in listed}
        for mover, places in held.items():
            self.check_order(places, mover.key)
            where.update((place, mover) for place in places)
        if len(where) != len(listed) + sum(map(len, held.values())):
            raise Failure(f"{self.name}: an element is there twice")
        self.read_counters(client)
        missing, in_list = 0, {}
        for run, number in listed:
            in_list.setdefault(run, []).append(number)
        for run in set(in_list) - set(self.runs):
            raise Failure(f"{self.name}: run {run} never was")
        for number, run in self.runs.items():
            missing += self.check_run(number, run, in_list.get(number, []), where, required)
        if missing > self.lost_pops:
            raise Failure(
                f"{self.name}: {missing} elements are lost, unanswered pops explain"
                f" {self.lost_pops}"
            )
        self.check_held(held, where, required)
        self.settle(in_list, held)

    def check_order(self, places, name):
        last = {}
        for run, number in places:
            if number <= last.get(run, 0):
                raise Failure(f"{name}: {run}:{number} after {run}:{last[run]}")
            last[run] = number

    def check_run(self, name, run, numbers, where, required):
        """Returns how many elements are gone without a trace."""
        if numbers and numbers != list(range(numbers[0], numbers[-1] + 1)):
            raise Failure(f"{self.name}: run {name} is not in one piece: {numbers!r:.300}")
        needed = max([op.data[2] for op in run.ops if required(op)], default=0)
        if run.last is not None:
            if numbers and numbers[-1] != run.last:
                raise Failure(f"{self.name}: run {name} ended at {run.last}, now at {numbers[-1]}")
            last = needed = run.last
        elif numbers:
            last = numbers[-1]
        else:
            others = [n for r, n in where if r == name]
            others += [n for (r, n), op in self.popped.items() if r == name and required(op)]
            last = max(others + [needed, run.counted or 0])
        if run.last is None and run.counted not in (None, last):
            raise Failure(
                f"{self.name}: run {name} has {last} elements, {run.counted} were counted in the"
                " same transactions"
            )
        if last < needed:
            raise Failure(f"{self.name}: run {name} ends at {last}, answered up to {needed}")
        if last > run.sent:
            raise Failure(f"{self.name}: run {name} has {last}, sent up to {run.sent}")
        if numbers and run.last is None and not any(op.data[2] == last for op in run.ops):
            raise Failure(f"{self.name}: only a part of one push of run {name} is there ({last})")
        run.found_last = last
        if numbers and numbers[0] < run.first:
            raise Failure(f"{self.name}: {name}:{numbers[0]} had gone before the last crash")
        for number in numbers:
            op = self.popped.get((name, number))
            if op is not None and required(op):
                raise Failure(f"{self.name}: {name}:{number} was popped and is there again")
        missing = 0
        for number in range(run.first, numbers[0] if numbers else last + 1):
            place = (name, number)
            if place in self.popped or place in self.acking or place in where:
                continue
            missing += 1
        return missing

    def check_held(self, held, where, required):
        """What was moved and not acknowledged is with its mover; what was acknowledged is not."""
        for place, (mover, op) in self.moved.items():
            ack = self.acking.get(place)
            if ack is not None and required(ack) and place in where:
                raise Failure(f"{self.name}: {place} was removed from {mover.key} and is back")
            if op is None or required(op):
                there = place in where and where[place] is mover
                if not there and (ack is None or place in where):
                    raise Failure(f"{self.name}: {place} was moved to {mover.key}, is not there")
        for mover, places in held.items():
            unknown = [place for place in places if place not in self.moved]
            if len(unknown) > self.lost_moves.get(mover, 0):
                raise Failure(f"{mover.key}: {unknown[:3]} were never moved there")
            for place in places:
                op = self.popped.get(place)
                if op is not None and required(op):
                    raise Failure(f"{mover.key}: {place} was popped and is here")

    def read_counters(self, client):
        """A producer that counts in the same MULTI has pushed exactly as many as it counted."""
        for producer, base in self.counters.items():
            count = int(client.call("GET", producer.counter) or 0)
            self.runs[producer.run].counted = count - base
            self.counters[producer] = count

    def settle(self, in_list, held):
        for name, run in list(self.runs.items()):
            numbers = in_list.get(name)
            if numbers:
                run.first, run.last, run.ops = numbers[0], run.found_last, []
            else:
                del self.runs[name]
        self.popped, self.acking, self.moved = {}, {}, {}
        for mover, places in held.items():
            mover.held = list(places)
            mover.last = {}
            for place in places:
                self.moved[place] = (mover, None)
        self.lost_pops, self.lost_moves = 0, {}
        self.waiting = sum(map(len, in_list.values()))


def read_list(client, key):
    """All elements, read piece by piece so that no reply gets huge."""
    length, out = client.call("LLEN", key), []
    pages = [("LRANGE", key, at, at + 199) for at in range(0, length + 200, 200)]
    for page in client.pipeline(pages):
        out += page
    return out


class Producer(Actor):
    def __init__(self, world, rng, queue, number, counting):
        super().__init__(world, rng)
        self.queue = queue
        self.counter = b"count:%s:%d" % (queue.name, number) if counting else None
        if counting:
            queue.counters[self] = 0
        self.renew()

    def renew(self):
        """A new run after every check."""
        self.run = self.queue.next_run(self)

    def batch(self):
        if self.queue.waiting > MOST_WAITING:
            return []
        run, ops = self.queue.runs[self.run], []
        for _ in range(self.depth(10)):
            count = self.rng.choice([1, 1, 1, 2, 7])
            first, last = run.sent + 1, run.sent + count
            run.sent = last
            values = [element(self.run, number) for number in range(first, last + 1)]
            commands = [(self.queue.push, self.queue.name, *values)]
            if self.counter:
                commands = [("MULTI",), *commands, ("INCRBY", self.counter, count), ("EXEC",)]
            op = Op(commands, (self.run, first, last))
            ops.append(op)
            run.ops.append(op)
        return ops

    def done(self, op):
        run = self.queue.runs[op.data[0]]
        if op.refused:
            run.ops.remove(op)
            run.sent = op.data[1] - 1
            return
        self.queue.waiting += op.data[2] - op.data[1] + 1


class Popper(Actor):
    def __init__(self, world, rng, queue):
        super().__init__(world, rng)
        self.queue, self.last = queue, {}

    def batch(self):
        ops = []
        for _ in range(self.depth(6)):
            roll = self.rng.random()
            if roll < 0.3:
                ops.append(Op([("B" + self.queue.pop, self.queue.name, "0.02")], 1))
            elif roll < 0.6:
                count = self.rng.randint(1, 20)
                ops.append(Op([(self.queue.pop, self.queue.name, count)], count))
            else:
                ops.append(Op([(self.queue.pop, self.queue.name)], 1))
        return ops

    def may_refuse(self, op):
        return False

    def done(self, op):
        (reply,) = op.replies
        if op.refused or reply is None:
            return
        if op.commands[0][0].startswith("B"):
            values = reply[1:]
        else:
            values = reply if isinstance(reply, list) else [reply]
        for value in values:
            self.queue.popped[self.queue.took(op, value, self.last)] = op

    def lost(self, op):
        self.queue.lost_pops += op.data

    def renew(self):
        self.last = {}


class Mover(Actor):
    """A worker with a list of its own: LMOVE into it, LREM when the work is done."""

    def __init__(self, world, rng, queue, number):
        super().__init__(world, rng)
        self.queue, self.held, self.last = queue, [], {}
        self.key = b"%s:worker:%d" % (queue.name, number)
        queue.movers.append(self)

    def batch(self):
        ops = []
        if self.held and (len(self.held) > 40 or self.rng.random() < 0.5):
            for _ in range(min(self.depth(8), len(self.held))):
                place = self.held.pop(self.rng.randrange(len(self.held)))
                op = Op([("LREM", self.key, 1, element(*place))], place)
                self.queue.acking[place] = op
                ops.append(op)
            return ops
        for _ in range(self.depth(6)):
            command = ("LMOVE", self.queue.name, self.key, self.queue.ends[0], "RIGHT")
            if self.rng.random() < 0.2:
                command = ("B" + command[0], *command[1:], "0.02")
            ops.append(Op([command]))
        return ops

    def may_refuse(self, op):
        return op.data is None  # a move adds something, an LREM does not

    def done(self, op):
        (reply,) = op.replies
        if op.data is not None:
            if op.refused:
                del self.queue.acking[op.data]
                self.held.append(op.data)
            elif reply != 1:
                raise Failure(f"LREM {self.key} {op.data} answered {reply}")
        elif reply is not None and not op.refused:
            place = self.queue.took(op, reply, self.last)
            self.queue.moved[place] = (self, op)
            self.held.append(place)

    def lost(self, op):
        if op.data is None:
            moves = self.queue.lost_moves
            moves[self] = moves.get(self, 0) + 1
