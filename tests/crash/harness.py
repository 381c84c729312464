"""The scenarios. Each works on a fresh directory with a seed of its own; see README.md."""
import os
import random
import signal
import time
import traceback

from resp import ReplyError
from server import Server, StartFailure
from workload import Failure, Loop
from world import World

# What the server may answer to a write while the disk is full, and after a failed fsync.
FULL_CODES = ("OOM", "MISCONF", "ERR disk full", "DISKFULL")
FAILED_CODES = ("MISCONF", "ERR", "IOERR", "OOM", "LOADING")

# A power cut under `everysec` may take this much of what was answered.
EVERYSEC_SECONDS = 2.0


class Run:
    """A directory, a server that comes and goes on it, and the world that must survive."""

    def __init__(self, setup, seed, fsync="always", watch=False, say=lambda line: None):
        self.rng = random.Random(seed)
        self.server = Server(setup, fsync, watch, say)
        self.world, self.say = None, say
        self.rounds, self.required = 0, lambda op: False

    def start(self, recovery_kills=False):
        """Starts, perhaps after some starts that die half-way, and checks all that was promised."""
        self.rounds += 1
        while recovery_kills and self.rng.random() < 0.5:
            self.die_while_starting()
        self.server.start()
        client = self.server.client()
        if self.server.fsync != "everysec":
            return self.begin(client)
        # What is made here is not what a power cut may take.
        client.call("CONFIG", "SET", "appendfsync", "always")
        self.begin(client)
        client.call("CONFIG", "SET", "appendfsync", "everysec")
        return client

    def begin(self, client):
        """Makes the world, or looks at what became of it."""
        if self.world is None:
            lenient = self.server.setup.lenient
            self.world = World(self.rng.getrandbits(64), client, lenient)
            if self.world.missing:
                self.say("not there yet: " + " ".join(self.world.missing))
        else:
            self.world.check(client, self.required)
        return client

    def die_while_starting(self):
        step = int(self.rng.expovariate(1 / 15)) + 1
        try:
            self.server.start(kill_at=step)
            self.server.kill()
        except StartFailure as failure:
            if failure.status != -signal.SIGKILL:
                raise
            self.say(f"killed at step {step} of its start")
        if self.rng.random() < 0.5:
            self.server.cut(self.rng.getrandbits(32))

    def load(self, seconds, until=None):
        """Works until the time is over or the server is dead. The loop is left open."""
        loop = Loop(self.world.actors, self.server.port)
        loop.run(seconds, until or self.server.dead)
        return loop

    def promise(self, before=None):
        """From now on everything answered (before a moment) has to be there."""
        limit = float("inf") if before is None else before
        self.required = lambda op: (
            op.answered is not None and not op.refused and op.answered <= limit
        )

    def kill_under_load(self, seconds, cut=False):
        loop = self.load(seconds)
        self.server.kill()
        at = time.monotonic()
        loop.finish()
        everysec = cut and self.server.fsync == "everysec"
        self.promise(at - EVERYSEC_SECONDS if everysec else None)
        if cut:
            self.server.cut(self.rng.getrandbits(32))

    def stop_under_load(self, seconds, number):
        """A clean stop while everybody writes."""
        loop = self.load(seconds)
        self.server.process.send_signal(number)
        end = time.monotonic() + 15
        while not self.server.dead() and time.monotonic() < end:
            if not loop.step(True):
                time.sleep(0.01)
        loop.finish()
        status = self.server.process.poll()
        if status is None:
            self.server.kill()
            raise Failure(f"signal {number} does not end it")
        if status != 0:
            raise Failure(f"exit status {status} after signal {number}: {self.tail()}")
        self.promise()

    def expect_alive(self):
        if self.server.dead():
            raise Failure(f"the server ended ({self.server.process.returncode}): {self.tail()}")

    def tail(self):
        return self.server.read_output().decode("utf-8", "replace")[-1500:]

    def finish(self):
        """Once more, then a clean stop."""
        client = self.start()
        client.close()
        self.promise()
        status = self.server.stop()
        if status != 0:
            raise Failure(f"exit status {status} at the end: {self.tail()}")
        strange = [n for n in self.server.notes() if "mapping" in n and "lock.mdb" not in n]
        if strange:
            raise Failure(f"the watching library saw: {strange[:3]}")


