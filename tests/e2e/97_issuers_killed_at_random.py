"""kill -9 of issuers at random, over and over, while names are issued: every name gets its certificate, and no kill costs
more than the one order whose POST was under way. `POSTERN_KILLS` sets how many kills; the default is a short run."""

import os
import random
import time

from lab.issuance import Issuance
from lab.process import wait_until

KILLS = int(os.environ.get("POSTERN_KILLS", "30"))
SEED = int(os.environ.get("POSTERN_SEED", str(random.randrange(1 << 32))))
NAMES_A_KILL = 5

POINTS = ["claimed", "ordering", "before-new_order", "after-new_order", "ordered", "before-authorization",
          "after-authorization", "published", "before-challenge", "after-challenge", "before-order", "after-order",
          "finalizing", "before-finalize", "after-finalize", "issued", "before-certificate", "after-certificate",
          "accepted", "stored"]


class Victim:
    """One place for an issuer, taken by the next as soon as one is dead."""

    def __init__(self, issuance, dice):
        self.issuance, self.dice, self.process, self.point, self.dies_at = issuance, dice, None, None, 0

    def start(self):
        # Half die at a named moment, which comes soon; half at any.
        self.point = self.dice.choice(POINTS) if self.dice.random() < 0.5 else None
        issuer = self.issuance.issuer(kill_at=self.point, jobs=1)
        issuer.start(wait=False)
        self.process = issuer.process
        self.dies_at = time.monotonic() + self.dice.uniform(0.3, 1.0)

    def is_dead(self):
        if self.process.alive and time.monotonic() > self.dies_at:
            self.process.kill()
        return not self.process.alive


def test_kills_at_random_cost_at_most_the_order_under_way(lab):
    dice = random.Random(SEED)
    issuance = Issuance(lab, acme={"job_lease": "1s"}, crash_points=True)
    issuance.issuer().start().stop()  # with the account made already
    victims, kills, asked = [Victim(issuance, dice) for _ in range(4)], 0, 0
    begin = time.monotonic()
    for victim in victims:
        victim.start()
    while kills < KILLS:
        for victim in victims:
            if victim.is_dead():
                kills += 1
                victim.start()
        while asked < kills * NAMES_A_KILL + 20:
            issuance.ask_for(*[f"n{index}.brand{index}.test" for index in range(asked, asked + 10)])
            asked += 10
        time.sleep(0.02)
    for victim in victims:
        victim.process.kill()
    survivor = issuance.issuer(job_lease="60s").start()  # on a busy machine it would lose leases of a second itself

    def is_done():
        issuance.db.query("DELETE FROM ca_health; DELETE FROM ca_budget; UPDATE issuance_jobs "
                          "SET next_try_at = now(), waits_for = NULL WHERE waits_for IS NOT NULL")
        return issuance.db.value("SELECT count(*) FROM certificates") == str(asked)
    wait_until(is_done, 120 + asked / 5, f"{asked} certificates (seed {SEED})", interval=0.5)
    orders = sum(issuance.ca.order_names.values())
    print(f"{kills + len(victims)} kills in {time.monotonic() - begin:.0f} s, {asked} names, {orders - asked} orders lost "
          f"(seed {SEED}; POSTERN_KILLS=200 for more)")
    # At most one for each POST of newOrder that a kill cut: a process drives one job.
    assert orders - asked <= kills + len(victims), f"seed {SEED}"
    assert issuance.ca.seen["finalize"] <= asked + kills + len(victims)
    assert issuance.db.value("SELECT count(*) FROM issuance_jobs WHERE state <> 'idle'") == "0"
    assert survivor.stop() == 0
