"""Requests whose framing is odd, with what RFC 9110, RFC 9112 and the edge's promise (what could be read in two ways
is refused, never repaired) say must become of them. Written from those, not from what the code does.

In a request's bytes `{q}` stands for the case's own path, `{s}` for the path of a request that nobody may ever see (it
is hidden in what another reader could take for a request), `{h}` for the host. Behind each case's bytes the client
sends one more request, the canary: whoever loses count of bytes shows it there."""

import collections

HIDDEN = "GET {s} HTTP/1.1\r\nHost: {h}\r\n\r\n"

# seen: (method, target, body) that the app must see, in that order. end: what follows their answers. A set of statuses:
# one of them, then the end of the connection; CANARY: the canary's answer; CLOSED: the end, without the canary;
# CUT: there is no canary, the client ends its side, and gets no answer but perhaps a 4xx; TURNED_AWAY: the framing is in
# order but not the host or the method: 400, 405, 421 or 501, and then the canary or the end. begun: a request that the
# app may see begin. free: the RFC leaves it to the recipient: refused as `end` says, or accepted as `seen` says.
Oddity = collections.namedtuple("Oddity", "name data seen end begun free")
CANARY, CLOSED, CUT, TURNED_AWAY = "canary", "closed", "cut", "turned away"
BAD = frozenset({400})
NOT_A_VERSION = frozenset({400, 505})
NOT_A_METHOD = frozenset({400, 405, 501})
NOT_A_CODING = frozenset({400, 501})
TOO_LARGE = frozenset({400, 413, 414, 431})

_table = []
_names = set()


def case(name, data, seen=(), end=CANARY, begun=None, free=False):
    assert name not in _names, name
    _names.add(name)
    data = data if isinstance(data, bytes) else data.encode("latin-1")
    _table.append(Oddity(name, data, tuple(seen), end, begun, free))


def get(fields="", line="GET {q} HTTP/1.1", host="Host: {h}\r\n"):
    return f"{line}\r\n{host}{fields}\r\n"


def post(fields, body="", line="POST {q} HTTP/1.1"):
    return f"{line}\r\nHost: {{h}}\r\n{fields}\r\n{body}"


def posted(body="hello", method="POST", target="{q}"):
    return [(method, target, body.encode("latin-1"))]


SEEN = [("GET", "{q}", b"")]
CHUNKED = "5\r\nhello\r\n0\r\n\r\n"
UTF8 = {"full-width five": "５".encode().decode("latin-1"), "a half": "½".encode().decode("latin-1"),
        "Arabic five": "٥".encode().decode("latin-1"), "infinity": "∞".encode().decode("latin-1")}


def lengths():
    for value in ("5", "     5", "5    ", "\t5\t", "05", "0000000005", "0000000000000000005"):
        case(f"length {value!r}", post(f"Content-Length: {value}\r\n", "hello"), posted())
    case("length without space", post("Content-Length:5\r\n", "hello"), posted())
    case("length in capitals", post("CONTENT-LENGTH: 5\r\n", "hello"), posted())
    wrong = ["+5", "-5", "-0", "+0", "0x5", "0X5", "5.0", "5e0", "5,5", "5, 5", "5,6", "5,", ",5", "", " ", "five", "5 5",
             "5;", "5;a=b", "5\0", "\0" + "5", "5\x0b", "\x0b5", "5\x0c", "\x0c5", "5_0", "1_0", "'5'", '"5"', "0b101",
             "0o5", "5L", "5h", "NaN", "5\xa0", "\xa05", "5\x85", "5\x7f", "(5)", "5 (comment)", "5\x08", "#5", "5%",
             "%35", "9223372036854775808", "18446744073709551616", "18446744073709551621", "4294967296" * 3, "5" * 300]
    for value in wrong:
        case(f"length {value[:40]!r}" + (" and more" if len(value) > 40 else ""),
             post(f"Content-Length: {value}\r\n", "hello"), end=BAD)
    for name, value in UTF8.items():
        case(f"length {name}", post(f"Content-Length: {value}\r\n", "hello"), end=BAD)
    for value in ("4294967301", "9223372036854775807", "2147483653", "1000"):
        case(f"length {value} of a short body", post(f"Content-Length: {value}\r\n", "hello" + HIDDEN), end=CUT,
             begun=("POST", "{q}"))
    for one, other in (("5", "5"), ("5", "6"), ("6", "5"), ("0", "5"), ("5", "0"), ("5", ""), ("", "5")):
        case(f"lengths {one!r} and {other!r}",
             post(f"Content-Length: {one}\r\nContent-Length: {other}\r\n", "hello"), end=BAD)
    case("lengths in two cases", post("Content-Length: 5\r\ncontent-length: 5\r\n", "hello"), end=BAD)
    case("lengths far apart", post("Content-Length: 5\r\n" + "A: b\r\n" * 50 + "Content-Length: 0\r\n", "hello"),
         end=BAD)
    case("lengths three times", post("Content-Length: 5\r\n" * 3, "hello"), end=BAD)
    case("length 0 before a hidden request", post("Content-Length: 0\r\n") + get(), posted("") + SEEN)
    for line in ("Content-Length : 5", "Content-Length\t: 5", " Content-Length: 5", "\tContent-Length: 5",
                 "Content-Length\0: 5", "Content\0-Length: 5", "Content-Length\x0b: 5", "Content-Length 5",
                 "Content-Length= 5", "Content-Length", "Content Length: 5", ":Content-Length: 5", "\xffContent-Length: 5",
                 "Content-Length\xa0: 5", '"Content-Length": 5', "Content-Length:\n5", "Content-Length: 5\n",
                 "Content-Length: 5\r", "Content-Length: \r5", "Content_Length: 5", "content_length: 5",
                 "Content-Length:\r\n 5", "A: b\r\n Content-Length: 5", "A: b\nContent-Length: 5",
                 "A: b\rContent-Length: 5", "A: b\r\r\nContent-Length: 5", "A: b\n\rContent-Length: 5",
                 "A: b\0\r\nContent-Length: 5", "A:\r\n\tb\r\nContent-Length: 5"):
        case(f"length line {line!r}", post(f"{line}\r\n", "hello"), end=BAD)
    for line in ("Content-Length-X: 5", "X-Content-Length: 5", "ContentLength: 5", "Content--Length: 5",
                 "Content-Length_: 5", "Content-Lengt: 5"):
        # Another name altogether: no body is announced, and what stands there is no request.
        case(f"length by another name {line!r}", post(f"{line}\r\n", "\0"), posted(""), BAD)


