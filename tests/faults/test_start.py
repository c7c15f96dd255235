# SPDX-License-Identifier: Apache-2.0
"""Each call of a start failed once: it serves, or it ends with status 1 and says why; nothing is left of it, and the next start is as if it had not been."""

import collections
import pathlib
import subprocess
import time

import pytest

from faults import CHILD, COUNT, FAIL, FORKED, GATEWAY, ROLES, SUPERVISOR, THREAD, Daemon, errors_since, limited_by, mapping
from harness import HELLO, wait_until, within
from scenes import CONFIG, Dropped, Told, native, set_up
from test_faults import ERRORS, PARTS, choose

# It accepts requests or is gone: within the gateway's own limit for its greeting.
DEADLINE = within(20)


def start(daemon, **fault):
    """Starts it with the fault armed; true when it came up."""
    daemon.faults.arm(FAIL, **fault)
    daemon.start(expect_ready=False)
    assert daemon.ready.wait(DEADLINE), f"neither ready nor gone; {fault} {daemon.faults.failed()}; log: {daemon.log_text()}"
    return bool(daemon.ready_line)


def count(daemon, role, error):
    daemon.faults.arm(COUNT, roles=role, error=error)
    daemon.start()
    time.sleep(within(0.1))  # what it makes ahead when nobody asks is a part of the start too; more or less of it fails nothing
    sites = daemon.faults.sites()
    daemon.faults.disarm()
    daemon.stop()
    return sites


def left_over(daemon):
    """Of a daemon that ended."""
    def found():
        left = {"processes": mapping(daemon.faults.path), "cgroups": [d for d in daemon.group_paths if pathlib.Path(d).exists()],
                "mounts": pathlib.Path("/proc/self/mountinfo").read_text().count(str(daemon.root)), "staging": list((daemon.root / "state/staging").glob("*"))}
        return {key: value for key, value in left.items() if value}

    try:
        wait_until(lambda: not found(), "nothing is left", within(5))
    except AssertionError:
        return found()
    return None


def fail(daemon, outcomes, **fault):
    problems = []
    came_up = start(daemon, **fault)
    if came_up:
        try:
            wait_until(lambda: is_served(daemon), "a request is served", within(8))
        except AssertionError as e:
            problems.append(str(e))
        daemon.faults.disarm()
        try:
            problems += look_at_limits(daemon)
        except (AssertionError, OSError) as e:
            problems.append(f"nothing runs: {e!r}")
        status = stop(daemon)
    else:
        status = daemon.process.wait(DEADLINE)
        daemon.faults.disarm()
    what = daemon.faults.failed() if daemon.faults.fired else "which was not met"
    outcomes["up" if came_up else "ended"] += 1
    if not daemon.faults.fired and errors_since(daemon):
        problems.append("nothing failed, and there are errors")
    # 2: --listen is looked at while options are read, and without memory too that ends as any slip there
    if status not in ((0,) if came_up else (1, 2)):
        problems.append(f"exit {status}")
    if not came_up and not any("error:" in line or line.startswith("faasd") for line in daemon.log):
        problems.append("it said nothing")
    left = left_over(daemon)
    if left:
        problems.append(f"left over: {left}")
    if problems:
        return f"call {fault['number']} error {fault['error']}, {what}: {'; '.join(problems)}\n{daemon.log_text()}"
    return None


def stop(daemon):
    """Its exit status, or that it has none."""
    try:
        return daemon.stop()
    except subprocess.TimeoutExpired:
        daemon.process.kill()
        daemon.process.wait()
        return "only by SIGKILL"


def look_at_limits(daemon):
    """A sandbox of a daemon that came up is held by all that holds one after a good start."""
    assert daemon.invoke("held", b"{}").status == 200
    pid = daemon.instances("held")[0]["pid"]  # others are on their way into their groups still
    lost = daemon.limits - limited_by(pid, daemon.sandbox_group)
    told = any("degraded: no " in line for line in daemon.log)  # the unified hierarchy of a host with v1's, which limits nothing
    return [f"sandboxes are without {lost}"] if lost and not (told and lost == {""}) else []


def is_served(daemon):
    try:
        return native(daemon)
    except (Told, Dropped, OSError):
        return None


@pytest.mark.row("X1", "X2")
@pytest.mark.parametrize("role", [SUPERVISOR, FORKED, GATEWAY, THREAD, CHILD], ids=ROLES.get)
def test_any_call_of_a_start_may_fail(role):
    found, outcomes, calls = [], collections.Counter(), 0
    with Daemon(CONFIG) as daemon:
        set_up(daemon)
        daemon.deploy("held", HELLO, "--runtime", "native")
        daemon.stop()
        for error in ERRORS:
            sites = count(daemon, role, error)
            calls += len(sites)
            for number in choose(sites, error):
                problem = fail(daemon, outcomes, roles=role, number=number, error=error)
                if problem:
                    found.append(problem)
        daemon.start()  # after all that
        assert native(daemon)
        daemon.stop()
    print(f"start, {ROLES[role]}: {calls} calls, {sum(outcomes.values())} failed in turn: {dict(outcomes)}")
    assert not found, "\n".join(found)
    assert outcomes or PARTS > 1
