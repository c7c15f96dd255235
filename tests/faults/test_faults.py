# SPDX-License-Identifier: Apache-2.0
"""Every allocation and every system call of a role failed once, in turn, as SQLite's own tests do it: N = 1, 2, ... of a scene, each followed by a good request.

After each: nothing died that may not, whoever asked has an answer that says what failed or the thing itself, the next request is served, and nothing is left over.
`make check-faults` takes a sample of the places, `make faults` all calls with all the errors that the manual pages name (calls.h). FAULTS=places lies between: all errors
of each place that differs. FAULTS_PART=2/5 takes the second of five parts of either.
"""

import collections
import os
import re
import time

import pytest

from faults import CHILD, COUNT, FAIL, FORKED, GATEWAY, ROLES, SUPERVISOR, THREAD, Daemon, errors_since
from harness import wait_until, within
from scenes import BEFORE, CONFIG, SCENES, Dropped, Told, native, set_up

FORM = os.environ.get("FAULTS", "sample")
assert FORM in ("sample", "places", "whole"), f"FAULTS={FORM}"
ERRORS = range(2) if FORM == "sample" else range(6)
SAMPLE = int(os.environ.get("FAULTS_SAMPLE", "8"))  # places of a role in a scene, for each error
PART, PARTS = map(int, os.environ.get("FAULTS_PART", "1/1").split("/"))

# Where a role ends by design when its turn fails, and says why: the gateway is replaced, its callers see their connection closed.
ENDS_IN_ORDER = [
    (GATEWAY, re.compile(r"there is no memory for the event loop|the event loop can't go on|the supervisor is gone|does not take messages|too many messages wait")),
    (SUPERVISOR, re.compile(r"it closed the message socket")),  # as EPIPE says
]


def choose(sites, error):
    """Numbers of the calls to fail, of those that have this error: all of them, of each place the first, or of places evenly spread over those that differ."""
    numbered = [site for site in sites if site[1] > error]
    if FORM == "whole":
        return list(range(PART, len(numbered) + 1, PARTS))
    first = {}
    for number, (_, _, place) in enumerate(numbered, 1):
        first.setdefault(place, number)
    places = sorted(first.values())
    if FORM == "places":
        return places[PART - 1::PARTS]
    step = max(1, len(places) // SAMPLE)
    return places[error % step::step][:SAMPLE]


class Run:
    """A daemon at rest, what it holds there, and what was found."""

    def __init__(self, daemon, scene):
        self.daemon, self.scene = daemon, SCENES[scene]
        self.before = BEFORE.get(scene, lambda daemon: None)
        self.found = []
        self.outcomes = collections.Counter()
        set_up(daemon)
        for _ in range(2):
            self.before(daemon)
            self.good = self.scene(daemon)
        self.measure()

    def measure(self):
        """The least of each that it holds."""
        held = []

        def is_settled():
            held.append(self.daemon.look())
            return len(held) >= 30

        wait_until(is_settled, "it rests")
        self.base = {key: min(look[key] for look in held) for key in held[0]}

    def prepare(self):
        """What it does behind that is not the scene's."""
        self.before(self.daemon)
        self.daemon.rest(self.base)

    def count(self, role, error):
        self.prepare()
        control = self.daemon.faults
        lines = len(self.daemon.log)
        control.arm(COUNT, roles=role, error=error)
        self.scene(self.daemon)
        self.daemon.rest(self.base)
        sites = control.sites()
        control.disarm()
        said = errors_since(self.daemon, lines)
        assert not said, f"nothing failed, and there are errors: {said}"
        return sites

    def fail(self, role, number, error):
        daemon, control = self.daemon, self.daemon.faults
        self.prepare()
        lines, gateway, began = len(daemon.log), daemon.gateway_pid(), time.monotonic()
        problems = []
        control.arm(FAIL, roles=role, number=number, error=error)
        try:
            outcome = self.scene(daemon)
            if outcome != self.good:
                problems.append(f"another result: {outcome!r} for {self.good!r}")
        except (Told, Dropped) as e:
            outcome = repr(e)
        except Exception as e:
            outcome = repr(e)
            # The scene waits for a line of the log: where writing that line failed it is lost, and nothing else.
            if not (control.fired and "log_line" in control.failed()):
                problems.append(outcome)
        daemon.rest(self.base, unless=lambda: control.fired)  # what is done behind the reply was counted too
        control.disarm()
        if not control.fired and errors_since(daemon, lines):
            problems.append("nothing failed, and there are errors")
        problems += self.look_after(gateway, lines, began)
        self.outcomes["as ever" if outcome == self.good else outcome.split(":")[0][:40]] += 1
        if problems:
            self.found.append(f"call {number} error {error}, {control.failed() if control.fired else 'which was not met'}: {outcome}: {'; '.join(problems)}\n"
                              + "\n".join(daemon.log[lines:]))
        if daemon.process.poll() is not None or problems:
            self.begin_again()
        return bool(control.fired)

    def walk(self, role, scene, record_property, take=choose):
        """Each of the role's calls in turn, or those that are taken of them."""
        met = calls = 0
        for error in ERRORS:
            sites = self.count(role, error)
            calls += len(sites)
            for number in take(sites, error):
                met += self.fail(role, number, error)
        print(f"{scene}, {ROLES[role]}: {calls} calls, {met} failed in turn, {sum(self.outcomes.values()) - met} were not met again: {dict(self.outcomes)}")
        record_property("failed", met)
        assert not self.found, "\n".join(self.found)
        assert met or PARTS > 1, "nothing failed: the scene made no calls"

    def look_after(self, gateway, lines, began):
        daemon = self.daemon
        if daemon.process.poll() is not None:
            return [f"the supervisor ended: {daemon.process.poll()}"]
        problems = []
        try:
            wait_until(lambda: is_served(daemon), "the next good request is served", within(8))
        except AssertionError as e:
            problems.append(str(e))
        more = daemon.rest(self.base)
        if more:
            problems.append(f"left over: {more}; gateway: {sorted(re.sub(r'[0-9]+', 'N', name) for name in daemon.gateway_descriptors())}")
        if daemon.gateway_pid() != gateway and not any(pattern.search(line) for line in daemon.log[lines:] for _, pattern in ENDS_IN_ORDER):
            problems.append("the gateway did not end in order")
        return problems

    def begin_again(self):
        if self.daemon.process.poll() is None:
            self.daemon.stop()
        self.daemon.start()
        native(self.daemon)
        self.measure()


def is_served(daemon):
    try:
        return native(daemon)
    except (Told, Dropped, OSError):
        return None


ROLES_OF = {"native": (SUPERVISOR, GATEWAY, CHILD), "fork": (SUPERVISOR, GATEWAY, CHILD), "program": (SUPERVISOR, GATEWAY, THREAD, CHILD), "kill": (SUPERVISOR, GATEWAY), "deploy": (SUPERVISOR, FORKED, GATEWAY, THREAD, CHILD),
            "remove": (GATEWAY, THREAD), "reload": (SUPERVISOR, FORKED, GATEWAY, THREAD), "settings": (GATEWAY, THREAD), "queue": (GATEWAY, THREAD), "secret": (GATEWAY, THREAD)}


@pytest.mark.row("X1", "X2")
@pytest.mark.parametrize("scene,role", [(scene, role) for scene, roles in ROLES_OF.items() for role in roles], ids=lambda v: ROLES.get(v, v))
def test_any_call_may_fail(scene, role, record_property):
    with Daemon(CONFIG) as daemon:
        Run(daemon, scene).walk(role, scene, record_property)
