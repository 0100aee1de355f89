#!/usr/bin/python3
"""The app behind a WebSocket's tunnel: answers any upgrade with 101, then sends every byte back as it came. Frames are not
looked at, and none of the proxies looks at them either.

    echo.py ADDRESS PORT"""

import base64
import hashlib
import select
import socket
import sys

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PIECE = 256 * 1024


def upgrade(head):
    key = next(line.split(b":", 1)[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"


class Peer:
    def __init__(self, sock):
        self.sock, self.head, self.open, self.waiting = sock, b"", False, b""

    def take(self):
        """False at its end."""
        try:
            data = self.sock.recv(PIECE)
        except ConnectionError:
            return False
        if not self.open and data:
            self.head += data
            if b"\r\n\r\n" not in self.head:
                return True
            head, data = self.head.split(b"\r\n\r\n", 1)
            self.open, data = True, upgrade(head) + data
        self.waiting = data
        return bool(data)

    def give(self):
        try:
            self.waiting = self.waiting[self.sock.send(self.waiting):]
        except BlockingIOError:
            pass


def serve(address, port):
    listener = socket.create_server((address, port), backlog=4096)
    listener.setblocking(False)
    poll, peers = select.epoll(), {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                sock, _ = listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peers[sock.fileno()] = Peer(sock)
                poll.register(sock, select.EPOLLIN)
                continue
            peer = peers[fd]
            had = bool(peer.waiting)
            try:
                goes_on = had or peer.take()
                if goes_on:
                    peer.give()
            except OSError:
                goes_on = False
            if not goes_on:
                poll.unregister(fd)
                peers.pop(fd).sock.close()
            elif bool(peer.waiting) != had:
                poll.modify(fd, select.EPOLLOUT if peer.waiting else select.EPOLLIN)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
