"""Celery with acks_late: at least once. The tasks of a killed worker come back after the visibility timeout.
Between BRPOP and the note among the unacknowledged a task belongs to nobody (kombu): when the server dies
there, each worker may lose one."""

import sys
import time

from celery import Celery, chain, chord, group
from lib import scenario as s
from redis import Redis

VISIBLE_AGAIN = 4       # seconds

app = Celery('celery_tasks', broker=s.URL, backend=s.URL)
app.conf.update(
    task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1, broker_connection_retry=True,
    broker_transport_options={'visibility_timeout': VISIBLE_AGAIN, 'max_retries': None, 'interval_start': 0, 'interval_step': 0.1},
    task_publish_retry=True, result_extended=True, broker_connection_max_retries=None, task_send_sent_event=True)
redis = Redis(port=s.PORT)


@app.task(bind=True, max_retries=2)
def perform(self, name):
    try:
        return s.perform(name)
    except RuntimeError as problem:
        # Not at once: the state RETRY is stored after the new message, and must not come after its FAILURE.
        raise self.retry(exc=problem, countdown=0.3)


@app.task
def add_up(numbers):
    return sum(numbers)


@app.task
def twice(number):
    return number * 2


def start_worker(number):
    s.start_worker(sys.executable, '-m', 'celery', '-A', 'celery_tasks', 'worker', '-P', 'solo', '-n', 'w%d' % number,
                   '-l', 'WARNING', '-E')


def start_worker_that_finds_what_was_left(number):
    """Workers look when they start, and every hundred seconds."""
    time.sleep(VISIBLE_AGAIN + 1)
    start_worker(number)


def story():
    s.library('celery', 'kombu', 'redis')
    s.promise("a killed worker's task runs again (acks_late)")
    results = {}

    def add(name, **options):
        results[name] = perform.apply_async((name,), task_id=name, **options)

    jobs = s.FirstJobs()
    add('hang-0')
    for name in jobs.plain + jobs.flaky + jobs.doomed:
        add(name, priority=len(results) % 10)
    jobs.due = time.time() + 2
    for name in jobs.later:
        add(name, countdown=2.1, expires=60)
    for number in range(3):
        start_worker(number)

    s.kill_worker_in_the_middle_of('hang-0')
    start_worker_that_finds_what_was_left(3)
    succeeding = jobs.succeeding + jobs.hang
    s.until('the first tasks are done', lambda: s.all_done(succeeding))
    check_results(results, succeeding)
    s.until('the doomed tasks have failed', lambda: all(results[n].state == 'FAILURE' for n in jobs.doomed))
    jobs.check(attempts=3)
    s.check('a failure says why', str(results['doomed-0'].result) == 'doomed-0 fails', results['doomed-0'].result)
    s.check('a chain hands its results on', chain(add_up.s([1, 2]), twice.s(), twice.s())().get(timeout=30) == 12)
    s.check('a chord waits for all of its group',
            chord(group(twice.s(n) for n in range(20)), add_up.s())().get(timeout=30) == 380)
    s.until('three workers answer a ping', lambda: len(app.control.ping(timeout=1)) == 3)

    wave = s.names('plain-wave', 25 if s.FAST else 50) + s.names('flaky-wave', 10)
    acknowledged = s.add_through_server_kill(wave, add)
    if s.SERVER_DIES:
        start_worker_that_finds_what_was_left(4)
    s.until('the queues are empty', lambda: left_over() == 0)
    s.check_wave(acknowledged, in_hand=6, may_be_lost=3)
    check_results(results, [n for n in acknowledged if s.times('done', n)])
    s.finish()


def check_results(results, names):
    wrong = [n for n in names if results[n].get(timeout=30) != 'result of ' + n]
    s.check('every result comes', not wrong, wrong)


def left_over():
    """Waiting in the queues of the four priorities, and not acknowledged."""
    queues = [key for key in redis.keys('celery*') if redis.type(key) == b'list']
    return sum(redis.llen(key) for key in queues) + redis.hlen('unacked')


if __name__ == '__main__':
    story()
