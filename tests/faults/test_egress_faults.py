# SPDX-License-Identifier: Apache-2.0
"""Calls of what lets functions out failed in turn: of the network process, the resolver, and of the supervisor for them. The call fails and says so or leads out as ever,
and the next ones lead out: what died is started again."""

import pytest

import faults
from faults import NETWORK, RESOLVER, ROLES, SUPERVISOR
from harness import wait_until, within
from network import NAME_SERVER, PUBLIC, Internet, enter
from scenes import BEFORE, CONFIG, KEEP, SCENES, TIMEOUT, Dropped, Told, ask
from test_faults import ERRORS, PARTS, Run, choose

NAME = "one.example"
PROGRAM = f"""#!/bin/bash
exec 3<>/dev/tcp/{NAME}/80 && head -n 1 <&3
"""


class Daemon(faults.Daemon):
    """In a network of its own, where the test reaches it by its socket alone."""

    def request(self, method, path, socket_path=None, **options):
        return super().request(method, path, socket_path=socket_path or self.invoke_path, **options)


def lead_out(daemon):
    return ask(lambda: daemon.invoke("out", b"", timeout=TIMEOUT)).body.decode()


def leads_out(daemon):
    try:
        return lead_out(daemon).startswith(PUBLIC)
    except (Told, Dropped, OSError):
        return False


class EgressRun(Run):
    def look_after(self, gateway, lines, began):
        problems = super().look_after(gateway, lines, began)
        if self.daemon.process.poll() is not None:
            return problems
        try:
            wait_until(lambda: leads_out(self.daemon), "the next call leads out", within(10))
        except AssertionError as e:
            problems.append(str(e))
        more = self.daemon.rest(self.base)
        return problems + ([f"left over: {more}"] if more else [])


@pytest.fixture(scope="module")
def net():
    with Internet() as internet:
        internet.peer.ask(names={NAME: {"a": [PUBLIC], "ttl": 0}})
        yield internet


@pytest.mark.row("X1", "X2")
@pytest.mark.parametrize("role", [NETWORK, RESOLVER, SUPERVISOR], ids=ROLES.get)
def test_any_call_for_a_way_out_may_fail(net, role, monkeypatch, record_property):
    monkeypatch.setitem(SCENES, "egress", lead_out)
    monkeypatch.setitem(BEFORE, "egress", lambda daemon: None)
    config = {**CONFIG, "egress": {"dns": [NAME_SERVER]}, "grants": {"network_egress": True}}
    met = calls = 0
    with Daemon(config, popen={"preexec_fn": enter(net.host)}) as daemon:
        daemon.deploy_script("out", PROGRAM, "--network", "egress", *KEEP)
        assert leads_out(daemon), daemon.invoke("out", b"").body
        run = EgressRun(daemon, "egress")
        for error in ERRORS:
            sites = run.count(role, error)
            calls += len(sites)
            for number in choose(sites, error):
                met += run.fail(role, number, error)
    print(f"egress, {ROLES[role]}: {calls} calls, {met} failed in turn, {sum(run.outcomes.values()) - met} were not met again: {dict(run.outcomes)}")
    record_property("failed", met)
    assert not run.found, "\n".join(run.found)
    assert met or PARTS > 1, "nothing failed: the scene made no calls"
