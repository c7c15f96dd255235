# SPDX-License-Identifier: Apache-2.0
"""What reads, writes and flushes the databases fails, each in turn with each error: who asks is told, what was acknowledged is there after a restart, and nothing else is."""

import json

import pytest

from faults import FAIL, GATEWAY, THREAD, Daemon
from harness import wait_until, within
from scenes import CONFIG, Told, ask

# What it calls while it serves, and how many errors of calls.h each has; the rest is of a start (below, and test_start.py).
CALLS = {"pwrite64": 3, "fdatasync": 2}
TURNS = 12  # of a call in the operations below at most: the loop ends at the first that is not met


def operations(daemon, kept, number):
    """What each did, when it said it had."""
    name = f"n{number}"
    done = {
        "calls": lambda: ask(lambda: daemon.request("POST", "/async-function/echo", b"{}")).json()["id"],
        "tokens": lambda: ask(lambda: daemon.control("POST", "/v1/tokens", json.dumps({"scopes": ["read"]}))).json()["id"],
        "changes": lambda: ask(lambda: daemon.control("PATCH", "/v1/functions/echo", json.dumps({"description": name}))) and name,
    }
    for what, run in done.items():
        try:
            kept[what].append(run())
        except Told as e:
            assert any(word in str(e) for word in ("500 ", "503 ", "507 ")), e
            kept["told"].append(str(e))


def check(daemon, kept):
    for call in kept["calls"]:
        wait_until(lambda: ask(lambda: daemon.control("GET", f"/v1/calls/{call}")).json()["status"] == "succeeded", f"{call} ran")
    assert set(kept["tokens"]) <= {t["id"] for t in daemon.control("GET", "/v1/tokens").json()["tokens"]}
    assert daemon.describe("echo")["settings"]["description"] == kept["changes"][-1]


@pytest.mark.row("S5", "X2")
@pytest.mark.parametrize("call", CALLS)
def test_fails_and_nothing_is_acknowledged_that_is_not_there(call):
    kept = {"calls": [], "tokens": [], "changes": [], "told": []}
    met = number = 0
    with Daemon(CONFIG) as daemon:
        daemon.deploy_script("echo", "#!/bin/sh\ncat\n", "--keep-warm", "1ms")
        operations(daemon, kept, number)
        gateway = daemon.gateway_pid()
        for error in range(CALLS[call]):
            for turn in range(1, TURNS + 1):
                number += 1
                daemon.faults.arm(FAIL, roles=THREAD | GATEWAY, only=call, number=turn, error=error)
                operations(daemon, kept, number)
                daemon.faults.disarm()
                if not daemon.faults.fired:
                    break
                met += 1
                told = len(kept["told"])
                wait_until(lambda: daemon.invoke("echo", b"x").status == 200, "calls are served", within(8))
                number += 1
                operations(daemon, kept, number)
                assert len(kept["told"]) == told, kept["told"][-1]
        assert daemon.gateway_pid() == gateway, daemon.log_text()
        check(daemon, kept)
        assert daemon.stop() == 0
        daemon.start()
        check(daemon, kept)
    print(f"{call}: {met} failed in turn, {len(kept['told'])} were told")
    assert met, "nothing failed"


@pytest.mark.row("S5")
def test_that_can_not_be_read_when_it_starts_are_told_and_not_given_up():
    ended = 0
    with Daemon(CONFIG) as daemon:
        daemon.deploy_script("echo", "#!/bin/sh\ncat\n")
        daemon.stop()
        for turn in range(1, TURNS + 1):
            daemon.faults.arm(FAIL, roles=GATEWAY, only="pread64", number=turn)
            daemon.start(expect_ready=False)
            assert daemon.ready.wait(within(20)), daemon.log_text()
            daemon.faults.disarm()
            if daemon.ready_line:
                assert daemon.stop() == 0
            else:
                assert daemon.process.wait(within(20)) == 1
                assert any("[gateway] error: " in line for line in daemon.log), daemon.log_text()
                ended += 1
            if not daemon.faults.fired:
                break
        daemon.start()
        assert daemon.invoke("echo", b"x").body == b"x", "the function is there still"
    assert ended
