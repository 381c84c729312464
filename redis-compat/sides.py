"""One server of a comparison, seen through its connections."""

import re
import time

from wire import CLOSED, TIMEOUT, Connection

PATIENCE = 5.0                  # seconds until a reply counts as missing


class Side:
    """A server with its control connection, and the connections and values of the current section."""

    def __init__(self, server):
        self.server = server
        self.control = Connection(server.port)
        self.connections, self.values = {}, {}

    def begin(self, resp, now):
        """A clean server: nobody connected but us, no data, nothing paused."""
        if self.control.call('PING') in (CLOSED, TIMEOUT):
            self.server.stop_process()
            self.server.start()
            self.control = Connection(self.server.port)
        self.resp = resp
        self.control.call('CLIENT', 'UNPAUSE')
        self.control.call('DEBUG', 'CLOCK', 'RESUME')  # an error to redis-server
        self.control.call('CONFIG', 'SET', 'requirepass', '')
        self.control.call('ACL', 'SETUSER', 'default', 'on', 'nopass', '~*', '&*', '+@all', 'clearselectors')
        users = [name for _, name in self.control.call('ACL', 'USERS')[1]]
        if len(users) > 1:
            self.control.call('ACL', 'DELUSER', *[name for name in users if name != b'default'])
        self.control.call('ACL', 'LOG', 'RESET')
        self.control.call('CONFIG', 'SET', 'notify-keyspace-events', '')
        self.control.call('FLUSHALL')
        self.connections, self.values = {}, {'port': str(self.server.port)}
        self.now = now

    def end(self):
        """Closes everything, and names the connections that still had something to say."""
        leftovers = []
        for name, connection in self.connections.items():
            if not connection.ended and connection.readable():
                tree = connection.read(0.2)
                if tree != CLOSED:
                    leftovers.append((name, tree))
            connection.close()
        deadline = time.monotonic() + 2
        while self.server.alive() and time.monotonic() < deadline:
            tree = self.control.call('CLIENT', 'LIST', timeout=PATIENCE)
            if tree[0] not in (b'$', b'=txt') or tree[1].count(b'\n') <= 1:
                break
            time.sleep(0.001)
        return leftovers

    def connection(self, name):
        if name not in self.connections:
            connection = self.connections[name] = Connection(self.server.port)
            if self.resp == 3:
                connection.call('HELLO', '3')
            identity = connection.call('CLIENT', 'ID')
            self.values['id:' + name] = str(identity[1] if identity[0] == b':' else 0)
            self.values['addr:' + name] = '%s:%d' % connection.sock.getsockname()
        return self.connections[name]

    def expand(self, text):
        """Replaces ${name} by this side's value."""
        def value(match):
            name = match[1]
            repeat = re.fullmatch(r'(.+)\*(\d+)', name)
            if repeat:
                return repeat[1] * int(repeat[2])
            clock = re.fullmatch(r'now(ms)?([+-]\d+)?', name)
            if clock:
                return str(int(self.now * (1000 if clock[1] else 1)) + int(clock[2] or 0))
            if name.startswith(('id:', 'addr:')):
                self.connection(name.split(':')[1])
            if name not in self.values:
                raise KeyError('${%s} has no value' % name)
            return self.values[name]
        return re.sub(r'\$\{([^}]+)\}', value, text)

    def is_blocked(self, name):
        tree = self.control.call('CLIENT', 'LIST', 'ID', self.values['id:' + name])
        if tree[0] not in (b'$', b'=txt'):
            time.sleep(0.03)
            return True
        return bool(re.search(rb' flags=\w*b', tree[1]))

    def wait_blocked(self, name):
        """Whether the connection's command makes it wait."""
        connection, deadline = self.connections[name], time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if connection.readable():
                return False
            if self.is_blocked(name):
                return True
            time.sleep(0.0005)
        return False
