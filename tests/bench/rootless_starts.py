# SPDX-License-Identifier: Apache-2.0
"""Cold starts of an ordinary user's daemon beside those of root's, by turns. On a hybrid host he has no control groups, and root's daemon makes its own: the figure then says both."""

import time

import cold
from harness import HELLO, Faasd, wait_until
from rootless import IS_V2, User

NAME = "cold"


def fire_cold(daemon, requester, idle_s):
    def is_quiet():
        return not daemon.sandbox_pids() and not daemon.instances(NAME)

    wait_until(lambda: is_quiet() and (time.sleep(idle_s), is_quiet())[1], "every sandbox gone")
    return requester.fire([f"/function/{NAME}"])


def measure(program, samples, idle_s):
    """Nanoseconds of each sample, by who serves."""
    taken = {"root": [], "user": []}
    with User() as user, Faasd() as roots, Faasd(user=user) as his:
        daemons = {"root": roots, "user": his}
        for daemon in daemons.values():
            daemon.deploy(NAME, HELLO, "--runtime", "native", "--keep-warm", "10ms")
        requesters = {who: cold.Requester(program, daemon.host, daemon.port, 1) for who, daemon in daemons.items()}
        try:
            for sample in range(samples + 1):
                for who, daemon in daemons.items():
                    nanoseconds = fire_cold(daemon, requesters[who], idle_s)
                    taken[who] += nanoseconds if sample else []  # each version's first start is looked at by the supervisor
        finally:
            for requester in requesters.values():
                requester.close()
    return {"groups": "v2, delegated" if IS_V2 else "none for the user", **taken}
