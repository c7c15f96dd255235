# SPDX-License-Identifier: Apache-2.0
"""Functions of every kind under load at once: in a budget for a part of them, and while somebody kills their processes at random. Every request is answered, and
nothing is left of any of them.

FAASD_PRESSURE_SECONDS says for how long each.
"""

import collections
import os
import pathlib
import random
import re
import signal
import threading
import time

import pytest

from harness import HELLO, PROGRAMS, Faasd, has_stock, wait_until
from leftovers import KeptConnection, beneath, descendants, is_stock, names_of

SECONDS = float(os.environ.get("FAASD_PRESSURE_SECONDS", "6"))
CLIENTS = 16
KILL_EVERY_S = 0.1
COMMON = ["--memory", "64M", "--keep-warm", "500ms"]


def deploy_all(faasd, tmp_path):
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return event\n")
    faasd.deploy("reuse", HELLO, "--runtime", "native", *COMMON)
    faasd.deploy("forks", tmp_path, "--runtime", "python", "--isolation", "fork", *COMMON)
    faasd.deploy("template", PROGRAMS / "turncoat", "--runtime", "native", "--template", "on", *COMMON)
    faasd.deploy("sandbox", HELLO, "--runtime", "native", "--isolation", "sandbox", *COMMON)
    faasd.deploy("reserved", HELLO, "--runtime", "native", "--reserved", "2", *COMMON)
    faasd.deploy_script("script", "#!/bin/sh\necho hi >&2\n", *COMMON)
    return ["reuse", "forks", "template", "sandbox", "reserved", "script"]


def descriptors(pid):
    """By kind; files of logs are opened when something is logged for the first time, the records' database at its first flush."""
    kinds = collections.Counter()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        if not target.endswith("/log") and "/db/records.db" not in target:
            kinds[re.sub(r"\d+", "N", target)] += 1
    return kinds


def control_connections(faasd):
    # The gateway's ends: the kernel names them after the socket that they came by (proc_net_unix(5)).
    rows = [line.split() for line in pathlib.Path("/proc/net/unix").read_text().splitlines()]
    return sum(1 for row in rows if len(row) == 8 and row[7].endswith(f"{faasd.root}/run/control.sock") and row[5] == "03")


def look(faasd, group):
    memory = faasd.system()["counts"]["memory_bytes"]
    # the asker's own connection, too: the gateway sees its end a moment after the answer
    wait_until(lambda: control_connections(faasd) == 0, "nobody is connected")
    return {"processes": len(descendants(faasd.pid)), "cgroups": len(beneath(group)), "memory": memory,
            "supervisor": descriptors(faasd.pid), "gateway": descriptors(faasd.gateway_pid())}


def come_to_rest(faasd, names):
    wait_until(lambda: not any(faasd.instances(name) for name in names), "the pools are empty")
    wait_until(lambda: not faasd.sandbox_pids(), "no sandbox lives")
    wait_until(lambda: faasd.system()["connections"] == 1, "the connections are closed")
    wait_until(lambda: has_stock(faasd), "what is made ahead is there again")


def look_at_rest(faasd, group, names):
    """None when an instance came by itself meanwhile (pools start some ahead of need) or the supervisor still removes what one left, or makes ahead: both
    are done a piece at a time, and a picture is not taken in one moment."""
    come_to_rest(faasd, names)
    groups = beneath(group)
    seen = look(faasd, group)
    if not is_stock(groups) or beneath(group) != groups:
        return None
    is_alone = seen["supervisor"]["anon_inode:[pidfd]"] == 1  # the gateway's
    return seen if is_alone and has_stock(faasd) and not any(faasd.instances(name) for name in names) else None


def kill_one(faasd, rng):
    """A process of any sandbox: init, a template, a child, a worker, a script."""
    gateway = faasd.gateway_pid()
    pids = [pid for pid in descendants(faasd.pid) if pid != gateway]
    try:
        if pids:
            os.kill(rng.choice(pids), signal.SIGKILL)
    except ProcessLookupError:
        pass


def run(faasd, names, kills):
    answers, lost, end = collections.Counter(), [], time.monotonic() + SECONDS

    def client(number):
        rng = random.Random(number)
        try:
            connection = KeptConnection(faasd)
            while time.monotonic() < end:
                name = rng.choice(names)
                status, error, body = connection.call(name, b"{}")
                answers[name, status, error, body.split(b'"requestId')[0] if status != 200 else b""] += 1
                time.sleep(rng.choice([0, 0, 0, 0.05]))
            connection.socket.close()
        except Exception as e:  # a thread's failure is the test's
            lost.append(repr(e))

    threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    rng = random.Random(4711)
    while kills and time.monotonic() < end:
        kill_one(faasd, rng)
        time.sleep(KILL_EVERY_S)
    for thread in threads:
        thread.join()
    assert not lost, (lost, faasd.log_text()[-2000:])
    return answers


@pytest.mark.row("R16")
@pytest.mark.parametrize("budget, kills", [("330M", False), ("640M", True)])
def test_every_request_is_answered_and_nothing_is_left(tmp_path, budget, kills):
    with Faasd({"memory_budget": budget, "crash_backoff": "5ms", "queue_timeout": "60s"}) as faasd:
        names = deploy_all(faasd, tmp_path)
        assert faasd.invoke("reuse", b"{}").status == 200
        group = names_of(faasd)
        for name in names:
            assert faasd.invoke(name, b"{}").status == 200
        before = wait_until(lambda: look_at_rest(faasd, group, names), "it is at rest")
        answers = run(faasd, names, kills)
        served = {name: sum(n for (which, status, _, _), n in answers.items() if (which, status) == (name, 200)) for name in names}
        failed = {what: n for what, n in answers.items() if what[1] != 200}
        print(f"\n{served}, failed: {failed}")
        assert all(served.values()), "none starves"
        # Whoever was killed at work took its request along, and nobody else is told of that.
        assert all(kills and error == "FunctionCrashed" for _, _, error, _ in failed), failed
        come_to_rest(faasd, names)
        wait_until(lambda: look(faasd, group) == before, f"as before: {before}, now {look(faasd, group)}")
