"""The written form of reply trees (see wire.py): printing, expectations, and masks.

    +OK   -ERR text     simple string and error; inside an aggregate, or with odd bytes, +"OK" and -"ERR text"
    "text"              bulk string, with redis-cli's escapes
    5   ,1.5   #t       integer, double (RESP2: bulk string), boolean
    nil   nil[]         null, null array (RESP3 has one null for both)
    [a, b]   ~[a, b]    array, set (RESP2: array)
    {"k": v, "l": w}    map (RESP2: flat array; after the word pairs, RESP2: array of pairs)
    >[a, b]             push

An expectation may also say `*` (anything), `*int`, `*str`, `/regex/` (any string that matches it entirely)
and, last in an array, `...` (whatever follows).
"""

import re

from wire import CLOSED, TIMEOUT

ESCAPES = {ord('\n'): '\\n', ord('\r'): '\\r', ord('\t'): '\\t', 7: '\\a', 8: '\\b', ord('"'): '\\"', ord('\\'): '\\\\'}


def quote(data):
    return '"' + ''.join(ESCAPES.get(c) or (chr(c) if 32 <= c < 127 else '\\x%02x' % c) for c in data) + '"'


def show(tree, top=True):
    kind, value = tree
    if tree == CLOSED:
        return '(connection closed)'
    if tree == TIMEOUT:
        return '(no reply in time)'
    if kind == b'masked' or isinstance(value, Near):
        return '<%s>' % value
    if kind in (b'+', b'-'):
        plain = top and all(32 <= c < 127 for c in value)
        return kind.decode() + (value.decode() if plain else quote(value))
    if kind == b':':
        return str(value)
    if kind == b'$':
        return 'nil' if value is None else quote(value)
    if kind == b'_':
        return 'nil'
    if kind in (b',', b'('):
        return kind.decode() + value.decode('latin1')
    if kind == b'#':
        return '#t' if value else '#f'
    if kind[:1] == b'=':
        return kind.decode() + ':' + quote(value)
    if kind == b'%':
        return '{' + ', '.join(show(k, False) + ': ' + show(v, False) for k, v in value) + '}'
    if value is None:
        return 'nil[]'
    return (kind.decode() if kind != b'*' else '') + '[' + ', '.join(show(v, False) for v in value) + ']'


# --- words of a command line -------------------------------------------------------------------

_HEX = '0123456789abcdefABCDEF'
PLAIN = re.compile(r'[^\s"\']+')
_UNESCAPE = {'n': 10, 'r': 13, 't': 9, 'a': 7, 'b': 8}


def unquote(text, at):
    """The bytes of the double-quoted string whose opening quote is text[at], and where it ends."""
    out = bytearray()
    at += 1
    while text[at] != '"':
        char = text[at]
        if char == '\\':
            at += 1
            char = text[at]
            if char == 'x' and text[at + 1] in _HEX and text[at + 2] in _HEX:
                out.append(int(text[at + 1:at + 3], 16))
                at += 3
                continue
            out += bytes([_UNESCAPE[char]]) if char in _UNESCAPE else char.encode()
        else:
            out += char.encode()
        at += 1
    return bytes(out), at + 1


def words(text):
    """Splits a command line as redis-cli does: blanks, "double quotes with escapes", 'single quotes'."""
    result, at = [], 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at >= len(text):
            return result
        word = bytearray()
        while at < len(text) and not text[at].isspace():
            if text[at] == '"':
                piece, at = unquote(text, at)
                word += piece
            elif text[at] == "'":
                end = text.index("'", at + 1)
                word += text[at + 1:end].encode()
                at = end + 1
            else:
                end = PLAIN.match(text, at).end()
                word += text[at:end].encode()
                at = end
        result.append(bytes(word))


# --- expectations ------------------------------------------------------------------------------