def until(seconds, rounds):
    """Counts rounds until either limit is reached."""
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end and (rounds is None or count < rounds):
        count += 1
        yield count


# ---- SIGKILL and power cuts ------------------------------------------------------------------


def kill(fsync):
    def scenario(run, seconds, rounds):
        run.server.fsync = fsync
        for _ in until(seconds, rounds):
            run.start().close()
            run.kill_under_load(run.rng.uniform(0.05, 1.2))
        run.finish()

    return scenario


def power(run, seconds, rounds):
    """Power cuts, plain kills, kills at a chosen step, kills while starting; never a clean stop."""
    run.server.watch = True
    for count in until(seconds, rounds):
        run.start(recovery_kills=count > 1).close()
        if run.rng.random() < 0.4:
            # Once more, but dying at a given change or sync rather than at a given time.
            run.server.kill()
            run.server.start(kill_at=int(run.rng.expovariate(1 / 400)) + 60)
        run.kill_under_load(run.rng.uniform(0.05, 1.2), cut=run.rng.random() < 0.8)
    run.finish()


def notice(run, seconds, rounds):
    """The tests themselves: a server that only pretends to sync must be found out."""
    run.server.watch, run.server.fsync = True, "no"
    try:
        for _ in until(seconds, rounds):
            run.start().close()
            run.kill_under_load(0.5)
            run.server.cut(run.rng.getrandbits(32), "drop")
        run.start().close()
    except Failure as failure:
        run.say(f"found out: {failure}")
        return
    raise Failure("a server that does not sync passes the power cuts")


def power_everysec(run, seconds, rounds):
    run.server.watch, run.server.fsync = True, "everysec"
    for _ in until(seconds, rounds):
        run.start().close()
        run.kill_under_load(run.rng.uniform(0.3, 4.0), cut=True)
    run.finish()


# ---- clean stops -----------------------------------------------------------------------------


def clean(run, seconds, rounds):
    """SIGTERM and SIGINT under load lose nothing in any mode, not even with the power cut after."""
    run.server.watch = True
    for count in until(seconds, rounds):
        run.server.fsync = ("always", "everysec", "no")[count % 3]
        run.start().close()
        number = signal.SIGTERM if run.rng.random() < 0.6 else signal.SIGINT
        run.stop_under_load(run.rng.uniform(0.05, 0.8), number)
        if run.rng.random() < 0.7:
            run.server.cut(run.rng.getrandbits(32), run.rng.choice(["drop", None]))
    run.finish()


def second_server(run, _seconds, _rounds):
    """A second server on the same directory refuses, and leaves the first in peace."""
    run.start().close()
    loop = run.load(0.3)
    second = Server(run.server.setup, "always", False, run.say)
    os.rmdir(second.dir)
    os.symlink(run.server.dir, second.dir)
    try:
        second.start()
        raise Failure("a second server serves the same directory")
    except StartFailure as failure:
        if not isinstance(failure.status, int) or failure.status <= 0:
            raise Failure(f"the second server ended with {failure.status}") from None
        if not any(word in failure.output.lower() for word in ("another", "in use", "lock")):
            raise Failure(f"the second server does not say why: {failure.output!r}") from None
    finally:
        second.kill()
        os.unlink(second.dir)
        second.remove()
    loop.run(0.5)
    run.expect_alive()
    run.server.kill()
    loop.finish()
    run.promise()
    run.finish()


# ---- a full disk -----------------------------------------------------------------------------


def full_disk(hidden):
    """Writes are refused with an error, taking away works, nothing is lost, service comes back.
    `hidden`: statvfs says that there is room, as it does when a user's quota is used up."""

    def scenario(run, seconds, rounds):
        run.server.watch = True
        for _ in until(seconds, rounds):
            client = run.start()
            fill_and_free(run, client, hidden)
        run.finish()

    return scenario


