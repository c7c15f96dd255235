# SPDX-License-Identifier: Apache-2.0
"""A host without room for one more sandbox: whoever waits for it is told to come back, and every place is there again."""

import threading

import pytest

from faults import FAIL, SUPERVISOR, Daemon
from harness import wait_until
from scenes import CONFIG, KEEP, native, set_up

# call, which of its errors in calls.h, what the client is told
SHORTAGES = [("clone3", 0, "clone a sandbox: EAGAIN"), ("clone3", 1, "clone a sandbox: ENOMEM"), ("clone3", 2, "clone a sandbox: ENOSPC"),
             ("mkdirat", 0, "ENOSPC"), ("mkdirat", 1, "EBUSY"), ("pipe2", 0, "EMFILE"), ("socketpair", 0, "EMFILE")]
PLACES = 4


@pytest.fixture(scope="module")
def daemon():
    with Daemon(CONFIG) as daemon:
        set_up(daemon)
        daemon.deploy_script("slow", "#!/bin/sh\nread line\nsleep 0.3\necho done\n", "--max-concurrency", PLACES, *KEEP)
        yield daemon


def all_at_once(daemon):
    """As many calls at once as there are places."""
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(daemon.invoke("slow", b"x\n").status)) for _ in range(PLACES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def anew(daemon):
    """A call for which a sandbox has to be started."""
    wait_until(lambda: not daemon.sandbox_pids(), "nothing is warm")
    return daemon.invoke("hello", b"{}")


@pytest.mark.row("X4")
@pytest.mark.parametrize("call,error,said", SHORTAGES, ids=lambda v: str(v).replace(" ", "-"))
def test_is_told_with_503_and_when_to_come_back(daemon, call, error, said):
    control, gateway = daemon.faults, daemon.gateway_pid()
    wait_until(lambda: not daemon.sandbox_pids(), "nothing is warm")
    control.arm(FAIL, roles=SUPERVISOR, only=call, number=1, length=1000, error=error)
    try:
        # More than one: groups are made ahead of the first ones.
        replies = [anew(daemon) for _ in range(2 * PLACES)]
    finally:
        control.disarm()
    refused = [reply for reply in replies if reply.status != 200]
    assert control.fired and refused
    for reply in refused:
        assert reply.status == 503 and reply.error == "NoCapacity" and reply.headers["Retry-After"], (reply, reply.body)
        assert reply.json()["errorMessage"].startswith("the host had no room for a sandbox: ") and said in reply.json()["errorMessage"], reply.body
    wait_until(lambda: daemon.invoke("hello", b"{}").status == 200, "the next one is served")
    assert all_at_once(daemon) == [200] * PLACES
    wait_until(lambda: not daemon.sandbox_pids(), "all are gone again")
    assert daemon.gateway_pid() == gateway
    assert native(daemon)