class Expectation:
    """A parsed reply pattern; `matches(tree, resp)` decides."""

    def __init__(self, text):
        self.text = text.strip()
        self.at = 0
        first = self.text[:1]
        if first in ('+', '-') and self.text[1:2] != '"' and not self.text[1:2].isdigit():
            self.pattern = (first, self.text[1:].encode())
            return
        self.pattern = self._value()
        if self.text[self.at:].strip():
            raise ValueError('cannot read the expectation after: ' + self.text[:self.at])

    def _skip(self):
        # A comma behind a blank begins a double.
        while self.at < len(self.text) and (
                self.text[self.at] == ' ' or self.text.startswith(', ', self.at)):
            self.at += 1

    def _take(self, token):
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def _string(self):
        data, self.at = unquote(self.text, self.at)
        return data

    def _items(self):
        items = []
        while True:
            self._skip()
            if self._take(']'):
                return items
            items.append(('rest', None) if self._take('...') else self._value())

    def _value(self):
        self._skip()
        for token, kind in (('~[', '~'), ('>[', '>'), ('[', '*')):
            if self._take(token):
                return (kind, self._items())
        kind = 'pairs' if self._take('pairs{') else '%' if self._take('{') else None
        if kind:
            pairs = []
            while True:
                self._skip()
                if self._take('}'):
                    return (kind, pairs)
                key = self._value()
                while self.text[self.at] in ' :':
                    self.at += 1
                pairs.append((key, self._value()))
        for token, kind in (('nil[]', 'nil[]'), ('nil', 'nil'), ('#t', 'true'), ('#f', 'false'),
                            ('*int', '*int'), ('*str', '*str'), ('*', 'any')):
            if self._take(token):
                return (kind, None)
        char = self.text[self.at]
        if char == '"':
            return ('$', self._string())
        if char in '+-' and self.text[self.at + 1] == '"':
            self.at += 1
            return (char, self._string())
        if char == '/':
            end = self.at + 1
            while self.text[end] != '/':
                end += 2 if self.text[end] == '\\' else 1
            body = self.text[self.at + 1:end].replace('\\/', '/')
            self.at = end + 1
            return ('re', re.compile(body.encode(), re.S))
        number = re.compile(r'(,?)(-?[0-9][0-9a-z.+-]*|-?inf|nan)').match(self.text, self.at)
        if not number:
            raise ValueError('cannot read the expectation at: ' + self.text[self.at:])
        self.at = number.end()
        return (',', number[2].encode()) if number[1] else (':', int(number[2]))

    def matches(self, tree, resp):
        return _matches(self.pattern, tree, resp)


def _match_list(patterns, trees, resp):
    if patterns and patterns[-1][0] == 'rest':
        patterns = patterns[:-1]
        trees = trees[:len(patterns)]
    return len(patterns) == len(trees) and all(_matches(p, t, resp) for p, t in zip(patterns, trees))


def _matches(pattern, tree, resp):
    want, body = pattern
    kind, value = tree[0][:1].decode(), tree[1]
    if tree in (CLOSED, TIMEOUT):
        return False
    if want == 'any':
        return True
    if want == '*int':
        return kind == ':'
    if want == '*str':
        return kind in '+$=' and value is not None
    if want == 're':
        return kind in '+$-=' and value is not None and body.fullmatch(value) is not None
    if want in ('nil', 'nil[]'):
        return value is None and kind == ('_' if resp == 3 else '$' if want == 'nil' else '*')
    if want in ('true', 'false'):
        return kind == '#' and value == (want == 'true')
    if want == ',' and resp == 2:
        return kind == '$' and value == body
    if want == 'pairs' and resp == 2:
        return kind == '*' and value is not None and _match_list([('*', list(pair)) for pair in body], value, resp)
    if want in ('%', 'pairs'):
        if resp == 2:
            flat = [part for pair in body for part in pair]
            return kind == '*' and value is not None and _match_list(flat, value, resp)
        return (kind == '%' and len(value) == len(body)
                and all(_matches(pk, k, resp) and _matches(pv, v, resp)
                        for (pk, pv), (k, v) in zip(body, value)))
    if want in '*~>':
        if want == '~' and resp == 2:
            want = '*'
        return kind == want and value is not None and _match_list(body, value, resp)
    return kind == want and value == body


# --- masks -------------------------------------------------------------------------------------

class Near:
    """A number that equals every number within its tolerance."""

    def __init__(self, number, tolerance):
        self.number, self.tolerance = number, tolerance

    def __eq__(self, other):
        return isinstance(other, Near) and abs(self.number - other.number) <= self.tolerance

    def __str__(self):
        return 'about %g' % self.number


FIELD_SORTS = {'int': rb'-?\d+', 'float': rb'-?\d+(\.\d+)?', 'size': rb'\d+(\.\d+)?[BKMGT]',
               'percent': rb'-?\d+\.\d+%', 'hex': rb'[0-9a-f]+', 'any': rb'.*'}
STEP = r'\.\.[\w-]+|\.[\w-]+|\[(?:\d+|\*)\]'


