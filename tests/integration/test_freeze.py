# SPDX-License-Identifier: Apache-2.0
"""Idle instances are frozen: what a function left running in the background burns nothing between requests."""

import pathlib
import time

import pytest

from harness import HELLO, Faasd, cgroup_directories, is_alive, wait_until

BURNER = """
import os, threading
turns = 0


def burn():
    global turns
    while True:
        turns += 1


def handler(event, context):
    if not event.get("look"):
        threading.Thread(target=burn, daemon=True).start()
    return [os.getpid(), turns]
"""


def can_freeze():
    """cgroup.freeze of the unified hierarchy; the v1 freezer is never used."""
    mounts = [line.split() for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
    return any(kind == "cgroup2" for _, _, kind, *_ in mounts)


pytestmark = pytest.mark.skipif(not can_freeze(), reason="this host has no cgroup.freeze")


@pytest.fixture(scope="module")
def faasd():
    with Faasd({"idle_freeze": "100ms"}) as daemon:
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"


def cpu_ticks(pid):
    """Of a worker and what init started beside it."""
    total = 0
    for p in [pid, *map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]:
        fields = pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total


def is_frozen(faasd, name):
    return [i for i in faasd.instances(name) if i["frozen"]]


@pytest.mark.parametrize("template", ["on", "off"])
def test_a_thread_left_behind_burns_nothing(faasd, tmp_path, template):
    name = f"burner-{template}"
    (tmp_path / "app.py").write_text(BURNER)
    faasd.deploy(name, tmp_path, "--runtime", "python", "--template", template, "--max-concurrency", "1")
    assert faasd.invoke(name, b"{}").status == 200
    frozen = wait_until(lambda: is_frozen(faasd, name), "it is frozen")[0]
    # Takes effect a moment later; then not a tick passes, where a free thread burns a hundred a second.
    wait_until(lambda: (lambda before: (time.sleep(0.3), cpu_ticks(frozen["pid"]) == before)[1])(cpu_ticks(frozen["pid"])), "it stands still")
    before = cpu_ticks(frozen["pid"])
    time.sleep(0.5)
    assert cpu_ticks(frozen["pid"]) == before
    # The same process answers the next request, and its thread runs on.
    first = faasd.invoke(name, b'{"look": 1}').json()
    second = faasd.invoke(name, b'{"look": 1}').json()
    assert first[0] == second[0] and second[1] > 0
    wait_until(lambda: is_frozen(faasd, name), "and it is frozen again")


def test_a_native_worker_is_frozen_thawed_and_answers(faasd):
    faasd.deploy("cold", HELLO, "--runtime", "native")
    for _ in range(5):
        reply = faasd.invoke("cold", b'{"name": "x"}')
        assert reply.status == 200 and reply.headers["X-Faasd-Start"] == "warm"
        wait_until(lambda: is_frozen(faasd, "cold"), "it is frozen")
    assert len(faasd.instances("cold")) == 1, "always the same"


def test_a_program_s_sandbox_is_frozen_too(faasd):
    faasd.deploy_script("script", "#!/bin/sh\ncat\n")
    for _ in range(3):
        assert faasd.invoke("script", b"hello").body == b"hello"
        wait_until(lambda: is_frozen(faasd, "script"), "it is frozen")


def test_frozen_instances_die_as_others_do(faasd):
    faasd.deploy("dying", HELLO, "--runtime", "native", "--keep-warm", "400ms")
    assert faasd.invoke("dying", b"{}").status == 200
    pid = wait_until(lambda: is_frozen(faasd, "dying"), "it is frozen")[0]["pid"]
    wait_until(lambda: not faasd.instances("dying"), "scale to zero")
    assert not is_alive(pid)
    wait_until(lambda: not cgroup_directories("dying"), "its cgroups are gone")
    faasd.deploy("removed", HELLO, "--runtime", "native")
    pid = wait_until(lambda: is_frozen(faasd, "removed"), "it is frozen")[0]["pid"]
    faasd.cli("rm", "removed")
    wait_until(lambda: not is_alive(pid), "it is dead")


def test_a_template_is_not_frozen_and_forks_at_once(faasd):
    faasd.deploy("forking", HELLO, "--runtime", "native", "--isolation", "fork", "--max-concurrency", "2")
    for _ in range(3):
        assert faasd.invoke("forking", b"{}").status == 200
        wait_until(lambda: {i["state"] for i in faasd.instances("forking")} == {"template", "idle"}, "the child is gone, the next one is ready")
        time.sleep(0.3)  # three times idle_freeze: nothing here may be frozen, however long one waits
        states = {(i["state"], i["frozen"]) for i in faasd.instances("forking")}
        assert states == {("template", False), ("idle", False)}, states


def test_a_daemon_stops_with_frozen_instances():
    with Faasd({"idle_freeze": "50ms"}) as daemon:
        daemon.deploy("last", HELLO, "--runtime", "native")
        pid = wait_until(lambda: is_frozen(daemon, "last"), "it is frozen")[0]["pid"]
    assert not is_alive(pid)


def test_zero_switches_it_off():
    with Faasd({"idle_freeze": "0s"}) as daemon:
        daemon.deploy("awake", HELLO, "--runtime", "native")
        assert daemon.invoke("awake", b"{}").status == 200
        time.sleep(0.3)
        assert not is_frozen(daemon, "awake")