CODINGS = ["", " ", "identity", "chunked, identity", "chunked, chunked", "chunked,chunked", "identity, chunked",
           "chunked;q=1", "chunked; a=b", "chunked;", "chunked\x0b", "\x0bchunked", "\0chunked", "chunked\0", "\x0cchunked",
           "chunked\x0c", '"chunked"', "'chunked'", "xchunked", "x-chunked", "chunke", "chunkedd", "chunk", "chun ked",
           "chun\tked", "chunked\xa0", "\xa0chunked", "chunked\x85", "chunked\x7f", "cow", "cow, chunked", "chunked, cow",
           "trailers", "chunked/1", "chunked=1", "chunked chunked", "chunked\r\n ", "\r\n chunked", "\r\n\tchunked",
           "chunked\n", "\nchunked", "chunked\r", "\rchunked", "[chunked]", "{chunked}", "chunked#", "ch\xc3\xbcnked",
           "chun\xc5\xbfed", "\xef\xbb\xbfchunked", "chunked%00", "%63hunked", "5", "true", "*"]


def codings():
    for value in ("chunked", "Chunked", "CHUNKED", "cHuNkEd", "  chunked", "chunked  ", "\tchunked\t"):
        case(f"coding {value!r}", post(f"Transfer-Encoding: {value}\r\n", CHUNKED), posted())
    case("coding without space", post("Transfer-Encoding:chunked\r\n", CHUNKED), posted())
    for value in CODINGS:
        case(f"coding {value!r}", post(f"Transfer-Encoding: {value}\r\n", CHUNKED), end=NOT_A_CODING)
    for value in ("gzip", "deflate", "compress", "br"):
        case(f"coding {value!r}", post(f"Transfer-Encoding: {value}\r\n", CHUNKED), end=BAD)
    for value in ("gzip, chunked", "deflate, gzip, chunked", "zstd, chunked"):
        case(f"coding {value!r}", post(f"Transfer-Encoding: {value}\r\n", CHUNKED), end=frozenset({501}))
    for value in ("chunked,", ",chunked", " , chunked", "chunked ,", ",,chunked,,"):
        case(f"coding {value!r}", post(f"Transfer-Encoding: {value}\r\n", CHUNKED), posted(), NOT_A_CODING, free=True)
    for one, other in (("chunked", "chunked"), ("chunked", "identity"), ("identity", "chunked"), ("chunked", "cow"),
                       ("cow", "chunked"), ("gzip", "chunked"), ("chunked", ""), ("", "chunked")):
        case(f"codings {one!r} and {other!r}",
             post(f"Transfer-Encoding: {one}\r\nTransfer-Encoding: {other}\r\n", CHUNKED), end=NOT_A_CODING)
    for line in ("Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked",
                 "\tTransfer-Encoding: chunked", "Transfer-Encoding\0: chunked", "Transfer\0-Encoding: chunked",
                 "Transfer-Encoding\x0b: chunked", "Transfer_Encoding: chunked", "transfer_encoding: chunked",
                 "Transfer Encoding: chunked", "Transfer-Encoding", "Transfer-Encoding=chunked", "Transfer-Encoding;: chunked",
                 "Transfer-Encoding\r\n : chunked", ":Transfer-Encoding: chunked", "\xffTransfer-Encoding: chunked",
                 "Transfer-Encoding\xff: chunked", "Tr\xe4nsfer-Encoding: chunked", "A: b\nTransfer-Encoding: chunked",
                 "A: b\rTransfer-Encoding: chunked", "A: b\r\r\nTransfer-Encoding: chunked",
                 "A\r\n Transfer-Encoding: chunked", "A: b\r\n\tTransfer-Encoding: chunked", "[Transfer-Encoding]: chunked"):
        case(f"coding line {line!r}", post(f"{line}\r\n", CHUNKED), end=BAD)
    for line in ("TransferEncoding: chunked", "X-Transfer-Encoding: chunked", "Transfer-Encoding-X: chunked",
                 "Transfer--Encoding: chunked", "Transfer-Encodin: chunked", "TE: chunked", "Content-Encoding: chunked"):
        case(f"coding by another name {line!r}", post(f"{line}\r\n", "\0"), posted(""), BAD)


