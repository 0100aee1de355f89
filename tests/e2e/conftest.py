"""Fixtures of the scenarios. A failing scenario shows the end of every log; see tests/support/README.md."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from lab.lab import Lab, Session  # noqa: E402


@pytest.fixture(scope="session")
def session():
    shared = Session()
    yield shared
    shared.close()


@pytest.fixture
def lab(session, request):
    """A laboratory of this test's own. Its end checks that no daemon crashed and that each obeyed SIGTERM."""
    laboratory = Lab(session)
    request.node.laboratory = laboratory
    yield laboratory
    complaints = laboratory.close()
    logs = "".join(f"\n--- {name}\n{text}" for name, text in laboratory.logs(3000)) if complaints else ""
    laboratory.remove()
    if complaints:
        pytest.fail("; ".join(complaints) + logs, pytrace=False)


@pytest.fixture(scope="module")
def shared_lab(session, request):
    """A laboratory of all tests of a file, for those that leave it as they found it."""
    laboratory = request.module.laboratory = Lab(session)
    yield laboratory
    complaints = laboratory.close()
    laboratory.remove()
    if complaints:
        pytest.fail("; ".join(complaints), pytrace=False)


@pytest.fixture
def platform(lab):
    """A running platform with two edges and pre-issue=off. For other settings: `lab.platform(...)`."""
    return lab.platform()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    laboratory = getattr(item, "laboratory", None) or getattr(item.module, "laboratory", None)
    if report.failed and call.when in ("setup", "call") and laboratory:
        report.sections += [(f"log of {name}", text) for name, text in laboratory.logs()]


def pytest_terminal_summary(terminalreporter):
    """What the scenarios measured and printed: figures, not verdicts."""
    lines = [(report.location[0].rsplit("/", 1)[-1], line) for report in terminalreporter.getreports("passed")
             if report.when == "call" for line in report.capstdout.splitlines()]
    if lines:
        terminalreporter.section("figures")
    for scenario, line in lines:
        terminalreporter.write_line(f"{scenario[:2]}: {line}")
