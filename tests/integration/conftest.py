# SPDX-License-Identifier: Apache-2.0
import pytest

from harness import Faasd


@pytest.fixture(scope="module")
def faasd():
    """One daemon with default settings for a module's tests; a test that harms it is itself the finding."""
    with Faasd() as daemon:
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"
