"""An authoritative DNS server that says what a scenario wants, also what no server of repute would: UDP and TCP."""

import socket
import threading

import dns.flags
import dns.message
import dns.rdatatype

from .place import free_port


def answer_to(query, *records, code=0, authoritative=True):
    """A reply with these records, each `(name, type, value…)`."""
    reply = dns.message.make_response(query)
    reply.set_rcode(code)
    reply.flags |= dns.flags.AA if authoritative else 0
    for name, kind, *values in records:
        reply.answer.append(dns.rrset.from_text(name if name.endswith(".") else name + ".", 60, "IN", kind, *values))
    return reply


class OddDns:
    """`answer(query, name, kind, tcp)` returns a message, bytes as they go out, or None for nothing. `name` is lower case,
    without the final dot. `questions` counts what came over each transport."""

    def __init__(self, address, answer, port=None):
        self.address, self.answer, self.port = address, answer, port or free_port(address)
        self.questions = {"udp": 0, "tcp": 0}
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((address, self.port))
        self._tcp = socket.create_server((address, self.port))
        for body in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=body, daemon=True).start()

    def _reply(self, wire, tcp):
        self.questions["tcp" if tcp else "udp"] += 1
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text().lower().rstrip(".")
        reply = self.answer(query, name, dns.rdatatype.to_text(question.rdtype), tcp)
        if reply is None or isinstance(reply, bytes):
            return reply
        return reply.to_wire(max_size=65535)

    def _serve_udp(self):
        try:
            while True:
                wire, peer = self._udp.recvfrom(4096)
                reply = self._reply(wire, False)
                if reply is not None:
                    self._udp.sendto(reply, peer)
        except OSError:
            pass

    def _serve_tcp(self):
        try:
            while True:
                connection, _ = self._tcp.accept()
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()
        except OSError:
            pass

    def _converse(self, connection):
        with connection:
            connection.settimeout(5)
            try:
                while True:
                    size = connection.recv(2, socket.MSG_WAITALL)
                    if len(size) < 2:
                        return
                    reply = self._reply(connection.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL), True)
                    if reply is not None:
                        connection.sendall(len(reply).to_bytes(2, "big") + reply)
            except OSError:
                pass

    def close(self):
        self._udp.close()
        self._tcp.close()
