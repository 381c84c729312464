"""The least of a RESP2 client: encode, parse, one blocking connection. Standard library only."""
import socket


class ReplyError(Exception):
    """An error reply. It is returned as a value, not raised, except by Client.call."""

    def __eq__(self, other):
        return isinstance(other, ReplyError) and str(self) == str(other)

    __hash__ = Exception.__hash__


class Incomplete(Exception):
    pass


def text(value):
    return value if isinstance(value, bytes) else str(value).encode()


def encode(command):
    parts = [b"*%d\r\n" % len(command)]
    for argument in command:
        data = text(argument)
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class Parser:
    """Bytes in, whole replies out."""

    def __init__(self):
        self.data = bytearray()
        self.at = 0

    def feed(self, data):
        self.data += data

    def replies(self):
        out = []
        while True:
            start = self.at
            try:
                out.append(self._value())
            except Incomplete:
                self.at = start
                break
        if self.at:
            del self.data[: self.at]
            self.at = 0
        return out

    def _line(self):
        end = self.data.find(b"\r\n", self.at)
        if end < 0:
            raise Incomplete
        line = bytes(self.data[self.at : end])
        self.at = end + 2
        return line

    def _value(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"-":
            return ReplyError(rest.decode("utf-8", "replace"))
        size = int(rest)
        if size < 0:
            return None
        if kind == b"$":
            end = self.at + size
            if len(self.data) < end + 2:
                raise Incomplete
            value = bytes(self.data[self.at : end])
            self.at = end + 2
            return value
        if kind != b"*":
            raise ValueError(f"not RESP: {line[:60]!r}")
        return [self._value() for _ in range(size)]


class Client:
    def __init__(self, port, timeout=20.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.parser = Parser()

    def pipeline(self, commands):
        """Sends all, returns all replies, errors among them."""
        replies = []
        for start in range(0, len(commands), 200):
            part = commands[start : start + 200]
            self.socket.sendall(b"".join(encode(command) for command in part))
            wanted = len(replies) + len(part)
            while len(replies) < wanted:
                try:
                    data = self.socket.recv(1 << 18)
                except TimeoutError:
                    words = b" ".join(text(argument)[:30] for argument in commands[len(replies)])
                    raise TimeoutError(f"no reply to {words!r}") from None
                if not data:
                    raise ConnectionError("the server closed the connection")
                self.parser.feed(data)
                replies += self.parser.replies()
        return replies

    def call(self, *command):
        (reply,) = self.pipeline([command])
        if isinstance(reply, ReplyError):
            raise ReplyError(f"{b' '.join(text(part)[:40] for part in command)!r}: {reply}")
        return reply

    def close(self):
        self.socket.close()


def pairs(flat):
    """[k, v, k, v] -> {k: v}"""
    return dict(zip(flat[::2], flat[1::2]))
