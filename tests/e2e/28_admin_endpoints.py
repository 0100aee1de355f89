"""Each daemon tells its health and its figures on admin-listen, in Prometheus' text format."""

import re

from lab.servers import http_status

NAME = "shop.brand.test"
SAMPLE = re.compile(r'^(postern_[a-z0-9_]+)(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? (-?[0-9.e+-]+|[+-]Inf|NaN)$')


def get(daemon, path):
    return http_status(daemon.address, daemon.admin, path)


def test_every_sample_is_well_formed_described_and_named_by_the_rules(platform):
    platform.activate(NAME)
    platform.visit(NAME)
    platform.refusal("unknown.brand.test")
    for daemon in platform.daemons:
        status, text = get(daemon, "/metrics")
        assert status == 200
        kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        assert set(kinds) == set(re.findall(r"^# HELP (\S+) \S", text, re.M)), daemon.name
        assert kinds, daemon.name
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            sample = SAMPLE.match(line)
            assert sample, (daemon.name, line)
            family = re.sub(r"_(bucket|sum|count)$", "", sample[1])
            assert sample[1] in kinds or kinds.get(family) == "histogram", (daemon.name, line)
        for name, kind in kinds.items():
            assert (kind == "counter") == name.endswith("_total"), (daemon.name, name, kind)
        assert len(text.splitlines()) == len(set(text.splitlines())), f"{daemon.name}: a sample twice"


def test_a_name_in_a_request_is_never_a_label(platform):
    """Labels that strangers could choose would grow without bound."""
    for number in range(20):
        platform.refusal(f"stranger{number}.brand.test")
    for daemon in platform.daemons:
        assert "stranger" not in get(daemon, "/metrics")[1], daemon.name


def test_healthz_answers_and_readyz_follows_the_database(lab):
    platform = lab.platform(own_postgres=True, edges=1)
    for daemon in platform.daemons:
        assert get(daemon, "/healthz")[0] == 200
        assert get(daemon, "/readyz")[0] == 200
        assert get(daemon, "/nothing")[0] == 404
    lab.clusters[0].kill()
    for daemon in platform.daemons:
        assert get(daemon, "/healthz")[0] == 200, "a restart would mend nothing"
    assert get(platform.edge, "/readyz")[0] == 200, "it still serves what it has in memory"
    lab.clusters[0].start()
