"""One server on one directory: start, watch, kill, cut the power."""
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import selftest
from resp import Client

READY = b"Ready to accept connections"
START_SECONDS = 30


class StartFailure(Exception):
    def __init__(self, status, output):
        super().__init__(f"the server did not start (exit status {status}): {output[-1500:]}")
        self.status, self.output = status, output


class Setup:
    """What is being tested, and how; the same for all scenarios."""

    def __init__(self, build, base=None, redis=False, snapshots=False):
        self.library = os.path.join(build, "libpowercut.so")
        self.server = "redis-server" if redis else os.path.join(build, "sluice")
        self.base = base
        # With redis-server the tests test themselves. It does not sync the directories it makes,
        # so a cut must leave names alone; it does not load an AOF with a garbled end; and it forgets
        # idle consumers and entries-read.
        self.extra = ["--save", ""] if redis else []
        self.names = "keep" if redis else None
        self.fates = ["keep", "drop", "prefix"] if redis else [None]
        self.lenient = redis
        self.snapshots = snapshots


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, setup, fsync="always", watch=False, say=lambda line: None):
        self.setup, self.fsync, self.watch, self.say = setup, fsync, watch, say
        self.base = tempfile.mkdtemp(prefix="sluice-crash.", dir=setup.base)
        self.dir = os.path.join(self.base, "dir")
        self.log = os.path.join(self.base, "undo")
        os.mkdir(self.dir)
        self.process, self.port, self.starts, self.output = None, None, 0, None

    def path(self, name):
        return os.path.join(self.base, name)

    def control(self, name, text):
        """Sets the quota or the failing fsync; see faults.h."""
        with open(self.path(name) + ".new", "w") as f:
            f.write(str(text))
        os.rename(self.path(name) + ".new", self.path(name))

    def command(self, port):
        return [
            self.setup.server, "--port", str(port), "--dir", self.dir, "--appendonly", "yes",
            "--appendfsync", self.fsync, *self.setup.extra,
        ]

    def environment(self, kill_at=None):
        environment = dict(os.environ)
        if self.watch:
            environment.update(
                LD_PRELOAD=self.setup.library,
                POWERCUT_DIR=self.dir,
                POWERCUT_LOG=self.log,
                POWERCUT_QUOTA=self.path("quota"),
                POWERCUT_FSYNC_FAIL=self.path("fsync"),
            )
            # A sanitizer's runtime insists on coming first otherwise.
            environment.setdefault("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0")
            if kill_at:
                environment["POWERCUT_KILL_AT"] = str(kill_at)
        return environment

    def launch(self, kill_at=None):
        self.port = free_port()
        self.starts += 1
        self.output = self.path(f"output.{self.starts}")
        with open(self.output, "wb") as out:
            self.process = subprocess.Popen(
                self.command(self.port), env=self.environment(kill_at), stdout=out,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=self.base,
            )

    def read_output(self):
        with open(self.output, "rb") as f:
            return f.read()

    def start(self, kill_at=None):
        """Returns when it serves. StartFailure when it ends before."""
        self.launch(kill_at)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            output = self.read_output()
            if READY in output:
                return
            status = self.process.poll()
            if status is not None:
                raise StartFailure(status, self.read_output().decode("utf-8", "replace"))
            time.sleep(0.01)
        self.kill()
        raise StartFailure("none, still running", output.decode("utf-8", "replace"))

    def client(self, timeout=20.0):
        return Client(self.port, timeout)

    def dead(self):
        return self.process is None or self.process.poll() is not None

    def kill(self):
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()

    def stop(self, number=signal.SIGTERM, seconds=15):
        """A clean stop; the exit status, or None when it does not end."""
        self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def cut(self, seed, mode=None):
        if self.setup.snapshots:
            saved = self.path(f"before-cut.{self.starts}")
            shutil.rmtree(saved, ignore_errors=True)
            os.mkdir(saved)
            subprocess.run(["cp", "-a", self.dir, self.log, saved], check=True)
        mode = mode or random.Random(seed).choice(self.setup.fates)
        selftest.cut(self.dir, self.log, seed, mode, self.say, self.setup.names)

    def notes(self):
        path = os.path.join(self.log, "notes")
        if not os.path.exists(path):
            return []
        with open(path) as f:
            return f.read().split("\n")[:-1]

    def run_tool(self, *arguments, seconds=60):
        """An offline subcommand; (exit status, output)."""
        done = subprocess.run(
            [self.setup.server, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=seconds, check=False,
        )
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def remove(self):
        self.kill()
        shutil.rmtree(self.base, ignore_errors=True)
