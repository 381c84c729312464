"""RESP over a socket, and the small zoo of servers that the comparisons talk to.

A reply is kept as a typed tree so that two servers can be compared to the byte:

    (b'+', bytes)   simple string        (b':', int)          integer
    (b'-', bytes)   error                (b',', bytes)        double, as spelled
    (b'$', bytes)   bulk string          (b'#', bool)         boolean
    (b'$', None)    RESP2 null bulk      (b'(', bytes)        big number, as spelled
    (b'*', list)    array                (b'=txt', bytes)     verbatim string, its kind beside the =
    (b'*', None)    RESP2 null array     (b'%', [(k, v)...])  map
    (b'_', None)    RESP3 null           (b'~', list)         set
                                         (b'>', list)         push

and two that no server sends: (b'closed', None) and (b'timeout', None).
"""

import os
import select
import shutil
import socket
import subprocess
import tempfile
import time

CLOSED = (b'closed', None)
TIMEOUT = (b'timeout', None)


def encode(args):
    """A command as the array of bulk strings that clients send."""
    parts = [b'*%d\r\n' % len(args)]
    for arg in args:
        if isinstance(arg, str):
            arg = arg.encode()
        elif isinstance(arg, int):
            arg = b'%d' % arg
        parts.append(b'$%d\r\n%s\r\n' % (len(arg), arg))
    return b''.join(parts)


class _Incomplete(Exception):
    pass


class Connection:
    """One client connection. Reads never raise: they answer CLOSED or TIMEOUT."""

    def __init__(self, port):
        self.sock = socket.create_connection(('127.0.0.1', port), timeout=5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(10)
        self.buffer = bytearray()
        self.ended = False

    def close(self):
        self.sock.close()
        self.ended = True

    def send_bytes(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            self.ended = True

    def send(self, *args):
        self.send_bytes(encode(args))

    def call(self, *args, timeout=10.0):
        self.send(*args)
        return self.read(timeout)

    def readable(self, timeout=0.0):
        """Whether a reply, part of one, or the end of the connection can be read."""
        return bool(self.buffer) or bool(select.select([self.sock], [], [], timeout)[0])

    def read(self, timeout=10.0):
        deadline = time.monotonic() + timeout
        while True:
            if self.buffer:
                try:
                    tree, used = self._parse(0)
                    del self.buffer[:used]
                    return tree
                except _Incomplete:
                    pass
            if self.ended:
                return CLOSED
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                return TIMEOUT
            try:
                data = self.sock.recv(1 << 18)
            except OSError:
                data = b''
            if not data:
                self.ended = True
            self.buffer += data

    def pushed(self, timeout=10.0):
        """The messages that have been sent to a subscriber: those before the answer to a PING."""
        self.send('PING', '<<')
        messages = []
        while True:
            tree = self.read(timeout)
            if tree in ((b'$', b'<<'), (b'*', [(b'$', b'pong'), (b'$', b'<<')])):
                return messages
            messages.append(tree)
            if tree in (CLOSED, TIMEOUT):
                return messages

    def _parse(self, at):
        end = self.buffer.find(b'\r\n', at)
        if end < 0:
            raise _Incomplete
        kind = bytes(self.buffer[at:at + 1])
        text = bytes(self.buffer[at + 1:end])
        at = end + 2
        if kind in (b'+', b'-', b',', b'('):
            return (kind, text), at
        if kind == b':':
            return (kind, int(text)), at
        if kind == b'_':
            return (kind, None), at
        if kind == b'#':
            return (kind, text == b't'), at
        if kind in (b'$', b'=', b'*', b'~', b'>', b'%'):
            size = int(text)
            if size < 0:
                return (kind, None), at
            if kind in (b'$', b'='):
                if len(self.buffer) < at + size + 2:
                    raise _Incomplete
                body = bytes(self.buffer[at:at + size])
                if kind == b'=':
                    return (kind + body[:3], body[4:]), at + size + 2
                return (kind, body), at + size + 2
            items = []
            for _ in range(size * 2 if kind == b'%' else size):
                item, at = self._parse(at)
                items.append(item)
            if kind == b'%':
                items = list(zip(items[0::2], items[1::2]))
            return (kind, items), at
        raise ValueError('not RESP: %r' % bytes(self.buffer[max(0, at - 40):at + 40]))


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Server:
    """A server process of our own on a free loopback port, in a directory that goes away with it."""

    def __init__(self, name, command):
        self.name = name
        self.command = command
        self.process = None
        self.directory = tempfile.mkdtemp(prefix='compat-' + name + '-')
        self.start()

    def start(self, port=None):
        self.port = port or free_port()
        self.log = os.path.join(self.directory, 'log')
        line = self.command + ['--port', str(self.port), '--dir', self.directory]
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while True:
            try:
                Connection(self.port).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit('%s did not start: %s\n%s'
                                     % (self.name, ' '.join(line), self.log_tail()))
                time.sleep(0.01)

    def alive(self):
        return self.process.poll() is None

    def log_tail(self, lines=20):
        with open(self.log, 'r', errors='replace') as log:
            return ''.join(log.readlines()[-lines:])

    def kill_and_restart(self):
        """SIGKILL, then another process on the same directory and port."""
        self.process.kill()
        self.process.wait()
        self.start(self.port)

    def stop_process(self):
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def stop(self):
        self.stop_process()
        shutil.rmtree(self.directory, ignore_errors=True)


def _durability(fsync):
    return ['--appendonly', 'no'] if fsync == 'no' else ['--appendonly', 'yes', '--appendfsync', fsync]


def redis_server(name='redis', fsync='no'):
    program = shutil.which('redis-server') or '/usr/bin/redis-server'
    return Server(name, [program, '--bind', '127.0.0.1', '--save', '', '--enable-debug-command', 'yes',
                         '--daemonize', 'no'] + _durability(fsync))


def sluice_server(program, fsync='no'):
    return Server('sluice', [os.path.abspath(program), '--bind', '127.0.0.1',
                             '--enable-debug-command', 'yes'] + _durability(fsync))
