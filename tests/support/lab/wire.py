"""A client that decides about every byte: TLS whose two directions end one at a time, and answers read strictly."""

import re
import socket
import ssl

from . import tls


class Malformed(Exception):
    """The edge sent an answer that a strict reader refuses."""


class Ended(Exception):
    """The connection ended; `data` is what had come of an unfinished answer."""

    def __init__(self, data, how):
        super().__init__(f"{how} after {data[-200:]!r}")
        self.data, self.how = data, how


class Answer:
    def __init__(self, version, status, fields):
        self.version, self.status, self.fields, self.body, self.trailers = version, status, fields, b"", []
        self.interim = []

    def all(self, name):
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def get(self, name):
        found = self.all(name)
        return found[0] if found else None


def trust(root):
    """As tls.trust, but an end without close_notify is told from one with it, which Python hides by default."""
    context = tls.trust(root)
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 1 << 7)
    return context


class Wire:
    """One TLS connection. `end()` says close_notify and shuts our side, after which answers can still be read."""

    def __init__(self, address, port, name, context, timeout=20):
        self.sock = socket.create_connection((address, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        self.data = b""
        self.how = None
        try:
            self._handshake()
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _handshake(self):
        while True:
            try:
                self._tls.do_handshake()
                return self._flush()
            except ssl.SSLWantReadError:
                self._flush()
                data = self.sock.recv(65536)
                if not data:
                    raise ConnectionError("the edge ended the handshake") from None
                self._in.write(data)

    def _flush(self):
        data = self._out.read()
        if data:
            self.sock.sendall(data)

    def send(self, data):
        """False where the edge has closed already, which is its right after a refusal."""
        self._tls.write(data)
        try:
            self._flush()
            return True
        except OSError:
            return False

    def send_each(self, data, size=1):
        for at in range(0, len(data), size):
            if not self.send(data[at:at + size]):
                return False
        return True

    def end(self):
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass
        try:
            self._flush()
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def close(self):
        self.sock.close()

    def more(self):
        """Reads on; False at the end, and `how` tells which: `close_notify`, `fin` or `reset`."""
        while self.how is None:
            try:
                data = self._tls.read(65536)
                if data:
                    self.data += data
                    return True
                self.how = "close_notify"
            except ssl.SSLWantReadError:
                try:
                    data = self.sock.recv(65536)
                except ConnectionError:
                    self.how = "reset"
                    break
                if data:
                    self._in.write(data)
                else:
                    self._in.write_eof()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError, ssl.SSLError) as error:
                self.how = "close_notify" if isinstance(error, ssl.SSLZeroReturnError) else "fin"
        return False

    def rest(self):
        """Everything until the end."""
        while self.more():
            pass
        data, self.data = self.data, b""
        return data

    # Answers, by RFC 9112 and nothing beyond it

    def _until(self, mark):
        while mark not in self.data:
            if not self.more():
                raise Ended(self.data, self.how)
        found, self.data = self.data.split(mark, 1)
        return found

    def bytes(self, size):
        while len(self.data) < size:
            if not self.more():
                raise Ended(self.data, self.how)
        found, self.data = self.data[:size], self.data[size:]
        return found

    @staticmethod
    def _fields(lines):
        fields = []
        for line in lines:
            found = re.fullmatch(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0-\x08\x0a-\x1f\x7f]*?)[ \t]*", line)
            if not found:
                raise Malformed(f"field line {line!r}")
            fields.append((found[1].decode(), found[2].decode("latin-1")))
        return fields

    def head(self):
        lines = self._until(b"\r\n\r\n").split(b"\r\n")
        found = re.fullmatch(rb"HTTP/1\.([01]) ([1-5]\d\d) [^\0-\x08\x0a-\x1f\x7f]*", lines[0])
        if not found:
            raise Malformed(f"status line {lines[0]!r}")
        return Answer(int(found[1]), int(found[2]), self._fields(lines[1:]))

    def answer(self, method="GET"):
        """The next final answer, its interim ones in `interim`. Raises Ended or Malformed."""
        interim = []
        answer = self.head()
        while answer.status < 200:
            interim.append(answer)
            answer = self.head()
        answer.interim = interim
        lengths, codings = answer.all("content-length"), answer.all("transfer-encoding")
        if len(lengths) + len(codings) > 1:
            raise Malformed(f"framed twice: {answer.fields}")
        if method == "HEAD" or answer.status in (204, 304):
            return answer
        if codings:
            if codings[0].lower() != "chunked":
                raise Malformed(f"coding {codings[0]}")
            answer.body, answer.trailers = self._chunked()
        elif lengths:
            if not lengths[0].isdigit():
                raise Malformed(f"length {lengths[0]}")
            answer.body = self.bytes(int(lengths[0]))
        else:
            answer.body = self.rest()
        return answer

    def _chunked(self):
        body = b""
        while True:
            line = self._until(b"\r\n")
            if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", line):
                raise Malformed(f"chunk size {line!r}")
            size = int(line, 16)
            if size == 0:
                break
            body += self.bytes(size)
            if self.bytes(2) != b"\r\n":
                raise Malformed("no CR LF behind a chunk")
        lines = []
        while line := self._until(b"\r\n"):
            lines.append(line)
        return body, self._fields(lines)
