"""PostgreSQL gone or silent: names in memory are served, others fail within about a second, and all recovers."""

from concurrent.futures import ThreadPoolExecutor

from lab.process import wait_until

CACHED, STORED, NEW = "cached.brand.test", "stored.brand.test", "new.brand.test"


def start(lab):
    platform = lab.platform(own_postgres=True)
    for name in (CACHED, STORED, NEW):
        platform.activate(name)
    for edge in platform.edges:
        platform.visit(CACHED, edge=edge)
    platform.visit(STORED, edge=platform.edges[0])
    return platform, lab.clusters[0]


def check_outage(platform):
    edge = platform.edges[1]                    # it has never seen STORED
    assert platform.visit(CACHED, edge=edge).status == 200
    for name in (STORED, NEW):
        answer = platform.refusal(name, edge=edge)
        assert answer.alert == "internal_error", (name, answer)
        assert answer.seconds < 5, (name, answer)
    with ThreadPoolExecutor(20) as pool:        # many at once do not queue up behind each other
        answers = list(pool.map(lambda number: platform.refusal(f"x{number}.brand.test", edge=edge), range(20)))
    assert {answer.alert for answer in answers} == {"internal_error"}
    assert max(answer.seconds for answer in answers) < 10, answers
    assert platform.visit(CACHED, edge=edge).status == 200


def check_recovery(platform):
    def served(name):
        try:
            return platform.visit(name, edge=platform.edges[1]).status == 200
        except OSError:
            return False
    for name in (STORED, NEW):
        wait_until(lambda: served(name), 15, f"{name} to be served again", interval=0.1)
    assert platform.activate("later.brand.test")["status"] == "active"


def test_killed_database(lab):
    platform, cluster = start(lab)
    cluster.kill()
    check_outage(platform)
    cluster.start()
    check_recovery(platform)


def test_database_that_accepts_and_stays_silent(lab):
    platform, cluster = start(lab)
    cluster.freeze()
    check_outage(platform)
    cluster.thaw()
    check_recovery(platform)


def test_daemons_start_while_the_database_is_down(lab):
    platform, cluster = start(lab)
    cluster.kill()
    platform.edge.stop()
    platform.edge.start(wait=False)
    wait_until(lambda: platform.edge.process.logged("listening"), 5, "the edge to listen")
    assert not platform.edge.is_ready(), "a node without anything to serve wants no traffic"
    cluster.start()
    platform.edge.wait_ready()
    assert platform.visit(STORED, edge=platform.edge).status == 200
