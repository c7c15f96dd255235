# SPDX-License-Identifier: Apache-2.0
"""The same of functions with network egress: each call of a role fails while an instance gets its way out, and while the way out itself is made anew.

After each there is also no interface and no network namespace more than before, and the next instance gets out.
"""

import collections
import pathlib
import re
import subprocess
import time

import pytest

import faults
from faults import CHILD, FAIL, FORKED, GATEWAY, INTERRUPT, NETWORK, RESOLVER, ROLES, SHORT, SUPERVISOR, descriptors
from harness import wait_until, within
from network import NAME_SERVER, PUBLIC, enter
from scenes import CONFIG, KEEP, TIMEOUT, Dropped, Told, ask, reload, set_up
from test_egress import child_named, net  # noqa: F401
from test_faults import FORM, Run, choose

ASKS = f"#!/bin/bash\nexec 3<>/dev/tcp/{PUBLIC}/80 && head -n1 <&3\n"
ASKS_BY_NAME = "#!/bin/bash\nexec 3<>/dev/tcp/one.example/80 && head -n1 <&3\n"
TURNS = 40
SPARES_MAX = 2  # network/internal.h
NETWORK_CONFIG = {**CONFIG, "egress": {"dns": [NAME_SERVER]}, "grants": {"network_egress": True}}


class Daemon(faults.Daemon):
    """In the small internet of tests/integration/network.py."""

    def __init__(self, net):  # noqa: F811
        super().__init__(NETWORK_CONFIG, popen={"preexec_fn": enter(net.host)})
        self.net = net

    def __exit__(self, kind, value, trace):
        super().__exit__(kind, value, trace)
        wait_until(lambda: not self.uplinks(), "the end of its uplink")

    def request(self, *args, **options):
        options.setdefault("socket_path", self.invoke_path)
        return super().request(*args, **options)

    def uplinks(self):
        return [name for name in interfaces(self.net.host_peer.process.pid) if re.fullmatch(r"faasd\d+", name)]

    def look(self):
        held = super().look()
        pid = child_named(self, b"faasd-network")
        if held is None or pid is None or not child_named(self, b"faasd-resolver"):
            return None
        names = descriptors(pid)
        namespaces = len([name for name in names if name.startswith("net:")]) - 1  # the router's own
        held["ways out"] = len([name for name in interfaces(pid) if re.fullmatch(r"f\d+", name)])
        held["networks beyond those made ahead"] = max(0, namespaces - SPARES_MAX)
        held["network's descriptors"] = len(names) - 2 * namespaces
        held["uplinks"] = len(self.uplinks())
        return held


def interfaces(pid):
    """Of the network namespace that the process is in."""
    return [line.split(":")[0].strip() for line in pathlib.Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]]


def set_up_network(daemon):
    set_up(daemon)
    daemon.deploy_script("asks", ASKS, "--network", "egress", "--timeout", "5s", *KEEP)
    daemon.deploy_script("names", ASKS_BY_NAME, "--network", "egress", "--allow-host", "one.example:80", "--timeout", "5s", *KEEP)


def stop(daemon):
    """Whatever a fault left of it."""
    try:
        daemon.stop()
    except subprocess.TimeoutExpired:
        daemon.process.kill()
        daemon.process.wait()


# ---- scenes ----

def out(daemon):
    """A new instance gets its way out, and uses it."""
    return ask(lambda: daemon.invoke("asks", b"", timeout=TIMEOUT)).body.decode()


def name(daemon):
    """One that gets no further than to what a name leads to."""
    return ask(lambda: daemon.invoke("names", b"", timeout=TIMEOUT)).body.decode()


def before(daemon):
    """The next one that is asked is a new one."""
    wait_until(lambda: not daemon.instances("asks") and not daemon.instances("names"), "nothing is warm")


def before_anew(daemon):
    before(daemon)
    for uplink in daemon.uplinks():
        daemon.net.at(daemon.net.host, "link", "del", uplink)


def anew(daemon):
    """The uplink is made again, and with it both of the processes."""
    reload(daemon)
    return out(daemon)


SCENES = {"out": out, "name": name, "anew": anew}
BEFORE = {"out": before, "name": before, "anew": before_anew}
ROLES_OF = {"out": (SUPERVISOR, GATEWAY, CHILD, NETWORK, RESOLVER), "name": (NETWORK, RESOLVER), "anew": (SUPERVISOR, FORKED, NETWORK, RESOLVER)}


def take(sites, error):
    """As choose(); of a sample a quarter, as each fault of a start takes its second until there is another process."""
    numbers = choose(sites, error)
    return numbers[error::4] if FORM == "sample" else numbers


