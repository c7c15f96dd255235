# SPDX-License-Identifier: Apache-2.0
"""What is different where cgroup v2 is all there is: where faasd puts its groups, what they hold, and the parts' own tests on such a kernel."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests" / "integration"))
from harness import BUILD, DEADLINE, HELLO, Faasd, wait_until, within  # noqa: E402

TOP = pathlib.Path("/sys/fs/cgroup")
UNITS = sorted(path.name for path in (BUILD / "unit").iterdir())


def own_group(pid="self"):
    return TOP / pathlib.Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::/")


def read(group, name):
    return (group / name).read_text().strip()


def groups_below(group):
    return [path for path in group.iterdir() if path.is_dir()]


@pytest.fixture
def service():
    """An empty group, as a service manager makes for a service."""
    group = TOP / "system.slice" / "faasd.service"
    group.mkdir(parents=True)
    yield group
    group.rmdir()


def start_in(group, root=None):
    return Faasd(root=root, popen={"preexec_fn": lambda: (group / "cgroup.procs").write_text("0")})


@pytest.mark.parametrize("unit", UNITS)
def test_a_parts_own_tests_pass_here(unit):
    done = subprocess.run([BUILD / "unit" / unit], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_group_has_its_limits_and_dies_as_a_whole():
    with Faasd() as daemon:
        daemon.deploy("limited", HELLO, "--runtime", "native", "--memory", "64M", "--pids", "20", "--cpus", "0.5", "--min-warm", "1")
        wait_until(lambda: daemon.instances("limited"), "an instance")
        group = own_group(daemon.instances("limited")[0]["pid"])
        assert read(group, "memory.max") == str(64 << 20)
        assert read(group, "memory.swap.max") == "0"
        assert read(group, "memory.oom.group") == "1"
        assert int(read(group, "pids.max")) >= 20
        assert read(group, "cpu.max") == "50000 100000"
        assert read(group, "cgroup.type") == "domain"


def test_from_a_session_that_holds_others_it_goes_beside_it_and_leaves_the_session_as_it_was():
    session = own_group()
    for _ in range(2):  # what the first one left behind must not be in the way of the second
        with Faasd() as daemon:
            daemon.deploy("hello", HELLO, "--runtime", "native")
            assert daemon.invoke("hello", b"{}").status == 200
            tree = own_group(daemon.instances("hello")[0]["pid"]).parent
            assert tree.parent == session.parent
            assert own_group(daemon.pid) == session
            assert (read(session, "cgroup.type"), read(session, "cgroup.subtree_control")) == ("domain", "")
        assert not tree.exists()


def test_as_a_service_it_stays_in_its_own_group_and_leaves_it_empty(service):
    with start_in(service) as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        assert daemon.invoke("hello", b"{}").status == 200
        instance = own_group(daemon.instances("hello")[0]["pid"])
        assert service in instance.parents and service in own_group(daemon.pid).parents
        assert own_group(daemon.gateway_pid()) == own_group(daemon.pid)
        # As nice -5 stands to 0 (sched(7)), so the door to all functions together.
        assert (read(own_group(daemon.pid), "cpu.weight"), read(instance.parent, "cpu.weight")) == ("300", "100")
        assert read(service, "cgroup.procs") == ""
    assert not groups_below(service)
    assert read(service, "cgroup.subtree_control") == ""


def test_of_a_service_that_was_killed_only_empty_groups_are_left(service):
    """They are the service manager's to remove, as it does before it starts the service again."""
    with start_in(service) as daemon:
        daemon.deploy_script("stuck", "#!/bin/sh\ntrap '' TERM HUP\nsetsid sleep 600 &\nsleep 600\n", "--min-warm", "1")
        wait_until(lambda: daemon.instances("stuck"), "an instance")
        daemon.stop(signal.SIGKILL)
        wait_until(lambda: "populated 0" in read(service, "cgroup.events"), "every process is dead", deadline=within(1))
    for path, _, _ in os.walk(service, topdown=False):
        if path != str(service):
            os.rmdir(path)


def test_no_helper_of_the_host_gets_a_functions_memory(tmp_path):
    """core_pattern with a pipe, as systemd-coredump and apport set it: RLIMIT_CORE 0 does not keep the kernel from starting that."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern")
    before, seen = pattern.read_text(), tmp_path / "seen"
    seen.mkdir()
    helper = tmp_path / "helper"
    helper.write_text(f"#!/bin/sh\ncat >/dev/null\ntouch {seen}/$1\n")
    helper.chmod(0o755)
    pattern.write_text(f"|{helper} %P-%e")
    try:
        for limit in ("0", "unlimited"):
            subprocess.run(["sh", "-c", f"ulimit -c {limit}; kill -SEGV $$"])
        wait_until(lambda: len(list(seen.iterdir())) == 2, "crashes outside are told to the helper, the limit of 0 says nothing to it")
        with Faasd() as daemon:
            for isolation in ("reuse", "sandbox"):
                daemon.deploy_script(f"crash-{isolation}", "#!/bin/sh\nkill -SEGV $$\n", "--isolation", isolation)
                reply = daemon.invoke(f"crash-{isolation}")
                assert reply.status in (500, 502) and "SIGSEGV" in reply.json()["errorMessage"], reply
        subprocess.run(["sh", "-c", "kill -SEGV $$"])
        wait_until(lambda: len(list(seen.iterdir())) == 3, "a crash outside, after the functions'")
        assert len(list(seen.iterdir())) == 3
    finally:
        pattern.write_text(before)
