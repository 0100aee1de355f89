"""Headers of the PROXY protocol by hand, for those that no load balancer would send."""

import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
CRC32C = 0x03


def v1(source="203.0.113.9", destination="198.51.100.1", ports=(4242, 443)):
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {destination} {ports[0]} {ports[1]}\r\n".encode()


def addresses(source="203.0.113.9", destination="198.51.100.1", ports=(4242, 443)):
    return (ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
            + struct.pack("!HH", *ports))


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def v2(body=None, command=PROXY, family=0x11, length=None):
    body = addresses() if body is None else body
    return SIGNATURE + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def with_checksum(body, wrong=0, **options):
    """A header whose last TLV is its checksum, `wrong` added to it."""
    unsummed = v2(body + tlv(CRC32C, b"\0\0\0\0"), **options)
    return unsummed[:-4] + struct.pack("!I", crc32c(unsummed) ^ wrong)


def nlb_health_check():
    """What an AWS NLB sends: LOCAL, yet with family 0x11 and 84 bytes."""
    return v2(bytes(84), command=LOCAL)