def lengths_with_codings():
    both = "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n"
    for length in ("0", "3", "5", str(len(CHUNKED)), "6", "1000", "-1", "x"):
        case(f"length {length} and chunked", post(both.format(length), CHUNKED), end=BAD)
        case(f"chunked and length {length}", post("".join(reversed(both.format(length).splitlines(True))), CHUNKED),
             end=BAD)
    for value in CODINGS:
        case(f"length and coding {value!r}",
             post(f"Content-Length: 4\r\nTransfer-Encoding: {value}\r\n", "5c\r\n" + HIDDEN + "\r\n0\r\n\r\n"),
             end=NOT_A_CODING)
    case("CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + HIDDEN), end=BAD)
    case("TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "5c\r\n" + HIDDEN + "0\r\n\r\n"), end=BAD)
    case("GET with both", get("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + HIDDEN, end=BAD)
    case("both, the length in HTTP/1.0", post(both.format(5), CHUNKED, "POST {q} HTTP/1.0"), end=BAD)
    case("both, the length with an underscore", post("Content_Length: 5\r\nTransfer-Encoding: chunked\r\n", CHUNKED),
         end=BAD)
    case("both, the coding with an underscore", post("Content-Length: 5\r\nTransfer_Encoding: chunked\r\n", "hello"),
         end=BAD)


def bodies_where_none_is_expected():
    hidden = HIDDEN.replace("{s}", "/hidden").replace("{h}", "shop.brand.test")
    size = len(hidden)
    for method in ("GET", "HEAD", "OPTIONS", "DELETE", "PUT", "PATCH", "PROPFIND"):
        line = f"{method} {{q}} HTTP/1.1"
        case(f"{method} with a request for a body (0.CL)", post(f"Content-Length: {size}\r\n", hidden, line),
             posted(hidden, method))
        case(f"{method} with a request in a chunk (TE.0)",
             post("Transfer-Encoding: chunked\r\n", f"{size:x}\r\n{hidden}\r\n0\r\n\r\n", line), posted(hidden, method))
        case(f"{method} with an empty chunked body", post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", line),
             posted("", method))
    case("POST without any framing", post(""), posted(""))
    case("POST without framing before a body", post("", "\0hello"), posted(""), BAD)


def chunk_sizes():
    def chunks(name, body, *, good=None, cut=False, free=False):
        if good is not None and not free:
            case(f"chunks {name}", post("Transfer-Encoding: chunked\r\n", body), posted(good))
        else:
            case(f"chunks {name}", post("Transfer-Encoding: chunked\r\n", body), posted(good) if free else (),
                 CUT if cut else BAD, ("POST", "{q}"), free)
    for size in ("5", "05", "000005", "0000000000000005"):
        chunks(f"of size {size!r}", f"{size}\r\nhello\r\n0\r\n\r\n", good="hello")
    chunks("in capitals", "A\r\n0123456789\r\n0\r\n\r\n", good="0123456789")
    chunks("in small letters", "a\r\n0123456789\r\n0\r\n\r\n", good="0123456789")
    chunks("two", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", good="hello")
    chunks("ended by 000", "5\r\nhello\r\n000\r\n\r\n", good="hello")
    for size in ("+5", "-5", "0x5", "0X5", "x5", " 5", "\t5", "5h", "g", "", "5_", "_5", "5.0", "5,", "5,5", "'5'", '"5"', "5\0",
                 "\0" + "5", "5\x0b", "5\x0c", "5\xa0", "\xff", "5=", "5:", "5#", "five", "1e1_", "0b1_", "-0", "- 5", "5-5",
                 "8000000000000000", "ffffffffffffffff", "10000000000000000", "10000000000000005", "fffffffffffffffff",
                 "0" * 300 + "5"):
        chunks(f"of size {size[:30]!r}" + (" and more" if len(size) > 30 else ""), f"{size}\r\nhello\r\n0\r\n\r\n")
    chunks("of size 7fffffffffffffff", "7fffffffffffffff\r\nhello\r\n0\r\n\r\n" + HIDDEN, cut=True)
    chunks("of size 100000005", "100000005\r\nhello\r\n0\r\n\r\n" + HIDDEN, cut=True)
    for size in ("5 ", "5\t", "5   "):
        # Bad whitespace before an extension that is not there: no grammar has it, many senders do.
        chunks(f"of size {size!r}", f"{size}\r\nhello\r\n0\r\n\r\n", good="hello", free=True)
    for name, body in {
            "with LF behind the size": "5\nhello\r\n0\r\n\r\n", "with CR behind the size": "5\rhello\r\n0\r\n\r\n",
            "with CRCRLF behind the size": "5\r\r\nhello\r\n0\r\n\r\n", "with LFCR behind the size": "5\n\rhello\r\n0\r\n\r\n",
            "with LF behind the data": "5\r\nhello\n0\r\n\r\n", "with CR behind the data": "5\r\nhello\r0\r\n\r\n",
            "with nothing behind the data": "5\r\nhello0\r\n\r\n", "with two bytes behind the data": "5\r\nhelloXX0\r\n\r\n",
            "too long by one": "5\r\nhello!\r\n0\r\n\r\n", "with an empty line more": "5\r\nhello\r\n\r\n0\r\n\r\n",
            "ended by LF": "5\r\nhello\r\n0\n\r\n", "ended by two LF": "5\r\nhello\r\n0\n\n",
            "with LF for the last line": "5\r\nhello\r\n0\r\n\n", "beginning with an empty line": "\r\n5\r\nhello\r\n0\r\n\r\n",
            "that are none": "hello", "that are a request": HIDDEN}.items():
        chunks(name, body)
    chunks("too short by one", "5\r\nhell\r\n0\r\n\r\n" + "x" * 10)
    chunks("without an end", "5\r\nhello\r\n", cut=False)
    case("chunks with a bad request behind their end", post("Transfer-Encoding: chunked\r\n", CHUNKED + "\0"), posted(), BAD)


def extensions_and_trailers():
    def chunked(name, body, good=True):
        case(name, post("Transfer-Encoding: chunked\r\n", body), posted() if good else (), CANARY if good else BAD,
             None if good else ("POST", "{q}"))
    for extension in (";a", ";a=b", ";a=b;c=d", '; a="b"', ' ;a', ";a ; b", ';a="b;c"', r';a="\"\\"', ";a = b", ';a="\t"',
                      ';a="\xff"', ";" + "a" * 200, ';a=""'):
        chunked(f"extension {extension[:30]!r}", f"5{extension}\r\nhello\r\n0\r\n\r\n")
        chunked(f"extension {extension[:30]!r} behind the last chunk", f"5\r\nhello\r\n0{extension}\r\n\r\n")
    for extension in (";", ";;", ";=b", ";a=", ";a==b", ';a="b', ';a=b"', ';a="b"c', ";a b", ";a\nb", ";a\rb", ";\n", ";a\n\r",
                      ";a\0", ";\0", ';a="\0"', ";a=\x0b", ';a="\n"', ";a;\n" + "x" * 50, ';a="\\', ";\xff", ";a=\xff", ";(a)", ":a", "z",
                      ",a", ";a,b", ";a:b", ";" + "a" * 65536):
        chunked(f"bad extension {extension[:30]!r}" + (" and more" if len(extension) > 50 else ""),
                f"5{extension}\r\nhello\r\n0\r\n\r\n", False)
    for trailer in ("A: b", "A:", "A: b\r\nC: d", "a-b: \xff", "Content-Length: 7", "Transfer-Encoding: chunked",
                    "Host: other", "Content-Length: x", "X-Forwarded-For: 1.2.3.4", "Connection: close", "Authorization: x",
                    "Cookie: a=b", "Expect: 100-continue", "Content_Length: 5", "Trailer: a", "Upgrade: h2c", "TE: chunked"):
        chunked(f"trailer {trailer!r}", f"5\r\nhello\r\n0\r\n{trailer}\r\n\r\n")
    for trailer in ("A : b", " A: b", "A", ": b", "A: b\n", "A: b\nC: d", "A: b\r\n c", "A: \0", "A\0: b", "A: b\rc", "\0", "GET / HTTP/1.1",
                    "A b: c", "A: \x7f", "\xff: a", "A: b\r\r\n", "A:" + "b" * 70000, "A: b\r\n" * 200 + "C: d"):
        chunked(f"bad trailer {trailer[:30]!r}" + (" and more" if len(trailer) > 30 else ""),
                f"5\r\nhello\r\n0\r\n{trailer}\r\n\r\n", False)


def versions():
    case("HTTP/1.0", get(line="GET {q} HTTP/1.0"), SEEN, CLOSED)
    case("HTTP/1.0 without Host", get(line="GET {q} HTTP/1.0", host=""), SEEN, CLOSED)
    case("HTTP/1.0 kept alive", get("Connection: keep-alive\r\n", "GET {q} HTTP/1.0"), SEEN)
    case("HTTP/1.0 with a length", post("Content-Length: 5\r\n", "hello", "POST {q} HTTP/1.0"), posted(), CLOSED)
    case("HTTP/1.0 kept alive with a length", post("Connection: keep-alive\r\nContent-Length: 5\r\n", "hello",
                                                   "POST {q} HTTP/1.0"), posted())
    case("HTTP/1.0 in chunks", post("Transfer-Encoding: chunked\r\n", CHUNKED, "POST {q} HTTP/1.0"), end=NOT_A_CODING)
    case("HTTP/1.0 kept alive in chunks", post("Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n", CHUNKED,
                                               "POST {q} HTTP/1.0"), end=NOT_A_CODING)
    case("HTTP/1.0 expecting", post("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello", "POST {q} HTTP/1.0"),
         posted(), CLOSED)
    case("HTTP/1.2", get(line="GET {q} HTTP/1.2"), SEEN)
    case("HTTP/1.9 in chunks", post("Transfer-Encoding: chunked\r\n", CHUNKED, "POST {q} HTTP/1.9"), posted())
    for version in ("HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/0.0", "HTTP/9.9", "HTTP/2", "HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/1.10",
                    "HTTP/01.1", "HTTP/1.01", "HTTP/11.1", "HTTP/1.1.1", "HTTP/ 1.1", "HTTP /1.1", "HTTP/1 .1", "HTTP/1. 1",
                    "HTTP/1.1x", "HTTP/1.1;", "HTTP/1.1,", "HTTP/1.1 ", "HTTP/1.1\t", "HTTP/1.1  x", "http/1.1", "Http/1.1",
                    "HTTP/1.a", "HTTP/a.1", "HTTP/+1.1", "HTTP/-1.1", "HTTP/1.+1", "HTTP/1,1", "HTTP\\1.1", "HTTP1.1", "HTTPS/1.1",
                    "HTP/1.1", "SIP/1.1", "ICY/1.1", "RTSP/1.1", "/1.1", "1.1", "", "HTTP", "HTTP/", "\0HTTP/1.1", "HTTP/1.1\0",
                    "HTTP/1.1\x0b", "HTTP/1\x2e\xff", "HTTP/1.1\r", "xHTTP/1.1", "HTTP/1.1/HTTP/1.1", "HTTP/1.1 HTTP/1.1"):
        case(f"version {version!r}", get(line=f"GET {{q}} {version}"), end=NOT_A_VERSION)
    for name, line in {"no version": "GET {q}", "only a method": "GET", "only a target": "{q}", "an empty line for a start": "",
                       "two spaces before the target": "GET  {q} HTTP/1.1", "two spaces before the version": "GET {q}  HTTP/1.1",
                       "tabs for spaces": "GET\t{q}\tHTTP/1.1", "a tab before the version": "GET {q}\tHTTP/1.1",
                       "a space first": " GET {q} HTTP/1.1", "a NUL first": "\0GET {q} HTTP/1.1", "a tab first": "\tGET {q} HTTP/1.1",
                       "a form feed for a space": "GET\x0c{q} HTTP/1.1", "a vertical tab for a space": "GET {q}\x0bHTTP/1.1",
                       "a NBSP for a space": "GET\xa0{q} HTTP/1.1", "a CR inside": "GET {q}\rHTTP/1.1", "a byte order mark":
                       "\xef\xbb\xbfGET {q} HTTP/1.1"}.items():
        case(f"request line with {name}", get(line=line), end=NOT_A_VERSION)
    case("request line of HTTP/0.9 before a request", "GET {q}\r\n" + HIDDEN, end=NOT_A_VERSION)
    case("preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\0\0\0\4\0\0\0\0\0", end=NOT_A_VERSION)


def methods():
    for method in ("FOO", "get", "GeT", "M-SEARCH", "!#$%&'*+-.^_`|~", "G", "X" * 31, "VERSION-CONTROL"):
        case(f"method {method}", get(line=f"{method} {{q}} HTTP/1.1"), [(method, "{q}", b"")])
    # RFC 9110 section 9.3.8: it would show the app's side of the request to whoever can make a browser send it.
    case("method TRACE", get(line="TRACE {q} HTTP/1.1"), end=TURNED_AWAY)
    for method in ("CONNECT", "X" * 5000):
        case(f"method {method[:30]}", get(line=f"{method} {{q}} HTTP/1.1"), end=NOT_A_METHOD)
    case("method CONNECT with an authority", get(line="CONNECT {h}:443 HTTP/1.1"), end=NOT_A_METHOD)
    for byte in '"(),/:;<=>?@[\\]{}\0\x01\x0b\x0c\x7f\x80\xff':
        case(f"method with {byte!r}", get(line=f"GE{byte}T {{q}} HTTP/1.1"), end=NOT_A_METHOD)


def targets():
    for target in ("{q}?", "{q}?a=b&c=%00", "{q}//x", "/{q}", "{q}/../x", "{q}/./x", "{q}/%2e%2e/x", "{q}/%00", "{q}/%", "{q}/%zz", "{q}/;a=b",
                   "{q}/%0d%0aHost:%20x", "{q}/a:b@c", "{q}/~!$&'()*+,", "{q}?http://x/", "{q}" + "/a" * 1000):
        case(f"target {target[:30]!r}", get(line=f"GET {target} HTTP/1.1"), [("GET", target, b"")])
    for target in ("{q}/|", "{q}/^`", "{q}/\\", '{q}/"<>', "{q}/{{}}", "{q}/[]"):
        # RFC 3986 has no such byte in a path; RFC 9112 section 3.2 says SHOULD answer 400.
        plain = target.replace("{{", "{").replace("}}", "}")
        case(f"target {plain!r}", get(line=f"GET {plain} HTTP/1.1"), [("GET", plain, b"")], BAD, free=True)
    for byte in "\0\x01\x07\x08\t\x0b\x0c\x1b\x1f\x7f\x80\xa0\xff":
        case(f"target with {byte!r}", get(line=f"GET {{q}}/{byte} HTTP/1.1"), end=BAD)
    case("target with a space", get(line="GET {q}/a b HTTP/1.1"), end=NOT_A_VERSION)
    case("target with a fragment", get(line="GET {q}#a HTTP/1.1"), end=BAD)
    case("target with a hidden request", get(line="GET {q} HTTP/1.1\rHost: x"), end=NOT_A_VERSION)
    for target in ("q", "?a", "../q", "*", "{h}", "{h}:443", "{h}{q}", "http:", "http:/", "http:{q}", "http://", "http:///x", "http://u@{h}/",
                   "http://u:p@{h}/", "http://{h}:x/", "http://{h}:99999/", "http://{h}\\@x/", "ftp://{h}/", "ws://{h}/", "file:///x",
                   "javascript:x", "//", "httpx://{h}/", "http//{h}/", "http://{h} /", "*x", "**", "%2f", "\\", "://{h}/"):
        if target == "//":
            continue
        case(f"target {target!r}", get(line=f"GET {target} HTTP/1.1"), end=NOT_A_VERSION)
    for scheme in ("http", "https", "HTTP", "hTTps"):
        case(f"target absolute with {scheme}", get(line=f"GET {scheme}://{{h}}{{q}} HTTP/1.1"), SEEN)
    case("target absolute without a path", get(line="GET http://{h}?{u} HTTP/1.1"), [("GET", "/?{u}", b"")])
    case("target absolute in HTTP/1.0 without Host", get(line="GET http://{h}{q} HTTP/1.0", host=""), SEEN, CLOSED)
    case("target absolute of another host", get(line="GET http://other.brand.test{q} HTTP/1.1"), end=BAD)
    case("target absolute and another Host", get(line="GET http://{h}{q} HTTP/1.1", host="Host: other.brand.test\r\n"), end=BAD)
    case("target absolute without Host", get(line="GET http://{h}{q} HTTP/1.1", host=""), end=BAD)
    case("target * of OPTIONS", get(line="OPTIONS * HTTP/1.1", host="Host: {h}\r\nX-Case: {q}\r\n"), [("OPTIONS", "*", b"")])
    case("target absolute of OPTIONS without a path", get(line="OPTIONS http://{h} HTTP/1.1"), [("OPTIONS", "*", b"")])
    for size in (40000, 70000):
        case(f"target of {size} bytes", get(line="GET {q}" + "a" * size + " HTTP/1.1"), end=TOO_LARGE)


def hosts():
    for host in ("{H}", "{h}:443", "{h}:", "{h}.", "{h}:65535", "  {h}  "):
        case(f"host {host!r}", get(host=f"Host: {host}\r\n"), SEEN)
    case("host in small letters", get(host="host:{h}\r\n"), SEEN)
    for host in ("", " ", "u@{h}", "u:p@{h}", "{h}, {h}", "{h},other.brand.test", "{h} other.brand.test", "{h}/x", "{h}?x", "{h}#x", "{h}\\x",
                 "http://{h}", "{h}:x", "{h}:-1", "{h}:+1", "{h}:65536", "{h}:4 4", "{h}:443:443", "{h}\0", "\0{h}", "{h}\x0b", "{h}\xff",
                 "\xe4.brand.test", "%73hop.brand.test", "[::1", "::1", "[::1]x", "[]", "[x]", "{h}\r\n x", '"{h}"', "<{h}>", "{h};a",
                 "{h}\tx", "{h}&x", "{h}|x", "{h}'", ":443", "a" * 300 + ".test"):
        case(f"host {host[:30]!r}", get(host=f"Host: {host}\r\n"), end=frozenset({400}))
    for host in ("other.brand.test", "127.0.0.1", "[::1]", "localhost", "x{h}", "{h}.x", "_", "-", ".", "..", "{h}.."):
        case(f"host {host!r} of somebody else", get(host=f"Host: {host}\r\n"), end=TURNED_AWAY)
    case("host missing", get(host=""), end=BAD)
    for name, lines in {"twice": "Host: {h}\r\nHost: {h}\r\n", "twice, the second another": "Host: {h}\r\nHost: other.brand.test\r\n",
                        "twice, the first another": "Host: other.brand.test\r\nHost: {h}\r\n", "twice in two cases":
                        "Host: {h}\r\nhOST: {h}\r\n", "twice, one empty": "Host:\r\nHost: {h}\r\n", "with a space before the colon":
                        "Host : {h}\r\n", "with a space first": " Host: {h}\r\n", "without a colon": "Host {h}\r\n", "folded":
                        "Host:\r\n {h}\r\n", "hidden behind a fold": "A: b\r\n Host: {h}\r\n", "hidden behind a LF":
                        "A: b\nHost: {h}\r\n", "with a NUL in the name": "Ho\0st: {h}\r\n", "and a folded other":
                        "Host: {h}\r\n\tother.brand.test\r\n"}.items():
        case(f"host {name}", get(host=lines), end=BAD)


def line_ends():
    plain = get("A: b\r\n")
    for name, data in {
            "LF everywhere": plain.replace("\r\n", "\n"), "LF behind the request line": plain.replace("\r\n", "\n", 1),
            "LF behind a field": plain.replace("b\r\n", "b\n"), "LF for the empty line": plain[:-2] + "\n", "CR everywhere":
            plain.replace("\r\n", "\r") + "\r\n\r\n", "CR for the empty line": plain[:-2] + "\r" + "x\r\n\r\n", "CRCRLF":
            plain.replace("b\r\n", "b\r\r\n"), "LFCR": plain.replace("b\r\n", "b\n\r") + "\r\n", "CR behind the request line":
            plain.replace("\r\n", "\r", 1), "a space in the empty line": plain[:-2] + " \r\n\r\n", "a LF first": "\n" + plain,
            "a CR first": "\r" + plain, "CRCRLF first": "\r\r\n" + plain, "a NUL in the empty line": plain[:-2] + "\0\r\n\r\n",
            "a LF and a CRLF first": "\n\r\n" + plain, "a space and a CRLF first": " \r\n" + plain, "LF, CRLF behind a field":
            plain.replace("b\r\n", "b\n\r\n"), "form feed for CRLF": plain.replace("b\r\n", "b\x0c") + "\r\n", "VT for CRLF":
            plain.replace("b\r\n", "b\x0b") + "\r\n", "NEL for CRLF": plain.replace("A: b\r\n", "A\x85 b\r\n")}.items():
        case(f"line ends: {name}", data, end=BAD)
    case("line ends: an empty line first", "\r\n" + plain, SEEN)
    case("line ends: two empty lines first", "\r\n\r\n" + plain, SEEN, BAD, free=True)
    case("line ends: many empty lines first", "\r\n" * 1000 + plain, SEEN, BAD, free=True)
    case("line ends: an empty line behind a body", post("Content-Length: 5\r\n", "hello\r\n"), posted())


def field_bytes():
    for byte in [chr(code) for code in list(range(0, 9)) + [11, 12] + list(range(14, 32)) + [127]]:
        case(f"value with {byte!r}", get(f"A: b{byte}c\r\n"), end=BAD)
    for byte in "\t \xa0\xff\x80":
        case(f"value with {byte!r}", get(f"A: b{byte}c\r\n"), SEEN)
    for byte in [chr(code) for code in (0, 1, 8, 9, 11, 12, 27, 32, 127, 128, 160, 255)] + list('"(),/;<=>?@[\\]{}'):
        case(f"name with {byte!r}", get(f"A{byte}B: c\r\n"), end=BAD)
        case(f"name beginning with {byte!r}", get(f"{byte}B: c\r\n"), end=BAD)
    for byte in "!#$%&'*+-.^_`|~0":
        case(f"name with {byte!r}", get(f"A{byte}B: c\r\n"), SEEN)
    for line in (": b", " : b", ":", "A", "A b", "A: b\r\n c: d", "A: b\r\n\tc", "A: b\r\n \r\nC: d", "A:\r\n b", " A: b", "\tA: b", "A : b", "A\t: b",
                 "A\r\n: b", "A: b\r\nC", "A: b\r\n ", "A\0: b", "A: b\0", "=A: b"):
        case(f"field line {line!r}", get(f"{line}\r\n"), end=BAD)
    for line in ("A:", "A: ", "A:b", "A:\tb\t", "A: b: c", "A::", "A: b\r\nA: b\r\na: c", "A: " + "b" * 6000, "A" * 200 + ": b",
                 "Cookie: a=b\r\nCookie: c=d", 'A: "', "A: \xe4"):
        case(f"field line {line[:30]!r}", get(f"{line}\r\n"), SEEN)
    case("128 fields", get("A: b\r\n" * 127), SEEN)
    case("129 fields", get("A: b\r\n" * 128), end=TOO_LARGE)
    case("10,000 fields", get("A: b\r\n" * 10000), end=TOO_LARGE)
    case("a field of 70,000 bytes", get("A: " + "b" * 70000 + "\r\n"), end=TOO_LARGE)
    case("a name of 70,000 bytes", get("A" * 70000 + ": b\r\n"), end=TOO_LARGE)


def connections():
    for value in ("keep-alive", "Keep-Alive", "foo", "foo, bar", "TE", "upgrade", "x-forwarded-for", "Cookie", "", ",", ", ,foo,", "trailer",
                  "keep-alive, foo", "A", "Accept"):
        case(f"connection {value!r}", get(f"Connection: {value}\r\nA: b\r\n"), SEEN)
    for value in ("close", "Close", "keep-alive, close", "close, keep-alive", "foo,close", "close\r\nConnection: keep-alive",
                  "keep-alive\r\nConnection: close", "\tclose\t"):
        case(f"connection {value!r}", get(f"Connection: {value}\r\n"), SEEN, CLOSED)
    for value in ("Host", "host", "Content-Length", "transfer-encoding", "close, Content-Length", "keep-alive, Host", "a b", "a;b", "(x)", "a=b",
                  "\xff", "close\0", "close\x0b", "Content_Length", ", ".join(f"a{index}" for index in range(100))):
        case(f"connection {value[:30]!r}", post(f"Connection: {value}\r\nContent-Length: 5\r\n", "hello"), end=BAD)
    for name, fields in {"Proxy-Connection: close": "Proxy-Connection: close\r\n", "Keep-Alive": "Keep-Alive: timeout=1, max=1\r\n",
                         "TE: trailers": "TE: trailers\r\nConnection: TE\r\n", "TE: chunked": "TE: chunked;q=1\r\n",
                         "Upgrade: h2c": "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n",
                         "Upgrade: h2c alone": "Upgrade: h2c\r\n", "Upgrade: TLS": "Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n",
                         "Upgrade twice": "Upgrade: a\r\nUpgrade: b\r\nConnection: upgrade\r\n",
                         "Upgrade with a space": "Upgrade: h2c foo\r\nConnection: upgrade\r\n",
                         "Trailer without chunks": "Trailer: A\r\n", "Max-Forwards": "Max-Forwards: 0\r\n",
                         "Proxy-Authorization": "Proxy-Authorization: Basic eDp5\r\n", "Via": "Via: 1.1 x\r\n",
                         "Range": "Range: bytes=0-0\r\n", "If-None-Match": "If-None-Match: *\r\n",
                         "Method override": "X-HTTP-Method-Override: DELETE\r\n", "X-Original-URL": "X-Original-URL: {s}\r\n",
                         "Forwarded": "Forwarded: for=1.2.3.4;host=x\r\n", "X-Forwarded-Host": "X-Forwarded-Host: x\r\n",
                         "X_Forwarded_For": "X_Forwarded_For: 1.2.3.4\r\n", "Sec-WebSocket-Key alone": "Sec-WebSocket-Key: x\r\n"}.items():
        case(f"field {name}", get(fields), SEEN)
    case("Upgrade with a body", post("Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 5\r\n", "hello"), posted())
    case("Upgrade in HTTP/1.0", get("Upgrade: h2c\r\nConnection: Upgrade\r\n", "GET {q} HTTP/1.0"), SEEN, CLOSED)


def expectations():
    for value in ("100-continue", "100-Continue", "100-CONTINUE", " 100-continue "):
        case(f"expect {value!r}", post(f"Expect: {value}\r\nContent-Length: 5\r\n", "hello"), posted())
    case("expect in chunks", post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", CHUNKED), posted())
    case("expect with an empty body", post("Expect: 100-continue\r\nContent-Length: 0\r\n"), posted(""))
    case("expect without a body", get("Expect: 100-continue\r\n"), SEEN)
    case("expect twice", post("Expect: 100-continue\r\n" * 2 + "Content-Length: 5\r\n", "hello"), posted(), frozenset({400, 417}),
         free=True)
    for value in ("x", "100-continue, x", "100-continue; a=b", "100", "200-ok", "\"100-continue\"", "100-continue 100-continue", "", "y 100-continue"):
        # RFC 9110 section 10.1.1: may answer 417. With the body on its way, the connection cannot go on.
        case(f"expect {value!r}", post(f"Expect: {value}\r\nContent-Length: 5\r\n", "hello"), posted(), frozenset({400, 417}), free=True)
    case("expect with a space before the colon", post("Expect : 100-continue\r\nContent-Length: 5\r\n", "hello"), end=BAD)
    case("expect and a hidden request", post("Expect: 100-continue\r\nContent-Length: {z}\r\n", HIDDEN), [("POST", "{q}", HIDDEN.encode())])


def pipelines():
    for count in (2, 5, 20, 100):
        case(f"{count} requests at once", get() * count, SEEN * count)
    case("POST, GET, POST at once", post("Content-Length: 5\r\n", "hello") + get() + post("Transfer-Encoding: chunked\r\n", CHUNKED),
         posted() + SEEN + posted())
    case("HEAD, GET, HEAD at once", get(line="HEAD {q} HTTP/1.1") + get() + get(line="HEAD {q} HTTP/1.1"),
         [("HEAD", "{q}", b"")] + SEEN + [("HEAD", "{q}", b"")])
    case("a bad request behind a good one", get() + "\0", SEEN, BAD)
    case("a bad length behind a good request", get() + post("Content-Length: x\r\n", "hello"), SEEN, BAD)
    case("a close between two", get() + get("Connection: close\r\n") + HIDDEN, SEEN * 2, CLOSED)
    case("HTTP/1.0 between two", get() + get(line="GET {q} HTTP/1.0") + HIDDEN, SEEN * 2, CLOSED)
    case("TLS inside TLS", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + "x" * 200, end=BAD)
    case("a status line", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", end=NOT_A_VERSION)
    case("a PROXY header", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + get(), end=NOT_A_VERSION)
    case("SSH", "SSH-2.0-x\r\n\r\n", end=NOT_A_VERSION)
    case("SMTP", "EHLO x\r\n\r\n", end=NOT_A_VERSION)
    case("a head that does not end", "GET {q} HTTP/1.1\r\nHost: {h}\r\nA: ", end=CUT)
    case("a request line that does not end", "GET {q}", end=CUT)
    for name, body in {"by a length": ("Content-Length: 500\r\n", "hello"), "in a chunk": ("Transfer-Encoding: chunked\r\n", "fff\r\nhello"),
                       "in a chunk size": ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n1"), "before the last chunk":
                       ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"), "in the trailers": ("Transfer-Encoding: chunked\r\n",
                                                                                                 "5\r\nhello\r\n0\r\nA: ")}.items():
        case(f"a body that does not end {name}", post(*body), end=CUT, begun=("POST", "{q}"))


def fill(text, path, host):
    """Bytes with the places filled in."""
    hidden = f"/hidden{path}"
    for place, value in (("{q}", path), ("{s}", hidden), ("{h}", host), ("{H}", host.upper()), ("{u}", path[1:]),
                         ("{z}", str(len(HIDDEN) - len("{s}{h}") + len(hidden) + len(host)))):
        text = text.replace(place.encode(), value.encode())
    return text


def table():
    """All oddities, their places still to be filled in."""
    if not _table:
        for group in (lengths, codings, lengths_with_codings, bodies_where_none_is_expected, chunk_sizes, extensions_and_trailers,
                      versions, methods, targets, hosts, line_ends, field_bytes, connections, expectations, pipelines):
            group()
    return list(_table)
