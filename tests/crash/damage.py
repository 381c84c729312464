"""Damaged journals: what may be lost quietly, what must be refused, what a repair leaves.

This file knows the journal's bytes (store/FORMAT.md) as far as it takes to hit the right ones; all
of that is in Journal below.
"""
import copy
import glob
import os
import re
import shutil
import struct
import subprocess

from server import Server, StartFailure
from workload import Failure


class Segment:
    MAGIC, FIRST_RECORD, HEADER, ALIGN, BLOCK = b"SLUICEJ\n", 4096, 40, 8, 4096

    def __init__(self, path):
        self.path, self.name = path, os.path.basename(path)
        with open(path, "rb") as f:
            self.data = f.read()
        if self.data[:8] != self.MAGIC:
            raise Failure(f"{path} is not a journal segment as damage.py knows it")
        self.sequence, salt, self.size, self.attested = struct.unpack_from("<QQQQ", self.data, 16)
        self.records = self.walk(self.tag(salt, self.sequence))

    @staticmethod
    def tag(salt, sequence):
        mask = (1 << 64) - 1
        x = (salt + sequence * 0x9E3779B97F4A7C15) & mask
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return ((x ^ (x >> 31)) & 0xFFFFFFFF) | 1

    def walk(self, tag):
        """(lsn, offset, payload length, attested) of every record, in order."""
        records, at, last = [], self.FIRST_RECORD, 0
        while at + self.HEADER <= len(self.data):
            got, length, lsn, _, attested = struct.unpack_from("<IIQQQ", self.data, at)
            if got != tag or lsn <= last:
                # A record begins behind the last one, or with the block after it.
                if at % self.BLOCK == 0:
                    break
                at = (at + self.BLOCK - 1) // self.BLOCK * self.BLOCK
                continue
            records.append((lsn, at, length, attested))
            last = lsn
            at += (self.HEADER + length + self.ALIGN - 1) // self.ALIGN * self.ALIGN
        return records


class Journal:
    def __init__(self, directory):
        paths = glob.glob(os.path.join(directory, "journal-" + "[0-9a-f]" * 16))
        self.segments = [Segment(path) for path in sorted(paths)]
        self.records = [(segment, *record) for segment in self.segments for record in segment.records]
        # The last record that is in the checkpoint, or older than the work whose fate is checked.
        self.before = 0

    def last(self):
        return max((record[1] for record in self.records), default=0)

    def recent(self):
        """The records that matter: written since, and certainly proved durable by later ones."""
        return [r for r in self.records if r[1] > self.before][:-40]

    def attested_without(self, lsn, offset_lost):
        """The highest LSN that is proved durable when record `lsn` is hit: all other headers
        count, and its own if only its payload is."""
        proofs = [segment.attested for segment in self.segments]
        proofs += [a for _, n, _, _, a in self.records if n != lsn or not offset_lost]
        return max(proofs)


class Copy:
    """A copy of a crashed directory, to be damaged and looked at."""

    def __init__(self, run, journal):
        self.run, self.journal = run, journal
        self.server = Server(run.server.setup, "always", False, run.say)
        os.rmdir(self.server.dir)
        subprocess.run(["cp", "-a", run.server.dir, self.server.dir], check=True)
        self.world = copy.deepcopy(run.world)

    def path(self, name):
        return os.path.join(self.server.dir, name)

    def flip(self, segment, offset):
        with open(self.path(segment.name), "r+b") as f:
            f.seek(offset)
            byte = f.read(1)[0]
            f.seek(offset)
            f.write(bytes([byte ^ (1 << self.run.rng.randrange(8))]))

    def expect_start(self, all_there):
        """It serves; everything that was answered is there, or at least a consistent prefix."""
        self.server.start()
        required = self.run.required if all_there else (lambda op: False)
        self.world.check(self.server.client(), required)
        self.server.kill()

    def expect_refusal(self, segment, offset, lost):
        """It does not start, says which file and where; check and repair know about it. `lost` is
        the first record that a repair has to give up."""
        try:
            self.server.start()
        except StartFailure as failure:
            self.check_message(failure.output, segment, offset)
            if not isinstance(failure.status, int) or failure.status <= 0:
                raise Failure(f"exit status {failure.status} with a damaged journal") from None
        else:
            raise Failure(f"it starts with a damaged {segment.name}, offset {offset}")
        status, output = self.server.run_tool("check", self.server.dir)
        if status == 0:
            raise Failure(f"`check` finds nothing: {output}")
        self.check_message(output, segment, offset)
        status, output = self.server.run_tool("check", "--repair", self.server.dir)
        if status != 0:
            raise Failure(f"`check --repair` answers {status}: {output}")
        if not glob.glob(self.path("*.damaged*")):
            raise Failure("the repair keeps no copy of what it changed")
        status, output = self.server.run_tool("check", self.server.dir)
        if status != 0:
            raise Failure(f"`check` after the repair answers {status}: {output}")
        if lost > self.journal.before:
            self.expect_start(all_there=False)
        else:
            self.server.start()  # what is left is older than what the world remembers
            self.server.kill()

    def check_message(self, output, segment, offset):
        if segment.name not in output:
            raise Failure(f"{segment.name} is damaged at {offset}, the message is {output[-400:]!r}")
        if offset is None:
            return
        named = [int(n) for n in re.findall(r"offset (\d+)", output)]
        if not any(abs(n - offset) <= 1 << 20 for n in named):
            raise Failure(f"damage at {offset}, the message names {named}: {output[-400:]!r}")

    def remove(self):
        self.server.remove()


# ---- what can happen to a journal ------------------------------------------------------------


def untouched(copy_, journal, rng):
    copy_.expect_start(all_there=True)


