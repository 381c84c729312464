"""Proves that libpowercut.so and cut do what they say, before anything else relies on them."""
import importlib.machinery
import importlib.util
import errno
import os
import random
import shutil
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def load_cut():
    loader = importlib.machinery.SourceFileLoader("powercut_cut", os.path.join(HERE, "cut"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module.cut


cut = load_cut()


class Place:
    """A directory to watch, its log, and a program under the library that is told what to do."""

    def __init__(self, build, base=None):
        self.library = os.path.join(build, "libpowercut.so")
        self.program = os.path.join(build, "powercut-selftest")
        self.base = tempfile.mkdtemp(prefix="powercut.", dir=base)
        self.dir = os.path.join(self.base, "dir")
        self.log = os.path.join(self.base, "log")
        os.mkdir(self.dir)
        self.process = None

    def environment(self, **extra):
        return dict(
            os.environ,
            LD_PRELOAD=self.library,
            POWERCUT_DIR=self.dir,
            POWERCUT_LOG=self.log,
            POWERCUT_QUOTA=self.path("quota"),
            POWERCUT_FSYNC_FAIL=self.path("fsync"),
            **extra,
        )

    def path(self, name):
        return os.path.join(self.base, name)

    def start(self, *arguments, **extra):
        self.process = subprocess.Popen(
            [self.program, *arguments],
            cwd=self.dir,
            env=self.environment(**extra),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *lines):
        """Runs system calls in the program (started when there is none); their (result, errno)."""
        if self.process is None:
            self.start("script")
        results = []
        for line in lines:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline().split()
            results.append((int(answer[0]), int(answer[1])))
        return results

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def cut(self, mode=None, seed=1):
        self.kill()
        cut(self.dir, self.log, seed, mode)

    def read(self, name):
        path = os.path.join(self.dir, name)
        if not os.path.exists(path):
            return None
        with open(path, "rb") as f:
            return f.read()

    def write_control(self, name, text):
        with open(self.path(name) + ".new", "w") as f:
            f.write(text)
        os.rename(self.path(name) + ".new", self.path(name))

    def remove(self):
        self.kill()
        shutil.rmtree(self.base)


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def shape(data):
    """aaabb -> a3 b2; zeros are written 0."""
    if data is None:
        return None
    out, at = [], 0
    while at < len(data):
        end = at
        while end < len(data) and data[end] == data[at]:
            end += 1
        out.append((chr(data[at]) if data[at] else "0") + str(end - at))
        at = end
    return " ".join(out)


def test_bytes(p):
    p.run("open f f c", "opendir d .", "fsync d", "pwrite f 0 a 4096", "fsync f")
    p.run("pwrite f 1000 b 1000", "pwritev f 4096 c 100")
    p.cut("keep")
    expect(shape(p.read("f")) == "a1000 b1000 a2096 c100", "keep keeps")
    p.run("open f f", "pwrite f 0 x 5000", "sync_file_range f", "close f")
    p.kill()
    p.run("open f f", "pwrite f 10 y 10")  # a second process goes on with the log of the first
    p.cut("drop")
    expect(shape(p.read("f")) == "a1000 b1000 a2096 c100", "drop restores bytes and size")
    p.run("open f f", "pwrite f 0 m 512", "fdatasync f", "pwrite f 256 n 512")
    p.cut("drop")
    expect(shape(p.read("f")) == "m512 a488 b1000 a2096 c100", "what was synced stays")


def test_synced_writes(p):
    p.run("open f f c", "opendir d .", "fsync d", "pwrite f 0 a 8192", "fsync f")
    p.run("pwrite f 0 x 4096", "pwritev2 f 4096 y 4096")
    p.cut("drop")
    expect(shape(p.read("f")) == "a4096 y4096", "RWF_DSYNC covers its own bytes only")
    p.run("open f f s", "open g f", "pwrite g 0 z 512", "pwrite f 8192 w 512", "dup g h")
    p.run("write h q 700")
    p.cut("drop")
    expect(shape(p.read("f")) == "a4096 y4096 w512", "O_DSYNC, dup and the position")
    p.run("open f f as", "write f e 5", "close f", "open f f a", "write f i 5")
    p.cut("drop")
    expect(shape(p.read("f")) == "a4096 y4096 w512 e5", "O_APPEND")


def test_tears(p):
    p.run("open f f c", "opendir d .", "fsync d", "pwrite f 0 a 65536", "fsync f")
    p.kill()
    seen = {}
    for seed in range(30):
        for mode in ("prefix", "sectors", "pages", "subset"):
            p.run("open f f", "pwrite f 0 b 32768", "pwrite f 16384 c 32768", "pwrite f 65536 d 9000")
            p.cut(mode, seed)
            data = p.read("f")
            check_tear(mode, data)
            seen.setdefault(mode, set()).add(shape(data))
            p.run("open f f", "ftruncate f 0", "pwrite f 0 a 65536", "fsync f")
            p.kill()
    for mode, shapes in seen.items():
        expect(len(shapes) > 3, f"{mode} is random: {shapes}")
    expect(any(len(s.split()) > 12 for s in seen["sectors"]), "sectors are torn one by one")


def check_tear(mode, data):
    expect(65536 <= len(data) <= 74536, "the size is between the two")
    for at in range(0, len(data), 512):
        sector = set(data[at : at + 512])
        allowed = {ord("a")}
        if at < 32768:
            allowed.add(ord("b"))
        if 16384 <= at < 49152:
            allowed.add(ord("c"))
        if at >= 65536:
            allowed = {0, ord("d")}
        expect(sector <= allowed, f"bytes out of nowhere at {at}: {sector}")
        if mode != "prefix" and at < 65536:
            expect(len(sector) == 1, "sectors are whole")
    if mode == "prefix":
        letters = [part[0] for part in shape(data).split()]
        expect(letters in (["a"], ["b", "a"], ["b", "c", "b", "a"], ["b", "c", "a"],
                           ["b", "c", "a", "d"]), f"a prefix: {shape(data)}")


def test_sizes(p):
    p.run("open f f c", "opendir d .", "fsync d", "pwrite f 0 a 10000", "fsync f")
    p.run("ftruncate f 100", "pwrite f 5000 b 10")
    p.cut("drop")
    expect(shape(p.read("f")) == "a10000", "a truncation is undone with its bytes")
    p.run("open f f t", "fallocate f 0 50000", "pwrite f 0 z 3")
    p.cut("drop")
    expect(shape(p.read("f")) == "a10000", "O_TRUNC and fallocate are undone")
    p.run("open f f", "ftruncate f 100", "fsync f", "fallocate f 0 50000")
    p.cut("drop")
    expect(shape(p.read("f")) == "a100", "a synced truncation stays")
    for seed in range(20):
        p.run("open f f", "ftruncate f 0", "pwrite f 0 a 4096", "fsync f")
        p.run("ftruncate f 512", "pwrite f 512 b 1024")
        p.cut("sectors", seed)
        got = shape(p.read("f"))
        expect(got in ("a4096", "a512", "a512 b1024", "a512 0512 b512", "a512 b512 0512",
                       "a512 01024"), f"no bytes that follow a lost truncation: {got}")


def test_names(p):
    p.run("open f f c", "pwrite f 0 a 10", "fsync f")
    p.cut("drop")
    expect(p.read("f") is None, "a new file without a directory sync is gone")
    p.run("open f f c", "pwrite f 0 a 10", "fsync f", "opendir d .", "fsync d")
    p.run("open g g c", "pwrite g 0 b 10", "fsync g", "rename g f")
    p.cut("drop")
    expect((shape(p.read("f")), p.read("g")) == ("a10", None), "a rename over a file is undone")
    p.run("open g g c", "pwrite g 0 b 10", "fsync g", "rename g f", "opendir d .", "fsync d")
    p.run("unlink f")
    p.cut("drop")
    expect(shape(p.read("f")) == "b10", "a synced rename stays, a removal is undone")
    p.run("unlink f", "opendir d .", "fsync d", "open f f c", "pwrite f 0 c 5", "fsync d")
    p.cut("drop")
    expect(p.read("f") == b"", "a synced removal stays; a name can be durable before its bytes")
    p.run("mkdir s", "open f s/f c", "opendir s s", "fsync s")
    p.cut("drop")
    expect(not os.path.exists(os.path.join(p.dir, "s")), "a new directory goes with its files")
    p.run("mkdir s", "opendir d .", "fsync d", "stream s/o q 20000")
    p.kill()
    expect(shape(p.read("s/o")) == "q20000", "the stream wrote")
    p.cut("drop")
    expect(p.read("s/o") is None and os.path.isdir(os.path.join(p.dir, "s")), "streams are seen")
    for seed in range(20):
        p.run("open a a c", "rename a b", "open a a c", "rename b c")
        p.cut(None, seed)
        names = tuple(n for n in "abc" if p.read(n) is not None)
        expect(names in ((), ("a",), ("b",), ("a", "b"), ("a", "c")), f"names in order: {names}")
        p.run("unlink a", "unlink b", "unlink c", "opendir d .", "fsync d")
        p.kill()


def test_full_disk(p):
    p.run("open f f c", "opendir d .", "fsync d", "pwrite f 0 a 8192", "fsync f")
    p.write_control("quota", "40960")
    (free, _), = p.run("free .")
    expect(free == 32768, f"statvfs answers the quota: {free}")
    result = p.run("pwrite f 8192 b 20000", "pwrite f 28192 c 20000", "pwrite f 40960 d 1",
                   "pwrite f 0 e 8192", "fallocate f 40960 4096")
    expect(result[0][0] == 20000, "room for this")
    expect(result[1][0] == 40960 - 28192, f"a short write where the room ends: {result[1]}")
    expect(result[2] == (-1, errno.ENOSPC), "then none")
    expect(result[3] == (8192, 0), "bytes that have their place can be overwritten")
    expect(result[4][0] == errno.ENOSPC, "nothing to preallocate")
    p.write_control("quota", "90000")
    expect(p.run("fallocate f 40960 40960", "pwrite f 40960 d 40960")[1] == (40960, 0), "room again")
    expect(p.run("pwrite f 81920 e 20000")[0] == (4096, 0), "the last whole block, then full again")
    p.write_control("quota", "90000 hidden")
    expect(p.run("free .")[0][0] > 90000, "a hidden quota is not told")
    p.run("ftruncate f 0")
    expect(p.run("pwrite f 0 e 20000")[0] == (20000, 0), "freed space is free")


def test_failed_fsync(p):
    p.run("open f f c", "opendir d .", "fsync d", "pwrite f 0 a 4096", "fsync f")
    p.write_control("fsync", "2")
    result = p.run("pwrite f 0 b 512", "fsync f", "pwrite f 512 c 512", "fdatasync f",
                   "pwrite f 1024 d 512", "fsync f")
    expect([r[0] for r in result] == [512, 0, 512, -1, 512, 0], f"the second fails: {result}")
    expect(result[3][1] == errno.EIO, "with EIO")
    p.cut("drop")
    expect(shape(p.read("f")) == "b512 a512 d512 a2560", "a later fsync does not help the lost bytes")
    p.write_control("fsync", "1+ g")
    result = p.run("open f f", "fsync f", "open g g cs", "write g a 5", "write g b 5")
    expect([r[0] for r in result] == [0, 0, 0, -1, -1], f"by name, synced writes too: {result}")
    with open(os.path.join(p.log, "notes")) as f:
        expect("EIO sync f" in f.read(), "failures are noted")


def test_kill_at(p):
    p.run("open f f c", "opendir d .", "fsync d", "pwrite f 0 a 4096", "fsync f")
    p.kill()
    p.start("script", POWERCUT_KILL_AT="3")
    p.process.stdin.write("open f f\npwrite f 0 b 1\npwrite f 1 b 1\npwrite f 2 b 1\npwrite f 3 b 1\n")
    p.process.stdin.flush()
    expect(p.process.wait(5) == -9, "killed itself")
    expect(shape(p.read("f")) == "b2 a4094", "before the third change")


def test_mapping(p):
    p.run("open f f c", "pwrite f 0 a 4096", "map f")
    with open(os.path.join(p.log, "notes")) as f:
        expect("writable mapping of f" in f.read(), "writable mappings are noted")


def last_number(process, seconds):
    """Lets a program run for a while, kills it, and returns the last number it printed."""
    time.sleep(seconds)
    process.kill()
    out = process.stdout.read().split("\n")[:-1]
    process.wait()
    return int(out[-1]) if out else 0


def test_journal(p):
    rng = random.Random(1)
    lines = []
    for round_ in range(6):
        p.start("journal", p.dir)
        durable = last_number(p.process, 0.05 + rng.random() * 0.2)
        p.process.stdin.close()
        p.process = None
        cut(p.dir, p.log, round_, ("drop", None)[round_ % 2], lines.append)
        data = p.read("journal") or b""
        for record in range(durable):
            word = data[record * 512 : record * 512 + 512]
            expect(word == record.to_bytes(8, "little") * 64, f"record {record} of {durable}")
        os.unlink(os.path.join(p.dir, "journal"))
    expect(any(" 0 of" not in line for line in lines), f"something was thrown away: {lines}")


def test_lmdb(p):
    rng = random.Random(2)
    for round_ in range(8):
        p.start("lmdb", p.dir)
        committed = last_number(p.process, 0.05 + rng.random() * 0.15)
        p.process.stdin.close()
        p.process = None
        p.cut(("drop", None, "sectors")[round_ % 3], round_)
        p.start("lmdb-read", p.dir)
        out = p.process.stdout.read()
        status = p.process.wait()
        p.kill()
        expect(status == 0, f"LMDB reads a consistent state (exit {status})")
        # The number restarts in every round, so only look at the round's own transactions.
        expect(int(out) >= committed, f"transaction {committed} was committed, {out.strip()} is there")
        p.run("unlink data.mdb", "unlink lock.mdb", "opendir d .", "fsync d")
        p.kill()


TESTS = [
    ("powercut: bytes", test_bytes),
    ("powercut: O_DSYNC, RWF_DSYNC, O_APPEND, dup", test_synced_writes),
    ("powercut: tears", test_tears),
    ("powercut: sizes", test_sizes),
    ("powercut: names", test_names),
    ("powercut: full disk", test_full_disk),
    ("powercut: failed fsync", test_failed_fsync),
    ("powercut: kill at a step", test_kill_at),
    ("powercut: mappings", test_mapping),
    ("powercut: threads", test_journal),
    ("powercut: LMDB", test_lmdb),
]


def run(build, report, only=None, base=None):
    for name, test in TESTS:
        if only and only not in name:
            continue
        place = Place(build, base)
        try:
            test(place)
        except Exception as error:  # a failed test must not stop the others
            place.kill()
            report(name, f"{type(error).__name__}: {error}; kept {place.base}")
            continue
        place.remove()
        report(name, None)


if __name__ == "__main__":
    import sys

    def show(name, error):
        print(("FAIL " if error else "ok   ") + name + (f": {error}" if error else ""), flush=True)

    run(os.path.abspath(os.environ.get("BUILD", "build")), show, sys.argv[1] if len(sys.argv) > 1 else None)
