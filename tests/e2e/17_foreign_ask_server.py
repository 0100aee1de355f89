"""Any ask endpoint that Caddy would use works: any 2xx allows, a query in its URL is kept, no domains row is needed."""

from lab.ask_server import AskServer

ALLOWED, DENIED = "tenant.custom.test", "stranger.custom.test"


def start(lab, path="/allowed", **options):
    platform = lab.prepare(**options)
    ask = lab.use(AskServer(platform.ground.address(3), allowed=[ALLOWED]))
    for edge in platform.edges:
        edge.settings["ask_url"] = ask.url(path)
    platform.start(without=[platform.verifier])
    for name in (ALLOWED, DENIED):
        platform.dns.publish(name, "A", platform.address)
    return platform, ask


def test_allowed_name_without_a_row_is_served_on_every_node(lab):
    platform, ask = start(lab)
    first = platform.visit(ALLOWED, edge=platform.edges[0])
    other = platform.visit(ALLOWED, edge=platform.edges[1])
    assert first.serial == other.serial
    assert platform.pebble.orders() == 1
    assert ask.asked[ALLOWED] == 1, "a stored name is not asked for"


def test_denied_name_is_asked_for_once_and_refused(lab):
    platform, ask = start(lab, edges=1)
    for _ in range(10):
        assert platform.refusal(DENIED).alert == "unrecognized_name"
    assert ask.asked[DENIED] == 1
    assert platform.pebble.orders() == 0


def test_query_of_the_url_is_kept(lab):
    platform, ask = start(lab, "/check?key=a%20b", edges=1)
    platform.visit(ALLOWED)
    assert ask.queries == [f"/check?key=a%20b&domain={ALLOWED}"]


def test_any_2xx_allows(lab):
    platform, ask = start(lab, edges=1)
    ask.answer = lambda name: 204
    assert platform.visit(ALLOWED).status == 200


def test_redirect_or_server_error_is_no_permission_and_no_denial(lab):
    platform, ask = start(lab, edges=1)
    for status in (500, 503):
        ask.answer = lambda name, status=status: status
        answer = platform.refusal(f"s{status}.custom.test")
        assert answer.alert == "internal_error", (status, answer)
    ask.answer = lambda name: 302
    assert platform.refusal("moved.custom.test").alert in ("internal_error", "unrecognized_name")
    assert platform.pebble.orders() == 0