def truncated_tail(copy_, journal, rng):
    """Cut off somewhere in the last record: a torn write, were it not for the answer."""
    segment, lsn, offset, length, _ = journal.records[-1]
    os.truncate(copy_.path(segment.name), offset + rng.randint(0, Segment.HEADER + length - 1))
    if journal.attested_without(lsn, True) >= lsn:
        return copy_.expect_refusal(segment, None, lsn)
    copy_.expect_start(all_there=False)


def truncated_middle(copy_, journal, rng):
    """A whole stretch is cut off: a later segment may prove it, or it is a shorter journal."""
    segment, lsn, offset, _, _ = rng.choice(journal.recent())
    os.truncate(copy_.path(segment.name), offset)
    left = [r for r in journal.records if r[0] is not segment or r[2] < offset]
    if max([s.attested for s in journal.segments] + [r[4] for r in left]) >= lsn:
        return copy_.expect_refusal(segment, None, lsn)
    copy_.expect_start(all_there=False)


def flip_in_tail(copy_, journal, rng):
    """A bit of the last record: that record may go, all others stay."""
    segment, lsn, offset, length, _ = journal.records[-1]
    at = offset + rng.randrange(Segment.HEADER + length)
    copy_.flip(segment, at)
    if journal.attested_without(lsn, at < offset + Segment.HEADER) >= lsn:
        return copy_.expect_refusal(segment, at, lsn)
    copy_.expect_start(all_there=False)


def flip_in_payload(copy_, journal, rng):
    segment, lsn, offset, length, _ = rng.choice([r for r in journal.recent() if r[3] > 0])
    at = offset + Segment.HEADER + rng.randrange(length)
    copy_.flip(segment, at)
    copy_.expect_refusal(segment, at, lsn)


def flip_in_record_header(copy_, journal, rng):
    segment, lsn, offset, _, _ = rng.choice(journal.recent())
    at = offset + rng.randrange(Segment.HEADER)
    copy_.flip(segment, at)
    copy_.expect_refusal(segment, at, lsn)


def flip_in_segment_header(copy_, journal, rng):
    segment = rng.choice(journal.recent())[0]
    at = rng.randrange(64)
    copy_.flip(segment, at)
    copy_.expect_refusal(segment, at, segment.records[0][0])


def flip_in_empty_space(copy_, journal, rng):
    """Behind the last record nothing counts."""
    segment, _, offset, length, _ = journal.records[-1]
    start = (offset + Segment.HEADER + length + Segment.BLOCK) // Segment.BLOCK * Segment.BLOCK
    if start + 1 < len(segment.data):
        copy_.flip(segment, rng.randrange(start, len(segment.data)))
    copy_.expect_start(all_there=True)


def missing_segment(copy_, journal, rng):
    segment = rng.choice(journal.recent())[0]
    os.unlink(copy_.path(segment.name))
    others = [r[4] for r in journal.records if r[0] is not segment]
    others += [s.attested for s in journal.segments if s is not segment]
    try:
        copy_.server.start()
    except StartFailure as failure:
        if not isinstance(failure.status, int) or failure.status <= 0:
            raise Failure(f"exit status {failure.status} without a segment") from None
        return
    if max(others, default=0) >= max(segment.records[0][0], journal.before + 1):
        raise Failure(f"it starts without {segment.name}, whose records are proved")


def stale_segments(copy_, journal, rng):
    """Files of another time: covered segments that come back, spares, half-made ones."""
    segment = journal.segments[0]
    for name in ("journal-" + "f" * 16 + ".new", "journal-" + "e" * 16 + ".free"):
        shutil.copy(copy_.path(segment.name), copy_.path(name))
    for old in copy_.run.stale:
        place = copy_.path(os.path.basename(old))
        if not os.path.exists(place):
            shutil.copy(old, place)
    copy_.expect_start(all_there=True)


KINDS = [
    untouched, truncated_tail, truncated_middle, flip_in_tail, flip_in_payload,
    flip_in_record_header, flip_in_segment_header, flip_in_empty_space, missing_segment,
    stale_segments,
]


def damaged(run, seconds, rounds):
    from harness import until

    failures = {}
    for _ in until(seconds, rounds):
        run.start().close()
        run.stale = keep_segments(run)
        before = Journal(run.server.dir).last()
        run.kill_under_load(run.rng.uniform(0.4, 1.0))
        journal = Journal(run.server.dir)
        journal.before = max(before, covered(run))
        if len(journal.recent()) < 20:
            continue  # a checkpoint has just made nearly all of it superfluous
        for kind in KINDS:
            if kind.__name__ in failures:
                continue
            copy_ = Copy(run, journal)
            try:
                kind(copy_, journal, run.rng)
            except (Failure, StartFailure) as failure:
                copy_.server.kill()
                failures[kind.__name__] = f"{failure}; kept {copy_.server.base}"
                continue
            copy_.remove()
    if failures:
        raise Failure("\n      ".join(f"{name}: {what}" for name, what in failures.items()))
    run.finish()


def covered(run):
    """The last record that the checkpoint has, so that the journal need not."""
    status, output = run.server.run_tool("check", run.server.dir)
    found = re.search(r"checkpoint: batch (\d+)", output)
    if status != 0 or not found:
        raise Failure(f"`check` of a sound directory answers {status}: {output}")
    return int(found.group(1))


def keep_segments(run):
    """Copies of the segments as they are now; by the time of the crash they may be history."""
    place = run.server.path("stale")
    shutil.rmtree(place, ignore_errors=True)
    os.mkdir(place)
    for path in glob.glob(os.path.join(run.server.dir, "journal-" + "[0-9a-f]" * 16)):
        shutil.copy(path, place)
    return glob.glob(os.path.join(place, "*"))


SCENARIOS = [("damaged journals", damaged, 10)]
