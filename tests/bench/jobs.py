#!/usr/bin/env python3
"""A load for `make bench`: what a job library sends, many connections on one thread. Speaks to any Redis.

    tests/bench/jobs.py PORT KIND COUNT CLIENTS [BULLMQ]

    script   EVALSHA of a script of 40 kB that makes thirty calls, COUNT times
    bullmq   COUNT jobs of BullMQ: added, taken and finished (without taking the next one in the same step) by its
             own scripts, with the arguments that it sends; BULLMQ is the installed package's directory

Prints "lives/s p50-ms p99-ms": a life is one EVALSHA, or a job from before it is added until after it is finished.
"""
import os
import re
import selectors
import socket
import struct
import sys
import time


def command(*words):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words)


def reply_end(data, at=0):
    """Where the reply that begins at `at` ends; 0 when it is not complete."""
    line = data.find(b'\r\n', at)
    if line < 0:
        return 0
    kind, end = data[at], line + 2
    if kind in b'+-:':
        return end
    size = int(data[at + 1:line])
    if kind == ord('$'):
        end += size + 2 if size >= 0 else 0
        return end if end <= len(data) else 0
    for _ in range(size):
        end = reply_end(data, end)
        if not end:
            return 0
    return end


def load_script(port, text):
    with socket.create_connection(('127.0.0.1', port)) as s:
        s.sendall(command('SCRIPT', 'LOAD', text))
        data = b''
        while not reply_end(data):
            data += s.recv(65536)
    if not data.startswith(b'$40\r\n'):
        sys.exit('jobs: ' + data.decode(errors='replace'))
    return data[5:45]


# ---- the script of 40 kB

FUNCTION = '''
-- One of those that a library's scripts carry along and seldom call.
local function helper%d(prefix, id, options)
  local key = prefix .. ':' .. id
  if options and options['remove'] then
    local fields = rcall('HGETALL', key)
    for i = 1, #fields, 2 do
      if fields[i] == 'parent' then return cjson.decode(fields[i + 1]) end
    end
    rcall('DEL', key, key .. ':logs', key .. ':dependencies')
  elseif rcall('EXISTS', key) == 1 then
    rcall('ZADD', prefix .. ':helped', options['score'] or 0, id)
  end
  return %d
end
'''

CALLS = '''
local job, wait, active, delayed, events = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
for i = 1, 2 do
  local id = ARGV[1] .. ':' .. i
  rcall('HSET', job, 'name', 'mail', 'data', ARGV[2], 'attempts', i)
  rcall('HINCRBY', job, 'attempts', 1)
  local values = rcall('HMGET', job, 'name', 'data', 'attempts')
  if values[1] ~= 'mail' then return redis.error_reply('ERR the hash is wrong') end
  rcall('LPUSH', wait, id)
  rcall('LLEN', wait)
  rcall('RPOPLPUSH', wait, active)
  rcall('ZADD', delayed, 4096 * i, id)
  rcall('ZRANGEBYSCORE', delayed, 0, 4096, 'LIMIT', 0, 10)
  rcall('XADD', events, 'MAXLEN', '~', 1000, '*', 'event', 'active', 'id', id)
  rcall('SET', job .. ':lock', ARGV[1], 'PX', 30000)
  rcall('GET', job .. ':lock')
  rcall('ZREM', delayed, id)
  rcall('LREM', active, 1, id)
  rcall('EXISTS', job)
  rcall('DEL', job .. ':lock')
end
return {1, ARGV[1]}
'''


def big_script():
    text = 'local rcall = redis.call\n'
    n = 0
    while len(text) + len(CALLS) < 40_000:
        n += 1
        text += FUNCTION % (n, n)
    return text + CALLS


class BigScript:
    def __init__(self, port):
        self.sha = load_script(port, big_script())

    def life(self, n):
        """Yields what one life sends, command by command, and is sent the replies."""
        keys = ['big:job:%d' % (n % 1000)] + ['big:' + k for k in ('wait', 'active', 'delayed', 'events')]
        yield command('EVALSHA', self.sha, len(keys), *keys, n, '{"to":"ann@example.org","n":%d}' % n)


