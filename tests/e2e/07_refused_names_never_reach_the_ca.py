"""Unknown, denied and impossible names get one TLS alert of seven bytes; the CA never hears of them."""

import pytest

from lab import client_hello

UNRECOGNIZED = bytes([21, 3, 3, 0, 2, 2, 112])

IMPOSSIBLE = {
    "no SNI": None,
    "empty name": b"",
    "IPv4 literal": b"10.0.0.1",
    "IPv6 literal": b"::1",
    "one label": b"localhost",
    "public suffix": b"co.uk",
    "255 bytes": b".".join([b"a" * 63] * 4)[:255],
    "over-long label": b"a" * 64 + b".brand.test",
    "65 KB of name": b"a" * 16000,
    "empty label": b"shop..brand.test",
    "leading dot": b".brand.test",
    "leading hyphen": b"-shop.brand.test",
    "space": b"shop brand.test",
    "NUL": b"shop.brand.test\0.evil.test",
    "line feed": b"shop\n.brand.test",
    "high bytes": b"sh\xc3\xb6p.brand.test",
    "broken A-label": b"xn--\xff.brand.test",
    "slash": b"shop/../../etc.brand.test",
    "wildcard": b"*.brand.test",
    "quote": b"shop'--.brand.test",
}


def test_unknown_name_gets_exactly_one_unrecognized_name_alert(platform):
    answer = platform.refusal("never-added.brand.test")
    assert answer.raw.replace(b"\x03\x01", b"\x03\x03", 1) == UNRECOGNIZED, answer
    assert platform.pebble.orders() == 0
    assert platform.job("never-added.brand.test") is None


def test_pending_domain_is_refused(platform):
    platform.api.add("shop.brand.test")
    assert platform.refusal("shop.brand.test").alert == "unrecognized_name"
    assert platform.pebble.requests("/order-plz") == 0


def test_impossible_names_are_refused_the_same_way(platform):
    answers = {label: platform.refusal(name) for label, name in IMPOSSIBLE.items()}
    wrong = {label: answer for label, answer in answers.items()
             if answer.alert not in ("unrecognized_name", "decode_error", "illegal_parameter")}
    assert not wrong
    for label in ("no SNI", "IPv4 literal", "public suffix", "one label", "255 bytes", "wildcard"):
        assert answers[label].alert == "unrecognized_name", (label, answers[label])
    assert min(answer.seconds for answer in answers.values()) < 1 and max(answer.seconds for answer in answers.values()) < 5, answers
    assert platform.pebble.orders() == 0
    assert platform.verifier.metric("postern_verifier_ask_answers_total") == 0, "not even asked for"


def test_name_with_trailing_dot_or_capitals_is_the_same_name(platform):
    platform.activate("shop.brand.test")
    serial = platform.visit("shop.brand.test").serial
    for sni in (b"SHOP.Brand.TEST", b"shop.brand.test."):
        assert platform.refusal(sni).raw[:1] == b"\x16", f"{sni}: a ServerHello was due"
    assert platform.stored("shop.brand.test")[0].lower().lstrip("0") == serial.lstrip("0")
    assert platform.pebble.orders() == 1


@pytest.mark.parametrize("size", [7, 50])
def test_hello_in_many_records_is_read_as_one(platform, size):
    platform.activate("shop.brand.test")
    platform.visit("shop.brand.test")
    hello = client_hello.client_hello(b"shop.brand.test", record_size=size)
    assert platform.refusal(None, hello=hello).raw[:1] == b"\x16"


def test_what_is_no_tls_is_turned_away(platform):
    for junk in (b"GET / HTTP/1.1\r\nHost: shop.brand.test\r\n\r\n", b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\xff\xff",
                 b"\x80\x2e\x01\x00\x02" + b"\0" * 60, b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", b"\0" * 64):
        answer = platform.refusal(None, hello=junk + b"\0" * 70000, timeout=10)
        assert answer.raw[:1] in (b"", b"\x15"), (junk, answer)
    assert platform.refusal("never-added.brand.test").alert == "unrecognized_name"


def test_becoming_active_clears_an_earlier_refusal_at_once(platform):
    assert platform.refusal("shop.brand.test", edge=platform.edge).alert == "unrecognized_name"
    platform.activate("shop.brand.test")
    assert platform.visit("shop.brand.test", edge=platform.edge).status == 200


def test_hello_in_hundreds_of_records_is_turned_away(platform):
    hello = client_hello.client_hello(b"shop.brand.test", record_size=1)
    assert platform.refusal(None, hello=hello).raw[:1] == b"\x15"
