"""An app whose every byte a scenario scripts: for slow readers, early answers, half-closed connections."""

import socket
import threading

from .place import free_port


class Request:
    """The head as it came, byte for byte; the body is read by the script."""

    def __init__(self, head, rest, sock):
        self.head, self.buffer, self.sock = head, rest, sock
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ", 2)
        self.fields = [tuple(part.strip() if index else part for index, part in enumerate(line.split(":", 1)))
                       for line in lines[1:] if line]

    def all(self, name):
        """Values of all fields of that name, without case."""
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def read(self, size):
        while len(self.buffer) < size:
            chunk = self.sock.recv(65536)
            if not chunk:
                break
            self.buffer += chunk
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def exactly(self, size):
        """As read, but an end before that is an error."""
        data = self.read(size)
        if len(data) < size:
            raise OSError("the end came first")
        return data

    def body(self):
        length = self.all("content-length")
        if length:
            return self.read(int(length[0]))
        return b"".join(self.chunks()) if self.all("transfer-encoding") else b""

    def _line(self):
        while b"\r\n" not in self.buffer:
            chunk = self.sock.recv(65536)
            if not chunk:
                return b""
            self.buffer += chunk
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def chunks(self):
        """The chunks of the body, as they come."""
        while size := int(self._line() or b"0", 16):
            yield self.exactly(size)
            self._line()
        while self._line():
            pass

    def answer(self, body=b"ok\n", status="200 OK", fields=()):
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        self.sock.sendall(f"HTTP/1.1 {status}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


class Origin:
    """`script(request)` answers each request on `request.sock`; returning False closes the connection. What came is in
    `requests`, the number of connections in `connections`."""

    def __init__(self, address, script=None):
        self.address, self.port = address, free_port(address)
        self.script = script or (lambda request: request.body() and None or request.answer())
        self.requests, self.connections, self.errors = [], 0, []
        self._listener = socket.create_server((address, self.port), backlog=256)
        self._open, self._closed = set(), False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"

    def _accept(self):
        while not self._closed:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        rest = b""
        try:
            while True:
                while b"\r\n\r\n" not in rest:
                    chunk = sock.recv(65536)
                    if not chunk:
                        return
                    rest += chunk
                head, rest = rest.split(b"\r\n\r\n", 1)
                request = Request(head, rest, sock)
                self.requests.append(request)
                if self.script(request) is False:
                    return
                rest = request.buffer
        except OSError as error:
            self.errors.append(error)
        finally:
            self._open.discard(sock)
            sock.close()

    def drop(self):
        """Ends all connections."""
        for sock in list(self._open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self._closed = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.drop()
