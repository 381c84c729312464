"""redis-cli and redis-benchmark: what people type. The workers are shell scripts (redis-cli-worker), each
command a redis-cli of its own; the queue is the little queue (see README)."""

import json
import os
import subprocess
import time

from lib import scenario as s

CLI = ['redis-cli', '-p', str(s.PORT)]


def cli(*words, said=None):
    done = subprocess.run(CLI + list(words), input=said, capture_output=True, text=True, timeout=60)
    return done.stdout.rstrip('\n') if done.returncode == 0 else 'status %d: %s' % (done.returncode, done.stderr)


def session():
    s.check('a command answers', cli('SET', 'greeting', 'hello') == 'OK' and cli('GET', 'greeting') == 'hello')
    s.check('the last word may come on standard input', cli('-x', 'SET', 'piped', said='line\n') == 'OK' and
            cli('STRLEN', 'piped') == '5')
    s.check('commands may come on standard input', cli(said='INCR n\nINCR n\n').split() == ['1', '2'])
    s.check('a transaction', cli(said='MULTI\nINCR n\nEXEC\n').split() == ['OK', 'QUEUED', '3'])
    s.check('an error is told', cli('LPUSH', 'n', 'x').startswith('WRONGTYPE'))
    cli('HSET', 'hash', 'one', '1', 'two', '2')
    s.check('--json gives JSON', json.loads(cli('--json', 'HGETALL', 'hash')) == {'one': '1', 'two': '2'})
    s.check('-3 speaks RESP3', cli('-3', '--no-raw', 'HGETALL', 'hash') == '1# "one" => "1"\n2# "two" => "2"')
    with open(os.path.join(os.environ['WORK'], 'script.lua'), 'w') as script:
        script.write("return redis.call('GET', KEYS[1]) .. ARGV[1]")
    s.check('--eval runs a file', cli('--eval', script.name, 'greeting', ',', '!') == 'hello!')
    sets = ''.join('*3\r\n$3\r\nSET\r\n$%d\r\npipe:%d\r\n$1\r\nx\r\n' % (len('pipe:%d' % i), i) for i in range(1000))
    s.check('--pipe loads', 'errors: 0, replies: 1000' in cli('--pipe', said=sets))
    s.check('--scan finds', len(cli('--scan', '--pattern', 'pipe:*').split()) == 1000)
    s.check('--bigkeys looks at every key', 'Sampled 1004 keys' in cli('--bigkeys'))
    s.check('--memkeys looks at every key', 'Sampled 1004 keys' in cli('--memkeys'))
    s.check('-r repeats', cli('-r', '3', 'INCR', 'n').split() == ['4', '5', '6'])
    s.check('HELP and COMMAND DOCS are there', 'summary' in cli('COMMAND', 'DOCS', 'BLMOVE'))
    stat = subprocess.run(['timeout', '2', 'stdbuf', '-oL'] + CLI + ['--stat', '-i', '0.2'], capture_output=True, text=True).stdout
    s.check('--stat goes on', 'keys' in stat and '1004' in stat, stat)
    latency = subprocess.run(['timeout', '-s', 'INT', '2'] + CLI + ['--latency', '--raw'], capture_output=True, text=True).stdout
    s.check('--latency measures', len(latency.split()) >= 3, latency)


def pub_sub():
    heard = subprocess.Popen(CLI + ['PSUBSCRIBE', 'news.*'], stdout=subprocess.PIPE, text=True)
    s.until('a subscriber is there', lambda: cli('PUBSUB', 'NUMPAT') == '1')
    cli('PUBLISH', 'news.today', 'sun')
    lines = [heard.stdout.readline().strip() for _ in range(7)]
    heard.kill()
    s.check('a subscriber hears', lines[3:] == ['pmessage', 'news.*', 'news.today', 'sun'], lines)


def benchmark():
    tests = 'ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange_100,lrange_300,mset'
    done = subprocess.run(['redis-benchmark', '-p', str(s.PORT), '-q', '-n', '500', '-c', '10', '-t', tests],
                          capture_output=True, text=True, timeout=100)
    told = {line.split(':')[0].split(' (')[0] for line in done.stdout.replace('\r', '\n').splitlines() if 'requests per second' in line}
    s.check('redis-benchmark runs every test', done.returncode == 0 and len(told) >= 17, '%s %s' % (sorted(told), done.stderr))


def add(name):
    answer = cli('LPUSH', 'jobs', name)
    if not answer.isdigit():
        raise ConnectionError(answer)


def left_over():
    hands = cli('SMEMBERS', 'hands').split()
    return sum(int(cli('LLEN', key)) for key in ['jobs'] + hands) + int(cli('ZCARD', 'later'))


s.say('version ' + cli('--version'))
s.promise('at least once, our own queue on lists')
session()
pub_sub()
benchmark()
cli('FLUSHALL')

jobs = s.FirstJobs()
jobs.plain = jobs.plain[:30]
jobs.succeeding = jobs.plain + jobs.flaky + jobs.later
cli('LPUSH', 'jobs', 'hang-0', *jobs.plain, *jobs.flaky, *jobs.doomed)
jobs.due = time.time() + 2
cli('ZADD', 'later', *(word for name in jobs.later for word in (str(jobs.due), name)))
for _ in range(3):
    s.start_worker('bash', 'redis-cli-worker')

pid = s.kill_worker_in_the_middle_of('hang-0')
cli('LMOVE', 'hand:%d' % pid, 'jobs', 'LEFT', 'RIGHT')      # as whoever watches the workers would
s.start_worker('bash', 'redis-cli-worker')
succeeding = jobs.succeeding + jobs.hang
s.until('the first jobs are done', lambda: s.all_done(succeeding))
s.until('the doomed jobs are dead', lambda: cli('LLEN', 'dead') == str(len(jobs.doomed)))
jobs.check(attempts=3)
s.until('every result is stored', lambda: cli('HMGET', 'results', *succeeding).split('\n') ==
        ['result of ' + n for n in succeeding])

acknowledged = s.add_through_server_kill(s.names('plain-wave', 20) + s.names('flaky-wave', 5), add)
s.until('what was acknowledged is done', lambda: s.all_done(acknowledged))
s.check_wave(acknowledged, in_hand=3)
s.until('nothing is left', lambda: left_over() == 0)
s.finish()