def fill_and_free(run, client, hidden):
    loop = run.load(0.3)
    loop.drain()
    fill_disk(run, client, loop, hidden)
    take_away(run, client)
    if run.rng.random() < 0.5:
        # Full and then dead: it must start on a full disk, too.
        run.server.kill()
        loop.finish()
        run.promise()
        if run.rng.random() < 0.7:
            run.server.cut(run.rng.getrandbits(32))
        client = run.start()
        take_away(run, client)
        loop = run.load(0.3)
    run.expect_alive()
    run.server.control("quota", "")
    serve_again(run, loop, client)
    loop.drain()
    run.server.kill()
    loop.finish()
    run.promise()
    run.world.tolerated = ()
    run.server.cut(run.rng.getrandbits(32))


def occupied(path):
    total = 0
    for base, _, files in os.walk(path):
        total += sum(os.lstat(os.path.join(base, name)).st_blocks * 512 for name in files)
    return total


def ask(run, client, *command):
    """The reply, be it an error. No reply at all is a failure."""
    client.socket.settimeout(5)
    try:
        return client.pipeline([command])[0]
    except OSError as error:
        run.expect_alive()
        words = " ".join(str(part)[:20] for part in command)
        raise Failure(f"{words}: no reply on a full disk ({error})") from None


def fill_disk(run, client, loop, hidden):
    """Lowers the quota to little more than what is there and writes until it is refused."""
    client.call("RPUSH", "ttl:spare", *[b"x" * 100] * 200)
    run.world.tolerated = FULL_CODES
    run.world.refusals = 0
    room = run.rng.choice([0, 100_000, 3_000_000, 30_000_000, 80_000_000])
    word = " hidden" if hidden else ""
    run.server.control("quota", f"{occupied(run.server.dir) + room}{word}")
    end = time.monotonic() + 30
    fill_until_refused(run, client, room, end)
    run.say(f"full ({room}{word})")
    loop.run(0.5)
    while run.world.refusals == 0:
        # A checkpoint may have given journal files back: then the disk must take large writes, too.
        if isinstance(push_large(run, client), ReplyError):
            raise Failure("the disk is full, but other writes went on for half a second")
        fill_until_refused(run, client, room, end)
        loop.run(0.5)


def push_large(run, client):
    return ask(run, client, "RPUSH", "ttl:fill", *[b"x" * 100_000] * run.rng.randint(1, 5))


def fill_until_refused(run, client, room, end):
    pushed = 0
    while time.monotonic() < end:
        reply = push_large(run, client)
        if isinstance(reply, ReplyError):
            if not str(reply).startswith(FULL_CODES):
                raise Failure(f"a full disk is reported as {str(reply)!r}")
            return
        pushed += 1
    raise Failure(f"{pushed} pushes of 100 kB, and the disk with {room} bytes is not full")


def take_away(run, client):
    """On a full disk: pops, acknowledgements, DEL and reads."""
    for command in (("LPOP", "ttl:spare"), ("LPOP", "ttl:spare", 5), ("LLEN", "ttl:spare")):
        reply = ask(run, client, *command)
        if isinstance(reply, ReplyError) or not reply:
            raise Failure(f"{command} on a full disk answers {reply}")
    for _ in range(3):
        reply = ask(run, client, "LPOP", "ttl:fill")
        if isinstance(reply, ReplyError):
            raise Failure(f"LPOP of a large element on a full disk answers {reply}")
    reply = ask(run, client, "DEL", "ttl:nothing")
    if reply != 0:
        raise Failure(f"DEL on a full disk answers {reply}")


