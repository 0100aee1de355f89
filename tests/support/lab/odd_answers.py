"""Answers of an app that are odd, with what must become of each at the client, written from RFC 9110 and RFC 9112 and
the edge's promise: what could be read in two ways is refused, and what cannot be completed is seen to be cut.

`EVIL` marks bytes that no client may see: they stand where no answer is, and look like one."""

import collections

EVIL = b"HTTP/1.1 200 OK\r\nX-Saw: evil\r\nContent-Length: 4\r\n\r\nevil"
REFUSED, CUT = "refused", "cut"

# data: what the app sends. then: KEEP, CLOSE or RESET its connection. expect: (status, body) that passes; REFUSED: a 502,
# or 504 where the app keeps silent; CUT: an answer begins and is seen not to end. method: of the request. free: may
# also be refused. later: sent once the answer is with the client.
Odd = collections.namedtuple("Odd", "name data expect then method free later")
KEEP, CLOSE, RESET = "keep", "close", "reset"

_table = []


def case(name, data, expect=(200, b"hello"), then=KEEP, method="GET", free=False, later=b""):
    data = data if isinstance(data, bytes) else data.encode("latin-1")
    _table.append(Odd(name, data, expect, then, method, free, later))


def answer(fields="", body="hello", line="HTTP/1.1 200 OK"):
    return f"{line}\r\n{fields}\r\n{body}"


FIVE = "Content-Length: 5\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
CHUNKS = "5\r\nhello\r\n0\r\n\r\n"


def status_lines():
    for line in ("HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200 Of \xe9", "HTTP/1.1 200 a\tb", "HTTP/1.0 200 OK", "HTTP/1.2 200 OK", "HTTP/1.9 200 OK"):
        case(f"status line {line!r}", answer(FIVE, line=line))
    case("status line without a reason", answer(FIVE, line="HTTP/1.1 200"), free=True)
    for line in ("http/1.1 200 OK", "HTTP/2.0 200 OK", "HTTP/2 200 OK", "HTTP/0.9 200 OK", "HTTP/1.10 200 OK", "HTTP/1 200 OK",
                 "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK", " HTTP/1.1 200 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 20 OK", "HTTP/1.1 abc OK",
                 "HTTP/1.1 -20 OK", "HTTP/1.1 +20 OK", "HTTP/1.1 2 0 OK", "HTTP/1.1 099 OK", "HTTP/1.1 000 OK", "HTTP/1.1 600 OK",
                 "HTTP/1.1 999 OK", "HTTP/1.1 200\tOK", "HTTP/1.1200 OK", "HTTP/1.1 200-OK", "HTTP/1.1 200 O\0K", "HTTP/1.1 200 O\x0bK",
                 "HTTP/1.1 200 O\x7fK", "HTTP/1.1 200 OK\rX: y", "HTTP/1.1 200 OK\nX: y", "ICY 200 OK", "HTTPS/1.1 200 OK",
                 "\0HTTP/1.1 200 OK", "\xef\xbb\xbfHTTP/1.1 200 OK", "200 OK", "GET / HTTP/1.1", "SSH-2.0-x", "HTTP/1.1"):
        case(f"status line {line!r}", answer(FIVE, line=line), REFUSED)
    case("empty line first", "\r\n" + answer(FIVE), REFUSED)
    case("LF first", "\n" + answer(FIVE), REFUSED)
    case("HTTP/0.9", "hello", REFUSED, CLOSE)
    case("HTML without a head", "<html>hello</html>\r\n\r\n", REFUSED, CLOSE)
    case("LF for CRLF everywhere", answer(FIVE).replace("\r\n", "\n"), REFUSED)
    case("LF behind the status line", answer(FIVE).replace("\r\n", "\n", 1), REFUSED)
    case("CR for CRLF everywhere", answer(FIVE).replace("\r\n", "\r") + "\r\n\r\n", REFUSED)
    case("TLS alert", b"\x15\x03\x01\0\x02\x02\x28", REFUSED, CLOSE)
    case("nothing at all", b"", REFUSED, CLOSE)
    case("a reset", b"", REFUSED, RESET)
    case("half a status line", b"HTTP/1.1 2", REFUSED, CLOSE)
    case("half a head", b"HTTP/1.1 200 OK\r\nContent-Len", REFUSED, CLOSE)
    case("half a head and a reset", b"HTTP/1.1 200 OK\r\nContent-Len", REFUSED, RESET)


