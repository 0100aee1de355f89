"""Mixed traffic over restarts and reloads, for seconds: every request is accounted for and nothing stays open. `make soak`
does it for ten minutes and watches memory, too."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "soak"))

from soak import Soak  # noqa: E402


def test_every_request_is_accounted_for(lab):
    soak = Soak(lab, 8, life=2.5)
    wrong = soak.run()
    for line in soak.report():
        print(line)
    assert not wrong, "\n".join(wrong)
    assert soak.restarts >= 1 and soak.reloads >= 5
    assert {"h1", "h2", "ws", "ws2", "grpc", "sse", "slow", "warm"} <= {soak.ledger.kinds[name] for name in soak.ledger.completed}
