"""A resolver as a CA has one: it asks the customers' server and follows aliases into the operator's zone."""

import socket
import threading

import dns.message
import dns.name
import dns.query
import dns.rdatatype

from .place import free_port


class Recursor:
    """What a CA's resolver does: asks the customer's server, follows its alias to the operator's."""

    def __init__(self, address, knot, zone_server, zone):
        self.knot, self.zone_server, self.zone = knot, zone_server, zone
        self.port = free_port(address)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, self.port))
        self.server = f"{address}:{self.port}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            while True:
                wire, peer = self._socket.recvfrom(4096)
                self._socket.sendto(self._answer(dns.message.from_wire(wire)).to_wire(), peer)
        except OSError:
            pass

    def _answer(self, query):
        answer = dns.message.make_response(query, recursion_available=True)
        name, kind = query.question[0].name, query.question[0].rdtype
        found = dns.query.udp(dns.message.make_query(name, kind), self.knot.address, port=self.knot.port, timeout=3)
        answer.set_rcode(found.rcode())
        answer.answer = found.answer
        alias = [rrset for rrset in found.answer if rrset.rdtype == dns.rdatatype.CNAME]
        if alias and alias[-1][0].target.is_subdomain(dns.name.from_text(self.zone)):
            target = alias[-1][0].target
            there = dns.query.udp(dns.message.make_query(target, kind), *self.zone_server[:1], port=self.zone_server[1],
                                  timeout=3)
            answer.answer += there.answer
            answer.set_rcode(there.rcode())
        return answer

    def close(self):
        self._socket.close()