class Mask:
    """`[path] verb argument...`: loosens the comparison of the part of a reply that the path names.

    A path is made of `[n]`, `[*]`, `.name` (the value of that key) and `..name` (at any depth below).
    A mask rewrites that part to something that is equal for all replies it lets pass."""

    def __init__(self, text):
        match = re.match(r'((?:%s)*)\s*(\w+)\s*(.*)$' % STEP, text.strip())
        self.verb = getattr(self, '_' + match[2], None) if match else None
        if self.verb is None or match[2] not in Mask.VERBS:
            raise ValueError('unknown mask: ' + text)
        self.steps = re.findall(STEP, match[1])
        self.argument = match[3].strip()
        if match[2] == 'sub':
            pattern, replacement = self.argument[1:-1].split(self.argument[0])
            self.pattern, self.replacement = re.compile(pattern.encode(), re.M), replacement.encode()
        elif match[2] == 'match':
            self.pattern = re.compile(self.argument.strip('/').encode(), re.S)
        elif match[2] == 'within':
            self.tolerance = float(self.argument)

    VERBS = ('any', 'type', 'shape', 'unordered', 'within', 'error', 'drop', 'sub', 'match', 'fields', 'lines', 'first')

    def apply(self, tree):
        return self._walk(tree, self.steps)

    def _walk(self, tree, steps):
        if not steps:
            return self.verb(tree)
        kind, value = tree
        if not isinstance(value, list):
            return tree
        step, rest = steps[0], steps[1:]
        name = step.lstrip('.').encode() if step[0] == '.' else None
        children = []
        for i, (key, child) in enumerate(_children(tree)):
            if key[1] == name if name is not None else step in ('[*]', '[%d]' % i):
                child = self._walk(child, rest)
            elif step.startswith('..'):
                child = self._walk(child, steps)
            if child is None:              # dropped, and the key before it too
                if kind != b'%':
                    children.pop()
                continue
            children.append((key, child) if kind == b'%' else child)
        return kind, children

    def _any(self, tree):
        return b'masked', 'any'

    def _type(self, tree):
        return b'masked', tree[0].decode() + (' null' if tree[1] is None else '')

    def _shape(self, tree):
        kind, value = tree
        if kind == b'%':
            return kind, [(self._shape(k), self._shape(v)) for k, v in value]
        return (kind, [self._shape(v) for v in value]) if isinstance(value, list) else self._type(tree)

    def _unordered(self, tree):
        kind, value = tree
        return (kind, sorted(value, key=repr)) if isinstance(value, list) else tree

    def _within(self, tree):
        try:
            return tree[0], Near(float(tree[1]), self.tolerance)
        except (TypeError, ValueError):
            return tree

    def _error(self, tree):
        return (b'-', tree[1].split(b' ')[0]) if tree[0] == b'-' else tree

    def _drop(self, tree):
        return None

    def _match(self, tree):
        fits = isinstance(tree[1], bytes) and self.pattern.fullmatch(tree[1])
        return (b'masked', 'as expected') if fits else tree

    def _sub(self, tree):
        kind, value = tree
        if isinstance(value, bytes):
            return kind, self.pattern.sub(self.replacement, value)
        if kind == b'%' and value is not None:
            return kind, [(self._sub(k), self._sub(v)) for k, v in value]
        return (kind, [self._sub(v) for v in value]) if isinstance(value, list) else tree

    def _first(self, tree):
        return (tree[0], tree[1][:1]) if isinstance(tree[1], list) else tree

    def _lines(self, tree):
        return (tree[0], b'\n'.join(sorted(tree[1].splitlines()))) if isinstance(tree[1], bytes) else tree

    def _fields(self, tree):
        """Of a text of `name:value` lines (INFO) the wanted ones: `name` by value, `name:int` by sort,
        `#Section` by presence."""
        kind, value = tree
        if not isinstance(value, bytes):
            return tree
        have = {}
        for line in value.decode('latin1').split('\r\n'):
            name, _, text = line.partition(':')
            have[name.replace('# ', '#', 1)] = text
        lines = []
        for wanted in self.argument.split():
            name, _, sort = wanted.partition(':')
            text = have.get(name, '(missing)')
            if sort and name in have and re.fullmatch(FIELD_SORTS[sort], text.encode('latin1')):
                text = '(%s)' % sort
            lines.append(name + ':' + text)
        return kind, '\r\n'.join(lines).encode('latin1')


def _children(tree):
    """(name, subtree) pairs. A RESP2 map is a flat array, so an element is named by the string before it."""
    kind, value = tree
    if kind == b'%':
        return value
    nameless = (None, None)
    return [(value[i - 1] if i % 2 and value[i - 1][0] in (b'$', b'+') else nameless, item)
            for i, item in enumerate(value)]


def normal(tree):
    """Sets have no order."""
    kind, value = tree
    if not isinstance(value, list):
        return tree
    if kind == b'%':
        return kind, [(normal(k), normal(v)) for k, v in value]
    items = [normal(v) for v in value]
    return (kind, sorted(items, key=repr)) if kind == b'~' else (kind, items)
