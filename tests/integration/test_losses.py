# SPDX-License-Identifier: Apache-2.0
"""What a request is told whose instance ended, and which of them are not lost at all."""

import collections
import concurrent.futures
import os
import pathlib
import signal

import pytest

from harness import PROGRAMS, Faasd, brief, cgroup_directories, wait_until, within

TURNCOAT = PROGRAMS / "turncoat"
SLOW_EVENT = f"slow {within(300):.0f}".encode()
INIT_TIMEOUT_S = brief(1)

PYTHON = """import os, signal
def handler(event, context):
    if event.get("signal"):
        if event["signal"] != signal.SIGKILL:
            signal.signal(event["signal"], signal.SIG_DFL)
        os.kill(os.getpid(), event["signal"])
    if "exit" in event:
        os._exit(event["exit"])
    return os.getpid()
"""


@pytest.fixture(scope="module")
def faasd():
    with Faasd({"init_timeout": f"{INIT_TIMEOUT_S:.0f}s", "crash_backoff": "5ms"}) as daemon:
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"


def in_state(faasd, name, state):
    return [i for i in faasd.instances(name) if i["state"] == state]


def child_of(faasd, template):
    """The template's own process: init's only child that is no instance."""
    served = {i["pid"] for f in faasd.control("GET", "/v1/functions").json()["functions"] for i in faasd.instances(f["name"])}
    text = pathlib.Path(f"/proc/{template['pid']}/task/{template['pid']}/children").read_text()
    return next(pid for pid in map(int, text.split()) if pid not in served)


# ---- how it ended is told ----

ENDS = [
    (b'{"exit": 3}', "the worker exited with status 3"),
    (b'{"exit": 0}', "the worker exited with status 0"),
    (b'{"signal": %d}' % signal.SIGSEGV, "the worker was killed by signal 11 (SIGSEGV)"),
    (b'{"signal": %d}' % signal.SIGKILL, "the worker was killed by signal 9 (SIGKILL)"),
]


@pytest.mark.parametrize("isolation", ["fork", "reuse"])
def test_a_forked_child_s_end_is_always_told(faasd, tmp_path, isolation):
    """Warm ones, and those that end before anybody has looked at them: the first request of each child."""
    (tmp_path / "app.py").write_text(PYTHON)
    name = f"ends-{isolation}"
    faasd.deploy(name, tmp_path, "--runtime", "python", "--isolation", isolation, "--template", "on")
    told = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        calls = [(clients.submit(faasd.invoke, name, event), why) for _ in range(15) for event, why in ENDS]
        for call, why in calls:
            reply = call.result()
            assert (reply.status, reply.error) == (502, "FunctionCrashed"), reply
            told[why, reply.json()["errorMessage"]] += 1
    assert {(why, text[:len(why)]) for why, text in told} == {(why, why) for _, why in ENDS}, told


def test_a_native_child_s_end_is_always_told(faasd):
    faasd.deploy("native-ends", TURNCOAT, "--runtime", "native", "--isolation", "fork")
    for _ in range(20):
        assert "exited with status 3" in faasd.invoke("native-ends", b"exit").json()["errorMessage"]
        assert "killed by signal 6 (SIGABRT)" in faasd.invoke("native-ends", b"crash").json()["errorMessage"]