def field_lines():
    for line in ("A:", "A:b", "A:\tb\t", "A: \xff", "A: b\r\na: c", "A: " + "b" * 60000, "X-Saw-Not: evil", "Set-Cookie: a\r\nSet-Cookie: b",
                 "Keep-Alive: timeout=0", "Connection: keep-alive", "Connection: a, b\r\na: b", "Proxy-Authenticate: x", "Upgrade: h2c",
                 "Trailer: a", "TE: trailers", "Age: x", "Host: other", "Connection: Upgrade\r\nUpgrade: websocket", "Via: x"):
        case(f"field {line[:40]!r}", answer(f"{line}\r\n{FIVE}"))
    for line in (": b", "A", "A b", "A b: c", "A\0: b", "A: \0", "A: b\0", "A: \x01", "A: \x7f", "A: b\rc", "A: b\nc: d", "A: b\r\r\nc: d", "A: b\r\n c",
                 "A: b\r\n\tc", "A:\r\n b", " A: b", "\tA: b", "\xe4: b", "A\xff: b", "(A): b", "A;: b", "A=b", '"A": b', "A\r\n: b", "{A}: b",
                 "A\x0b: b", "Content_Length: 7", "Transfer_Encoding: chunked"):
        case(f"bad field {line!r}", answer(f"{line}\r\n{FIVE}"), REFUSED)
    for line in ("A : b", "A\t: b"):  # RFC 9112 section 5.1: a proxy removes the space
        case(f"field {line!r}", answer(f"{line}\r\n{FIVE}"))
    case("128 fields", answer("A: b\r\n" * 127 + FIVE))
    case("129 fields", answer("A: b\r\n" * 128 + FIVE), REFUSED)
    case("10,000 fields", answer("A: b\r\n" * 10000 + FIVE), REFUSED)
    case("a field of 70,000 bytes", answer("A: " + "b" * 70000 + f"\r\n{FIVE}"), REFUSED)
    case("a reason of 70,000 bytes", answer(FIVE, line="HTTP/1.1 200 " + "b" * 70000), REFUSED)
    case("a head of 4 MiB", answer("A: b\r\n" * 700000 + FIVE), REFUSED)
    case("4 MiB without a line's end", b"HTTP/1.1 200 OK\r\nA: " + b"b" * 4 * 1024 * 1024, REFUSED)


def lengths():
    for value in ("5", "  5  ", "05", "\t5", "0000000005"):
        case(f"length {value!r}", answer(f"Content-Length: {value}\r\n"))
    for value in ("", " ", "+5", "-5", "-1", "0x5", "5,5", "5, 5", "5,6", "5 5", "5.0", "5e0", "five", "5;", "5\0", "\x0b5", "5\xa0", '"5"', "5_0",
                  "9223372036854775808", "18446744073709551616", "18446744073709551621", "9" * 300, "0b1", "null"):
        case(f"length {value[:30]!r}", answer(f"Content-Length: {value}\r\n"), REFUSED)
    for one, other in (("5", "5"), ("5", "6"), ("0", "5"), ("5", "0"), ("5", "")):
        case(f"lengths {one!r} and {other!r}", answer(f"Content-Length: {one}\r\nContent-Length: {other}\r\n"), REFUSED)
    case("length with a space before the colon", answer("Content-Length : 5\r\n").encode() + EVIL)
    case("length twice, once with a space before the colon", answer("Content-Length : 5\r\n" + FIVE), REFUSED)
    case("length folded", answer("Content-Length:\r\n 5\r\n"), REFUSED)
    for name, fields in {"length and chunked": FIVE + CHUNKED, "chunked and length": CHUNKED + FIVE, "length and identity":
                         FIVE + "Transfer-Encoding: identity\r\n", "length 0 and chunked": "Content-Length: 0\r\n" + CHUNKED}.items():
        case(name, answer(fields, CHUNKS), REFUSED)
    case("length not reached", answer("Content-Length: 50\r\n"), CUT, CLOSE)
    case("length not reached and a reset", answer("Content-Length: 50\r\n"), CUT, RESET)
    case("length 2^63-1 not reached", answer("Content-Length: 9223372036854775807\r\n"), CUT, CLOSE)
    case("bytes behind a length", answer(FIVE).encode() + EVIL)
    case("bytes behind a length, then the end", answer(FIVE).encode() + EVIL, then=CLOSE)
    case("bytes behind a length, a little later", answer(FIVE), later=EVIL)
    case("bytes behind length 0", answer("Content-Length: 0\r\n", "").encode() + EVIL, (200, b""))
    case("an empty line behind a length", answer(FIVE) + "\r\n")
    case("a second answer in one piece", answer(FIVE).encode() + EVIL * 50)
    case("until the end", answer(), then=CLOSE)
    case("until the end, kept alive by its word", answer("Connection: keep-alive\r\n"), then=CLOSE)
    case("until the end, HTTP/1.0", answer(line="HTTP/1.0 200 OK"), then=CLOSE)
    case("until a reset", answer(), CUT, RESET)
    case("HTTP/1.0 kept alive, bytes behind", answer("Connection: keep-alive\r\n" + FIVE, line="HTTP/1.0 200 OK").encode() + EVIL)
    case("length with Connection: close, bytes behind", answer("Connection: close\r\n" + FIVE).encode() + EVIL)
    case("Connection lists the length", answer("Connection: content-length\r\n" + FIVE), REFUSED, CLOSE)


