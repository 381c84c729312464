"""What the Python scenarios share: the jobs, the side file in which workers note what they did (never in
the server under test), starting and killing workers, killing the server, checking. The name of a job says
what becomes of it; see README.md."""

import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from importlib.metadata import version

PORT = int(os.environ['PORT'])
FAST = os.environ.get('FAST') == '1'
SERVER_DIES = os.environ.get('KILL') == '1'
SIDE = os.path.join(os.environ['WORK'], 'effects')
URL = 'redis://127.0.0.1:%d/0' % PORT
PATIENCE = 60       # seconds, for what must come; how long it takes is not tested

Effect = namedtuple('Effect', 'event name pid time')


def names(kind, count):
    return ['%s-%d' % (kind, i) for i in range(count)]


# --- the side file: one line "event name pid time" per effect, appended whole ------------------------------

def note(event, name):
    line = '%s %s %d %.3f\n' % (event, name, os.getpid(), time.time())
    side = os.open(SIDE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(side, line.encode())
    os.close(side)


def noted(event, name=None):
    if not os.path.exists(SIDE):
        return []
    with open(SIDE) as side:
        effects = [line.split() for line in side]
    return [Effect(e, n, int(pid), float(when)) for e, n, pid, when in effects
            if e == event and name in (None, n)]


def times(event, name):
    return len(noted(event, name))


def perform(name):
    """What every worker does with a job."""
    kind = name.split('-')[0]
    first = kind == 'plain' or times('start', name) == 0
    note('start', name)
    if kind == 'hang' and first:
        time.sleep(1e6)
    if kind == 'doomed' or kind == 'flaky' and first:
        note('fail', name)
        raise RuntimeError(name + ' fails')
    time.sleep(0.003)
    note('done', name)
    return 'result of ' + name


# --- the scenario's side -----------------------------------------------------------------------------------

failed = False
workers = []


def say(line):
    print(line, flush=True)


def check(what, holds, detail=''):
    global failed
    failed = failed or not holds
    say('ok ' + what if holds else 'not ok %s: %s' % (what, detail))


def until(what, holds, limit=PATIENCE):
    end = time.monotonic() + limit
    while not holds():
        if time.monotonic() > end:
            check(what, False, 'it never came')
            return False
        time.sleep(0.03)
    return True


def library(*packages):
    say('version ' + ', '.join('%s %s' % (name, version(name)) for name in packages))


def promise(text):
    say('promise ' + text)


def start_worker(*command):
    """A process group of its own, so that what it forks goes when it goes."""
    worker = subprocess.Popen(command or [sys.executable, sys.argv[0], 'worker'], stdin=subprocess.DEVNULL,
                              stdout=sys.stderr, stderr=sys.stderr)
    workers.append(worker)
    return worker


def kill_worker_in_the_middle_of(name, with_parent=False):
    """The process that performs this job, and the worker that forked it, die without a word. Returns its pid."""
    if until(name + ' is begun', lambda: times('start', name)):
        pid = noted('start', name)[0].pid
        if with_parent:
            with open('/proc/%d/stat' % pid) as stat:
                os.kill(int(stat.read().rsplit(')', 1)[1].split()[1]), signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        return pid


def restart_dead_workers():
    """What a supervisor does. Returns how many were dead."""
    dead = [worker for worker in workers if worker.poll() is not None]
    for worker in dead:
        workers.remove(worker)
        start_worker(*worker.args)
    return len(dead)


def kill_server():
    say('kill server')
    sys.stdin.readline()


def add_through_server_kill(jobs, add):
    """Adds the jobs one after the other; when half are added, faster than they are performed, the server dies
    (against Sluice), and the adding goes on. Returns the names whose adding was acknowledged."""
    acknowledged = []
    for name in jobs:
        if SERVER_DIES and len(acknowledged) == len(jobs) // 2:
            kill_server()
        try:
            add(name)
            acknowledged.append(name)
        except Exception as problem:    # whatever the library makes of a lost connection
            say('# adding %s: %s' % (name, problem))
            time.sleep(0.1)
    return acknowledged


def every(what, jobs, holds):
    bad = [name for name in jobs if not holds(name)]
    check(what, not bad, ', '.join('%s (start %d, fail %d, done %d)' % (
        name, times('start', name), times('fail', name), times('done', name)) for name in bad[:5]))


def all_done(jobs):
    return {effect.name for effect in noted('done')} >= set(jobs)


class FirstJobs:
    """The jobs of the first part."""

    def __init__(self):
        self.plain, self.flaky, self.doomed = names('plain', 40 if FAST else 70), names('flaky', 10), names('doomed', 5)
        self.later, self.hang = names('later', 10), names('hang', 1)
        self.due = time.time() + 2
        self.succeeding = self.plain + self.flaky + self.later

    def check(self, attempts, hang_runs_again=True):
        """What must hold when all is quiet again."""
        every('plain jobs ran once', self.plain, lambda n: times('start', n) == 1 and times('done', n) == 1)
        every('flaky jobs ran twice', self.flaky, lambda n: times('fail', n) == 1 and times('done', n) == 1)
        every('doomed jobs ran %d times' % attempts, self.doomed,
              lambda n: times('fail', n) == attempts and times('done', n) == 0)
        every('later jobs ran once, not before they were due', self.later,
              lambda n: times('done', n) == 1 and noted('start', n)[0].time >= self.due - 0.005)
        if hang_runs_again:
            every("the killed worker's job ran again", self.hang,
                  lambda n: times('start', n) == 2 and times('done', n) == 1)
        else:
            every("the killed worker's job did not run again", self.hang, lambda n: times('start', n) == 1)


def check_wave(acknowledged, in_hand, may_be_lost=0, known=lambda name: True):
    """After a server kill: what was acknowledged is done; run twice is at most what workers had in hand.
    Where a library cannot promise more, workers may have lost one job each in the moment of taking it."""
    lost = [n for n in acknowledged if not times('done', n)]
    most = may_be_lost if SERVER_DIES else 0
    check('every acknowledged job is done' + (', but for %d at most that were just being taken' % most if most else ''),
          len(lost) <= most and all(known(n) for n in lost), ' '.join(lost[:8]))
    again = sum(max(0, times('done', n) - 1) for n in acknowledged)
    most = in_hand if SERVER_DIES else 0
    check('at most %d jobs ran twice' % most, again <= most, '%d did' % again)


def finish():
    for worker in workers:
        worker.kill()
    sys.exit(1 if failed else 0)
