# SPDX-License-Identifier: Apache-2.0
"""The short form of scripts/kill-storm, with another seed each time: the output names it. `make kill-storm` is the long one."""

import subprocess
import sys

import pytest

from harness import REPO, within

KILLS = 30


@pytest.mark.row("L3", "L4", "S1")
def test_processes_killed_at_random_moments_leave_nothing_and_lose_nothing_acknowledged():
    done = subprocess.run([sys.executable, REPO / "scripts/kill-storm", "--kills", str(KILLS)], capture_output=True, text=True, timeout=within(180))
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "all as it should be" in done.stdout