# ---- BullMQ

class BullMQ:
    def __init__(self, port, package):
        def sha(name):
            with open(os.path.join(package, 'dist', 'cjs', 'scripts', name + '.js')) as file:
                text = re.search(r'const content = `(.*?)`;', file.read(), re.S).group(1)
            return load_script(port, re.sub(r'\\(.)', r'\1', text))
        self.add, self.take, self.finish = sha('addStandardJob-9'), sha('moveToActive-11'), sha('moveToFinished-14')

    @staticmethod
    def keys(names):
        return ['bull:q:' + name for name in names.split()]

    def life(self, n):
        now = int(time.time() * 1000)
        token = b'\xa5token\xd9&bd3d4967-357e-4e23-9091-43a485575198:1'
        yield command('EVALSHA', self.add, 9, *self.keys('wait paused meta id completed delayed active events marker'),
                      b'\x9a\xa7bull:q:\xa0\xa3job\xcb' + struct.pack('>d', now) + b'\xc0' * 6,
                      '{"to":"ann@example.org","n":%d}' % n, b'\xde\x00\x01\xa8attempts\x00')
        reply = yield command(
            'EVALSHA', self.take, 11,
            *self.keys('wait active prioritized events stalled limiter delayed paused meta pc marker'),
            'bull:q:', now, b'\xde\x00\x04' + token + b'\xaclockDuration\xcdu0\xa7limiter\xc0\xa4name\xc0')
        # [[field, value, ...], id, ...]
        data, job = reply.split(b'\r\n'), None
        if data[0] == b'*4' and data[1][:1] == b'*':
            job = data[2 + 2 * int(data[1][1:]) + 1]
        if not job:
            sys.exit('jobs: no job was given out: %r' % reply)
        yield command(
            'EVALSHA', self.finish, 14,
            *self.keys('wait active prioritized events stalled limiter delayed paused meta pc completed'),
            b'bull:q:' + job, *self.keys('metrics:completed marker'), job, now, 'returnvalue', '{"r":1}', 'completed', '',
            'bull:q:',
            b'\xde\x00\x0b' + token + b'\xa4name\xc0\xa8keepJobs\xde\x00\x01\xa5count\xff\xa7limiter\xc0\xaclockDuration\xcdu0'
            b'\xa8attempts\x00\xaemaxMetricsSize\xa0\xa4fpof\xc2\xa4cpof\xc2\xa4idof\xc2\xa4rdof\xc2', '')


# ---- the load

class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b''

    def begin(self, life):
        self.life, self.began = life, time.monotonic()
        self.socket.sendall(next(life))

    def heard(self):
        """True when a life is over."""
        self.data += self.socket.recv(65536)
        if not reply_end(self.data):
            return False
        reply, self.data = self.data, b''
        if reply.startswith(b'-'):
            sys.exit('jobs: ' + reply.decode(errors='replace'))
        try:
            self.socket.sendall(self.life.send(reply))
            return False
        except StopIteration:
            return True


def main():
    port, kind, count, clients = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    work = BigScript(port) if kind == 'script' else BullMQ(port, sys.argv[5])
    selector = selectors.DefaultSelector()
    begun, lasted, start = 0, [], time.monotonic()
    for _ in range(clients):
        client = Client(port)
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.begin(work.life(begun))
        begun += 1
    while len(lasted) < begun:
        for event, _ in selector.select():
            client = event.data
            if client.heard():
                lasted.append(time.monotonic() - client.began)
                if begun < count:
                    client.begin(work.life(begun))
                    begun += 1
    seconds = time.monotonic() - start
    lasted.sort()
    print('%.1f %.3f %.3f' % (len(lasted) / seconds, lasted[len(lasted) // 2] * 1000, lasted[len(lasted) * 99 // 100] * 1000))


main()