def codings():
    for value in ("chunked", "Chunked", "  chunked  "):
        case(f"coding {value!r}", answer(f"Transfer-Encoding: {value}\r\n", CHUNKS))
    for value in ("", "identity", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked;a=b", "\x0bchunked", "chunked\0", "xchunked",
                  '"chunked"', "chunked\xa0", "cow", "chunked, identity", "chunked\r\n ", "\r\n chunked", "chun ked", "chunked\x0c"):
        case(f"coding {value!r}", answer(f"Transfer-Encoding: {value}\r\n", CHUNKS), REFUSED)
    case("coding twice", answer(CHUNKED * 2, CHUNKS), REFUSED)
    case("coding in HTTP/1.0", answer(CHUNKED, CHUNKS, "HTTP/1.0 200 OK"), REFUSED)
    case("coding with a space before the colon", answer("Transfer-Encoding : chunked\r\n", CHUNKS))
    case("length and coding with a space before the colon", answer(FIVE + "Transfer-Encoding : chunked\r\n", CHUNKS), REFUSED)
    for name, body in {"an extension": "5;a=b\r\nhello\r\n0\r\n\r\n", "a quoted extension": '5;a=";\\""\r\nhello\r\n0;b\r\n\r\n', "zeroes":
                       "0005\r\nhello\r\n000\r\n\r\n", "a trailer": "5\r\nhello\r\n0\r\nA: b\r\n\r\n", "trailers about framing":
                       "5\r\nhello\r\n0\r\nContent-Length: 7\r\nTransfer-Encoding: x\r\nX-A: b\r\n\r\n", "two chunks":
                       "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"}.items():
        case(f"chunks with {name}", answer(CHUNKED, body))
    case("bytes behind the last chunk", answer(CHUNKED, CHUNKS).encode() + EVIL)
    case("bytes behind the last chunk, a little later", answer(CHUNKED, CHUNKS), later=EVIL)
    case("an empty line behind the last chunk", answer(CHUNKED, CHUNKS + "\r\n"))
    for name, body in {"size -5": "-5\r\nhello\r\n0\r\n\r\n", "size 0x5": "0x5\r\nhello\r\n0\r\n\r\n", "size +5": "+5\r\nhello\r\n0\r\n\r\n", "size g":
                       "g\r\nhello\r\n0\r\n\r\n", "no size": "\r\nhello\r\n0\r\n\r\n", "a space before the size": " 5\r\nhello\r\n0\r\n\r\n",
                       "size 2^64": "10000000000000000\r\nhello\r\n0\r\n\r\n", "size 2^64+5": "10000000000000005\r\nhello\r\n0\r\n\r\n", "size 2^63":
                       "8000000000000000\r\nhello\r\n0\r\n\r\n", "LF behind the size": "5\nhello\r\n0\r\n\r\n", "LF behind the data":
                       "5\r\nhello\n0\r\n\r\n", "nothing behind the data": "5\r\nhello0\r\n\r\n", "a byte too many":
                       "5\r\nhello!\r\n0\r\n\r\n", "a LF in an extension": "5;a\nb\r\nhello\r\n0\r\n\r\n", "an endless extension":
                       "5;" + "a" * 70000 + "\r\nhello\r\n0\r\n\r\n", "an extension without a name": "5;=b\r\nhello\r\n0\r\n\r\n", "LF at the end":
                       "5\r\nhello\r\n0\r\n\n", "a bad trailer": "5\r\nhello\r\n0\r\nA b: c\r\n\r\n", "a folded trailer":
                       "5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n", "a trailer with NUL": "5\r\nhello\r\n0\r\nA: \0\r\n\r\n", "a trailer without a colon":
                       "5\r\nhello\r\n0\r\nA\r\n\r\n", "trailers without end": "5\r\nhello\r\n0\r\n" + "A: b\r\n" * 20000, "an answer for a size":
                       EVIL.decode()}.items():
        case(f"chunks with {name}", answer(CHUNKED, body), CUT)
    for name, body in {"a chunk": "5\r\nhel", "a size": "5\r\nhello\r\n1", "the last chunk": "5\r\nhello\r\n", "the last line":
                       "5\r\nhello\r\n0\r\n", "the trailers": "5\r\nhello\r\n0\r\nA: b"}.items():
        case(f"chunks without {name}", answer(CHUNKED, body), CUT, CLOSE)
    case("chunks and a reset", answer(CHUNKED, "5\r\nhello\r\n"), CUT, RESET)


