"""Load for the benchmark: visits (TLS and one request), floods of bare ClientHellos, and CPU time of a process.

Everything is bounded in count and time and goes to loopback addresses only."""

import asyncio
import os
import ssl
import time


def trusting(ca_pem):
    """A client context that trusts only the test CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ca_pem)
    context.options |= ssl.OP_NO_TICKET
    return context


def client_hello(name):
    """The bytes of a real ClientHello with this SNI."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


async def visit(address, name, context, timeout):
    """One connection, one request. Milliseconds, or None where it failed."""
    start = time.monotonic()
    writer = None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(*address, ssl=context, server_hostname=name)
            writer.write(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            head = await reader.readline()
            if b" 200 " not in head:
                return None
            return (time.monotonic() - start) * 1000
    except (OSError, ssl.SSLError, asyncio.TimeoutError, asyncio.IncompleteReadError):
        return None
    finally:
        if writer:
            writer.transport.abort()


def visits(address, names, context, timeout, at_once):
    """All names, at most `at_once` at a time; a list of milliseconds or None, in order."""

    async def run():
        gate = asyncio.Semaphore(at_once)

        async def one(name):
            async with gate:
                return await visit(address, name, context, timeout)

        return await asyncio.gather(*(one(name) for name in names))

    return asyncio.run(run())


def flood(address, hellos, at_once, timeout):
    """Sends each ClientHello on a connection of its own and reads what comes back: {answer bytes: count}."""

    async def one(hello, gate, answers):
        async with gate:
            answer = b"timeout"
            try:
                async with asyncio.timeout(timeout):
                    reader, writer = await asyncio.open_connection(*address)
                    writer.write(hello)
                    answer = await reader.read(64)
                    writer.transport.abort()
            except OSError as error:
                answer = type(error).__name__.encode()
            except asyncio.TimeoutError:
                pass
            answers[answer] = answers.get(answer, 0) + 1

    async def run():
        gate, answers = asyncio.Semaphore(at_once), {}
        await asyncio.gather(*(one(hello, gate, answers) for hello in hellos))
        return answers

    return asyncio.run(run())


def cpu_seconds(pid):
    """User and system time of all threads, to the nanosecond (schedstat)."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]