class NetworkRun(Run):
    def __init__(self, daemon, scene):
        self.daemon, self.scene = daemon, SCENES[scene]
        self.before = BEFORE[scene]
        self.found, self.outcomes = [], collections.Counter()
        for _ in range(2):
            self.before(daemon)
            self.good = self.scene(daemon)
        self.measure()

    def look_after(self, gateway, lines, began):
        problems = []
        try:
            wait_until(self.gets_out, "the next instance gets out", within(8))
        except AssertionError as e:
            problems.append(str(e))
        return problems + super().look_after(gateway, lines, began)

    def gets_out(self):
        try:
            return self.daemon.process.poll() is not None or self.scene(self.daemon) == self.good
        except (Told, Dropped, OSError):
            return False

    def begin_again(self):
        if self.daemon.process.poll() is None:
            stop(self.daemon)
        self.daemon.start()
        self.scene(self.daemon)
        self.measure()


@pytest.fixture(scope="module")
def daemon(net):  # noqa: F811
    with Daemon(net) as daemon:
        set_up_network(daemon)
        yield daemon


@pytest.mark.row("X1", "X2")
@pytest.mark.parametrize("scene,role", [(scene, role) for scene, roles in ROLES_OF.items() for role in roles], ids=lambda v: ROLES.get(v, v))
def test_any_call_for_a_way_out_may_fail(daemon, scene, role, record_property):
    NetworkRun(daemon, scene).walk(role, scene, record_property, take)


@pytest.mark.row("X3")
@pytest.mark.parametrize("mode", [INTERRUPT, SHORT], ids=["interrupted", "short"])
@pytest.mark.parametrize("scene", SCENES)
def test_a_way_out_comes_out_as_ever(daemon, scene, mode):
    BEFORE[scene](daemon)
    good = SCENES[scene](daemon)
    BEFORE[scene](daemon)
    at, began = len(daemon.log), time.monotonic()
    network = child_named(daemon, b"faasd-network")
    daemon.faults.arm(mode)
    try:
        assert SCENES[scene](daemon) == good
    finally:
        daemon.faults.disarm()
        print(*daemon.log[at:], sep="\n")  # shown when it fails
    assert daemon.faults.fired, "nothing was"
    assert scene == "anew" or time.monotonic() - began < within(1.5), "by asking again for what was lost"
    assert not [line for line in daemon.log[at:] if " error: " in line], "it came out well by luck"
    assert scene == "anew" or child_named(daemon, b"faasd-network") == network


# The supervisor waited for ever for a process that it had failed to kill.
@pytest.mark.row("X2")
def test_a_process_of_the_network_that_can_not_be_killed_at_once_is_killed(daemon):
    for number in range(1, TURNS + 1):
        before_anew(daemon)
        daemon.faults.arm(FAIL, roles=SUPERVISOR, only="pidfd_send_signal", number=number)
        try:
            assert anew(daemon), daemon.faults.failed()
        finally:
            daemon.faults.disarm()
        if not daemon.faults.fired:
            break
    assert number > 2, "nobody is killed"


LACKS = [(SUPERVISOR, "recvmsg", 0), (SUPERVISOR, "fstatfs", 0), (SUPERVISOR, "ioctl", 1), (SUPERVISOR, "fstat", 1), (NETWORK, "recvmsg", 0), (NETWORK, "poll", 0),
         (RESOLVER, "recvmsg", 0), (RESOLVER, "poll", 0)]  # the errors: calls.h


# They ended, or were killed for what they had not done: each time later there was another one, and names had to be asked for again.
@pytest.mark.row("X2")
@pytest.mark.parametrize("role,call,error", LACKS, ids=[f"{ROLES[role]}-{call}" for role, call, _ in LACKS])
def test_what_the_host_lacks_for_a_moment_ends_no_process_of_the_network(daemon, role, call, error):
    before_anew(daemon)
    anew(daemon)
    names = (b"faasd-network", b"faasd-resolver")
    there = [child_named(daemon, name) for name in names]
    for number in range(1, TURNS + 1):
        before(daemon)
        daemon.faults.arm(FAIL, roles=role, only=call, number=number, error=error)
        try:
            assert out(daemon)
        except Told as e:
            assert "503 NoCapacity" in str(e), (number, e, daemon.faults.failed())
        finally:
            daemon.faults.disarm()
        if not daemon.faults.fired:
            break
        assert [child_named(daemon, name) for name in names] == there, (number, daemon.faults.failed(), daemon.log[-5:])
    assert number > 1, f"{call} is not called"
