"""RQ: a job whose work horse dies has failed and is tried again; one whose whole worker dies is tried again
when the worker's heartbeat is over. Between BLPOP and the note in the registry of started jobs a job
belongs to nobody: a worker that quits there (as workers do without a server) takes it along."""

import math
import sys
import time
from datetime import datetime, timezone

from lib import scenario as s
from redis import Redis
from rq import Queue, Retry, Worker
from rq.job import Job
from rq.registry import FailedJobRegistry, ScheduledJobRegistry, StartedJobRegistry

redis = Redis(port=s.PORT)
queue = Queue('jobs', connection=redis)


def worker():
    Worker([queue], connection=redis).work(with_scheduler=True, logging_level='WARNING')


def add(name, **options):
    return queue.enqueue(s.perform, name, job_id=name, retry=Retry(max=2), result_ttl=600, **options)


def heartbeats_are_over():
    """What RQ's maintenance does when a job was not heard of for a minute."""
    StartedJobRegistry(queue=queue).cleanup(time.time() + 1000)


def quiet():
    if s.SERVER_DIES and s.restart_dead_workers():
        time.sleep(0.5)
    return queue.count == 0 and ScheduledJobRegistry(queue=queue).count == 0


def story():
    s.library('rq', 'redis')
    s.promise("a killed worker's job runs again (Retry)")
    jobs = s.FirstJobs()
    jobs.due = math.ceil(jobs.due)      # RQ counts in seconds
    jobs.hang = s.names('hang', 2)
    for name in jobs.hang + jobs.plain + jobs.flaky + jobs.doomed:
        add(name)
    for name in jobs.later:
        queue.enqueue_at(datetime.fromtimestamp(jobs.due, timezone.utc), s.perform, name, job_id=name)
    after = queue.enqueue(s.perform, 'plain-after', depends_on=[jobs.plain[-1], jobs.plain[-2]])
    for _ in range(3):
        s.start_worker()

    s.kill_worker_in_the_middle_of('hang-0')
    s.kill_worker_in_the_middle_of('hang-1', with_parent=True)
    s.start_worker()
    time.sleep(0.5)
    s.until('the other jobs are done', lambda: s.all_done(jobs.succeeding + ['hang-0']))
    s.until('only the killed worker has a job', lambda: StartedJobRegistry(queue=queue).get_job_ids() == ['hang-1'])
    heartbeats_are_over()
    succeeding = jobs.succeeding + jobs.hang
    s.until('the first jobs are done', lambda: s.all_done(succeeding))
    failed = FailedJobRegistry(queue=queue)
    s.until('the doomed jobs have failed', lambda: failed.count == len(jobs.doomed))
    jobs.check(attempts=3)
    s.until('every result is stored', lambda: all(
        Job.fetch(n, connection=redis).result == 'result of ' + n for n in succeeding))
    s.check('a failure says why', 'doomed-0 fails' in Job.fetch('doomed-0', connection=redis).exc_info)
    s.check('a job that depends on two others ran after them', s.noted('start', 'plain-after')[0].time >= max(
        s.noted('done', n)[0].time for n in jobs.plain[-2:]) and after.get_status(refresh=True) == 'finished')
    s.check('the workers are known, with their addresses', len(Worker.all(connection=redis)) >= 3 and
            any(w.ip_address for w in Worker.all(connection=redis)))

    wave = s.names('plain-wave', 25 if s.FAST else 50) + s.names('flaky-wave', 10)
    acknowledged = s.add_through_server_kill(wave, add)
    s.until('the queue is empty', quiet)
    time.sleep(1)
    heartbeats_are_over()
    s.until('the queue is empty again', lambda: quiet() and StartedJobRegistry(queue=queue).count == 0)
    s.check_wave(acknowledged, in_hand=3, may_be_lost=3, known=lambda n: Job.exists(n, connection=redis))
    s.check('only the doomed jobs failed', sorted(failed.get_job_ids()) == jobs.doomed, failed.get_job_ids())
    s.finish()


if sys.argv[1:] == ['worker']:
    worker()
elif __name__ == '__main__':
    story()
