# SPDX-License-Identifier: Apache-2.0
"""Pids come again soon where there are few: nobody is signalled who only has the number of somebody who is gone."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from harness import within

SCENE = pathlib.Path(__file__).with_name("pid_reuse.py")
PID_MAX = pathlib.Path("/proc/sys/kernel/pid_max")


@pytest.mark.row("X5")
@pytest.mark.skipif(tuple(map(int, os.uname().release.split(".")[:2])) < (6, 14), reason="before Linux 6.14 pid_max is the whole host's")
def test_no_stranger_is_signalled_however_soon_pids_come_again():
    before = PID_MAX.read_text()
    done = subprocess.run(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, SCENE], capture_output=True, text=True, timeout=within(120))
    assert PID_MAX.read_text() == before
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    print(seen)
    assert list(seen["ends"]) == ["42"], "each stranger ended when it was told to, and not before"
    assert seen["wraps"] == 6 and seen["ends"]["42"] > 200, "pids have come again"
    assert list(seen["calls"]) == ["right"] and seen["calls"]["right"] > 20, seen["calls"]