def drain_full_disk(run, _seconds, _rounds):
    """A consumer works off a backlog on a disk without a free byte, however long it takes."""
    run.server.watch = True
    client = run.start()
    backlog = [b"%d:" % number + b"x" * 100 for number in range(8000)]
    backlog += [b"%d:" % number + b"x" * 20000 for number in range(8000, 8200)]
    for start in range(0, len(backlog), 100):
        client.call("RPUSH", "ttl:backlog", *backlog[start : start + 100])
    run.server.control("quota", occupied(run.server.dir))
    for number, wanted in enumerate(backlog):
        reply = ask(run, client, "LPOP", "ttl:backlog")
        if reply != wanted:
            raise Failure(f"pop {number} of {len(backlog)} on a full disk answers {reply!r:.100}")
    run.server.kill()
    run.promise()
    client = run.start()
    if client.call("EXISTS", "ttl:backlog"):
        raise Failure("what was popped on a full disk is back")
    run.server.control("quota", "")
    run.server.kill()
    run.finish()


def serve_again(run, loop, client):
    """With room again, writes are taken within a few seconds, without any help."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        reply = ask(run, client, "SET", "ttl:again", "1")
        if not isinstance(reply, ReplyError):
            break
        time.sleep(0.05)
    else:
        raise Failure(f"there is room again, but SET answers {reply}")
    client.call("DEL", "ttl:fill", "ttl:spare", "ttl:again")
    loop.drain()
    run.world.tolerated = ()
    loop.run(0.3)
    client.close()


# ---- failing fsyncs --------------------------------------------------------------------------


def failed_fsync(run, seconds, rounds):
    """After a failed fsync nothing is answered as done that a power cut could take."""
    run.server.watch = True
    for _ in until(seconds, rounds):
        run.start().close()
        loop = run.load(run.rng.uniform(0.1, 0.4))
        run.world.tolerated, run.world.all_may_fail = FAILED_CODES, True
        loop.drain()  # from here on one operation at a time, so that refusals are exact
        nth = run.rng.randint(1, 20)
        run.server.control("fsync", f"{nth}{run.rng.choice(['', '+'])}")
        loop.run(5, lambda: run.server.dead() or has_failed(run))
        if not has_failed(run):
            raise Failure(f"the {nth}th sync never came: {run.tail()}")
        at = time.monotonic()
        loop.run(1.0, run.server.dead)
        run.server.kill()
        loop.finish()
        late = [op for op in written(run.world) if op.sent > at + 0.05 and op.answered]
        if late:
            raise Failure(f"{late[0].commands!r:.200} was answered after a failed fsync")
        os.unlink(os.path.join(run.server.log, "notes"))
        run.server.control("fsync", "")
        run.world.tolerated, run.world.all_may_fail = (), False
        run.promise()
        run.server.cut(run.rng.getrandbits(32))
    run.finish()


def has_failed(run):
    return any(note.startswith("EIO") for note in run.server.notes())


def written(world):
    """Answered operations that surely wrote something."""
    for queue in world.queues:
        for state in queue.runs.values():
            yield from (op for op in state.ops if not op.refused)
    for stream in world.streams:
        for state in stream.runs.values():
            yield from (op for op in state.ops if not op.refused)


# name, scenario, share of the time
SCENARIOS = [
    ("kill, always", kill("always"), 12),
    ("kill, everysec", kill("everysec"), 5),
    ("power cut, always", power, 25),
    ("power cut, everysec", power_everysec, 12),
    ("the tests notice", notice, 2),
    ("clean stop", clean, 8),
    ("second server", second_server, 2),
    ("full disk", full_disk(hidden=False), 8),
    ("full disk without warning", full_disk(hidden=True), 6),
    ("draining a full disk", drain_full_disk, 1),
    ("failed fsync", failed_fsync, 6),
]


def run_scenario(setup, scenario, name, seed, seconds, rounds, say):
    """Returns what went wrong, or None, and the run."""
    run = Run(setup, seed, say=say)
    try:
        scenario(run, seconds, rounds)
    except (Failure, StartFailure, ReplyError, OSError, AssertionError) as failure:
        run.server.kill()
        with open(run.server.path("failure"), "w") as f:
            f.write(f"{name}, seed {seed}\n{failure}\n\n{traceback.format_exc()}")
        return f"{type(failure).__name__}: {failure}", run
    except BaseException:
        run.server.kill()
        raise
    run.server.remove()
    return None, run