def bodies_that_cannot_be():
    case("204 with a length and a body", answer(FIVE, line="HTTP/1.1 204 No Content").encode() + EVIL, (204, b""))
    case("204 with a body", b"HTTP/1.1 204 No Content\r\n\r\n" + EVIL, (204, b""))
    case("204 with a body, a little later", b"HTTP/1.1 204 No Content\r\n\r\n", (204, b""), later=EVIL)
    case("204 in chunks", answer(CHUNKED, CHUNKS, "HTTP/1.1 204 No Content"), (204, b""), free=True)
    case("204 with length 0", answer("Content-Length: 0\r\n", "", "HTTP/1.1 204 No Content"), (204, b""))
    case("304 with a length", answer(FIVE, "", "HTTP/1.1 304 Not Modified"), (304, b""))
    case("304 with a body", answer(FIVE, "", "HTTP/1.1 304 Not Modified").encode() + EVIL, (304, b""))
    case("304 in chunks", answer(CHUNKED, CHUNKS, "HTTP/1.1 304 Not Modified"), (304, b""), free=True)
    case("304 with a body, a little later", answer("", "", "HTTP/1.1 304 Not Modified"), (304, b""), later=EVIL)
    case("205 with a body", answer(FIVE, line="HTTP/1.1 205 Reset Content"), (205, b"hello"))
    case("HEAD with a length", answer(FIVE, ""), (200, b""), method="HEAD")
    case("HEAD in chunks", answer(CHUNKED, ""), (200, b""), method="HEAD")
    case("HEAD with a body", answer(f"Content-Length: {len(EVIL)}\r\n", "").encode() + EVIL, (200, b""), method="HEAD")
    case("HEAD with a body, a little later", answer(f"Content-Length: {len(EVIL)}\r\n", ""), (200, b""), method="HEAD", later=EVIL)
    case("HEAD in chunks with a body", answer(CHUNKED, "").encode() + b"%x\r\n%s\r\n0\r\n\r\n" % (len(EVIL), EVIL), (200, b""), method="HEAD")
    case("HEAD without framing", answer("", ""), (200, b""), method="HEAD")
    case("HEAD with two lengths", answer("Content-Length: 5\r\nContent-Length: 6\r\n", ""), REFUSED, method="HEAD")
    case("HEAD until the end", answer("", "evil"), (200, b""), CLOSE, method="HEAD")


def interim():
    final = answer(FIVE)
    for status in ("100 Continue", "102 Processing", "103 Early Hints", "104 x", "199 x"):
        case(f"{status} unasked", f"HTTP/1.1 {status}\r\n\r\n" + final)
    case("103 with fields", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nA: b\r\n\r\n" + final)
    case("103 with a length", "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + final)
    case("100 with a body", "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nevil!" + final, REFUSED)
    case("103 in chunks", "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + final, free=True)
    case("20 interim", "HTTP/1.1 103 Early Hints\r\n\r\n" * 20 + final)
    case("1,000 interim", "HTTP/1.1 103 Early Hints\r\n\r\n" * 1000 + final, REFUSED)
    case("100,000 interim without a final", "HTTP/1.1 100 Continue\r\n\r\n" * 100000, REFUSED)
    case("interim and the end", "HTTP/1.1 100 Continue\r\n\r\n", REFUSED, CLOSE)
    case("interim with a bad field", "HTTP/1.1 103 Early Hints\r\nA : b\x00\r\n\r\n" + final, REFUSED)
    case("interim of HTTP/1.0", "HTTP/1.0 100 Continue\r\n\r\n" + final, free=True)
    case("101 unasked", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + EVIL, REFUSED)
    case("101 without fields", b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + EVIL, REFUSED)
    case("101 to HEAD", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n" + EVIL, REFUSED, method="HEAD")
    case("100 to HEAD", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", (200, b""), method="HEAD")


def table():
    if not _table:
        for group in (status_lines, field_lines, lengths, codings, bodies_that_cannot_be, interim):
            group()
    return list(_table)
