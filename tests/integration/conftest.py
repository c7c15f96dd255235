# SPDX-License-Identifier: Apache-2.0
import pytest

from harness import Faasd

LOG_LINES = 30


@pytest.fixture(scope="module")
def faasd():
    """One daemon with default settings for a module's tests; a test that harms it is itself the finding."""
    with Faasd() as daemon:
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A daemon that outlives the test tells nothing by itself: what it logged last goes with the failure."""
    report = (yield).get_result()
    if report.failed:
        for daemon in {id(value): value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Faasd)}.values():
            report.sections.append(("faasd's log", "\n".join(daemon.log[-LOG_LINES:])))
