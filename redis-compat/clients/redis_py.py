"""redis-py, with a small queue of our own on lists (see README, "The little queue"), and a session of what else
the client does."""

import os
import sys
import time

import redis
from lib import scenario as s

client = redis.Redis(port=s.PORT, decode_responses=True)

MOVE_DUE = client.register_script("""
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 10)
if #due > 0 then
  redis.call('ZREM', KEYS[1], unpack(due))
  redis.call('LPUSH', KEYS[2], unpack(due))
end
return #due""")


def turn(mine):
    """What this worker has in hand is in a list of its own, which outlives it."""
    MOVE_DUE(keys=['later', 'jobs'], args=[time.time()])
    name = client.lindex(mine, 0) or client.blmove('jobs', mine, 0.05, 'RIGHT', 'LEFT')
    if not name:
        return
    try:
        result = s.perform(name)
    except RuntimeError:
        result = None
    with client.pipeline() as end:
        end.lrem(mine, 1, name)
        if result:
            end.hset('results', name, result).publish('done', name)
        elif client.hincrby('failures', name, 1) < 3:
            end.zadd('later', {name: time.time() + 0.05})
        else:
            end.rpush('dead', name)
        end.execute()


def worker():
    mine = 'hand:%d' % os.getpid()
    client.sadd('hands', mine)
    while True:
        try:
            turn(mine)
        except redis.ConnectionError:
            time.sleep(0.05)


def session():
    with client.pipeline() as pipe:
        s.check('a transaction answers in order', pipe.set('a', 1).incr('a').get('a').execute() == [True, 2, '2'])
    client.hset('hash', mapping={'one': 1, 'two': 2})
    s.check('a hash comes as a dict', client.hgetall('hash') == {'one': '1', 'two': '2'})
    client.zadd('scores', {'half': 1.5, 'all': float('inf')})
    s.check('scores come as floats', client.zrange('scores', 0, -1, withscores=True) == [('half', 1.5), ('all', float('inf'))])
    client.sadd('set', *range(300))
    s.check('SSCAN sees every member', {int(m) for m in client.sscan_iter('set', count=50)} == set(range(300)))
    s.check('SCAN sees every key', {'a', 'hash', 'scores', 'set'} <= set(client.scan_iter(count=2)))
    raw = redis.Redis(port=s.PORT)
    raw.set(b'binary\x00\xff', bytes(range(256)))
    s.check('binary keys and values come back', raw.get(b'binary\x00\xff') == bytes(range(256)))
    try:
        client.lpush('a', 1)
    except redis.ResponseError as problem:
        s.check('errors are as they are in Redis', str(problem).startswith('WRONGTYPE Operation against'), problem)
    with client.pipeline() as pipe:
        pipe.watch('a')
        client.set('a', 'changed')
        pipe.multi()
        pipe.set('a', 'mine')
        try:
            pipe.execute()
            s.check('WATCH undoes the transaction', False)
        except redis.WatchError:
            s.check('WATCH undoes the transaction', client.get('a') == 'changed')
    lock = client.lock('lock', timeout=10)
    s.check('a lock is taken once', lock.acquire() and not client.lock('lock').acquire(blocking=False))
    lock.release()
    s.check('a lock is given back', not client.exists('lock'))
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.psubscribe('news.*')
    listener.get_message(timeout=5)
    client.publish('news.today', 'sun')
    heard = next(message for message in (listener.get_message(timeout=5) for _ in range(20)) if message)
    s.check('a pattern hears', (heard['channel'], heard['data']) == ('news.today', 'sun'), heard)
    s.check('INFO and CLIENT LIST are understood', client.info()['redis_version'].startswith('7.') and
            any(each['addr'] for each in client.client_list()))
    client.xgroup_create('stream', 'group', mkstream=True)
    entry = client.xadd('stream', {'field': 'value'})
    read = client.xreadgroup('group', 'me', {'stream': '>'}, count=1)
    s.check('a group reads', read == [['stream', [(entry, {'field': 'value'})]]], read)
    s.check('an entry is pending until it is acknowledged', client.xpending('stream', 'group')['pending'] == 1 and
            client.xack('stream', 'group', entry) == 1 and client.xpending('stream', 'group')['pending'] == 0)


def left_over():
    return client.llen('jobs') + client.zcard('later') + sum(client.llen(hand) for hand in client.smembers('hands'))


def story():
    s.library('redis')
    s.promise('at least once, our own queue on lists')
    session()

    def add(name):
        client.lpush('jobs', name)

    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe('done')
    jobs = s.FirstJobs()
    for name in ['hang-0'] + jobs.plain + jobs.flaky + jobs.doomed:
        add(name)
    client.zadd('later', {name: jobs.due for name in jobs.later})
    for _ in range(3):
        s.start_worker()

    pid = s.kill_worker_in_the_middle_of('hang-0')
    client.lmove('hand:%d' % pid, 'jobs', 'LEFT', 'RIGHT')      # as whoever watches the workers would
    s.start_worker()
    succeeding = jobs.succeeding + jobs.hang
    s.until('the first jobs are done', lambda: s.all_done(succeeding))
    s.until('the doomed jobs are dead', lambda: client.llen('dead') == len(jobs.doomed))
    jobs.check(attempts=3)
    s.until('every result is stored', lambda: client.hmget('results', succeeding) == ['result of ' + n for n in succeeding])
    told = set()

    def listen():
        message = listener.get_message(timeout=1)
        told.update([message['data']] if message else [])
        return told == set(succeeding)

    s.until('every result was told', listen)
    listener.close()

    wave = s.names('plain-wave', 30 if s.FAST else 60) + s.names('flaky-wave', 10)
    acknowledged = s.add_through_server_kill(wave, add)
    s.until('what was acknowledged is done', lambda: s.all_done(acknowledged))
    s.check_wave(acknowledged, in_hand=3)
    s.until('nothing is left', lambda: left_over() == 0)
    s.finish()


if sys.argv[1:] == ['worker']:
    worker()
else:
    story()
