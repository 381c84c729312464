"""hiredis: the workers and the adding of jobs are hiredis.c, which this compiles; the queue is the little queue
(see README). What becomes of the jobs is asked with redis-py."""

import os
import re
import subprocess

import redis
from lib import scenario as s

PROGRAM = os.path.join(os.environ['WORK'], 'hiredis')
client = redis.Redis(port=s.PORT, decode_responses=True)


def left_over():
    return client.llen('jobs') + client.zcard('later') + sum(client.llen(hand) for hand in client.smembers('hands'))


subprocess.run(['cc', '-O1', '-o', PROGRAM, 'hiredis.c', '-lhiredis'], check=True)
with open('/usr/include/hiredis/hiredis.h') as header:
    s.say('version hiredis ' + '.'.join(re.findall(r'#define HIREDIS_(?:MAJOR|MINOR|PATCH) (\d+)', header.read())))
s.promise('at least once, our own queue on lists')
for line in subprocess.run([PROGRAM, 'session'], capture_output=True, text=True).stdout.splitlines():
    kind, _, what = line.partition('ok ')
    s.check(what, not kind)

adder = subprocess.Popen([PROGRAM, 'add'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def add(name):
    adder.stdin.write(name + '\n')
    adder.stdin.flush()
    if adder.stdout.readline() != name + '\n':
        raise ConnectionError('not acknowledged')


jobs = s.FirstJobs()
for each in ['hang-0'] + jobs.plain + jobs.flaky + jobs.doomed:
    add(each)
client.zadd('later', {name: jobs.due for name in jobs.later})
for _ in range(3):
    s.start_worker(PROGRAM, 'worker')

pid = s.kill_worker_in_the_middle_of('hang-0')
client.lmove('hand:%d' % pid, 'jobs', 'LEFT', 'RIGHT')      # as whoever watches the workers would
s.start_worker(PROGRAM, 'worker')
succeeding = jobs.succeeding + jobs.hang
s.until('the first jobs are done', lambda: s.all_done(succeeding))
s.until('the doomed jobs are dead', lambda: client.llen('dead') == len(jobs.doomed))
jobs.check(attempts=3)
s.until('every result is stored', lambda: client.hmget('results', succeeding) == ['result-of-' + n for n in succeeding])

wave = s.names('plain-wave', 30 if s.FAST else 60) + s.names('flaky-wave', 10)
acknowledged = s.add_through_server_kill(wave, add)
s.until('what was acknowledged is done', lambda: s.all_done(acknowledged))
s.check_wave(acknowledged, in_hand=3)
s.until('nothing is left', lambda: left_over() == 0)
s.finish()
