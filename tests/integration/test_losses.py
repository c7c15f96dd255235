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


def child_of(faasd, instance):
    """The worker, or the template's own process: init's only child that is no instance."""
    served = {i["pid"] for f in faasd.control("GET", "/v1/functions").json()["functions"] for i in faasd.instances(f["name"])}
    text = pathlib.Path(f"/proc/{instance['pid']}/task/{instance['pid']}/children").read_text()
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


# ---- what never reached the function is not lost ----


def test_a_request_whose_fork_was_lost_with_the_template_is_served(faasd):
    """The template is stopped, so that FORK stays unread until it is killed."""
    faasd.deploy("unforked", TURNCOAT, "--runtime", "native", "--isolation", "fork", "--max-concurrency", "2")
    for whole in (False, True):
        wait_until(lambda: faasd.invoke("unforked").status == 200 and in_state(faasd, "unforked", "idle") and in_state(faasd, "unforked", "template"), "a spare")
        template = in_state(faasd, "unforked", "template")[-1]
        process = child_of(faasd, template)
        os.kill(process, signal.SIGSTOP)
        with concurrent.futures.ThreadPoolExecutor(4) as clients:
            calls = [clients.submit(faasd.invoke, "unforked", SLOW_EVENT) for _ in range(3)]
            # The first takes the spare; the others wait for forks that do not come.
            wait_until(lambda: [i for i in in_state(faasd, "unforked", "starting") if i["forked"]], "a fork is under way")
            os.kill(template["pid"] if whole else process, signal.SIGKILL)
            statuses = [call.result().status for call in calls]
        # With its whole sandbox the child that works goes as well.
        assert sorted(statuses)[:2] == [200, 200] and (whole or statuses == [200] * 3), statuses


def test_idle_workers_that_are_killed_cost_nobody_a_request(faasd):
    faasd.deploy("bereft", TURNCOAT, "--runtime", "native", "--max-concurrency", "2")
    for _ in range(30):
        reply = faasd.invoke("bereft")
        assert reply.status == 200, reply
        for i in in_state(faasd, "bereft", "idle"):
            os.kill(child_of(faasd, i), signal.SIGKILL)


# ---- starts that fail at request time ----

BROKEN = {
    "hangs": ("import time; time.sleep(60)", 504, "Timeout", f"init_timeout' ({INIT_TIMEOUT_S:.0f}s)"),
    "swells": ("kept = b'x' * (200 << 20)", 502, "OutOfMemory", "the limit 'memory' is 64M, the peak was "),
    "lacks": ("import no_such_module", 500, "Runtime.ImportModuleError", "no_such_module"),
    "exits": ("import os; os._exit(5)", 502, "FunctionCrashed", "could not be started: the worker exited with status 5"),
}


@pytest.mark.parametrize("template", ["on", "off"])
@pytest.mark.parametrize("how", BROKEN)
def test_a_start_that_fails_at_request_time_is_told_as_what_it_is(faasd, tmp_path, how, template):
    text, status, kind, words = BROKEN[how]
    name = f"{how}-{template}"
    (tmp_path / "app.py").write_text(f"import os\nif os.path.exists('/var/task/broken'):\n    {text}\ndef handler(event, context):\n    return 1\n")
    faasd.deploy(name, tmp_path, "--runtime", "python", "--keep-warm", "50ms", "--memory", "64M", "--template", template)
    wait_until(lambda: not faasd.instances(name), "scale to zero")
    broken = pathlib.Path(faasd.root) / "state/versions" / faasd.describe(name)["code"] / "broken"
    broken.touch()
    reply = faasd.invoke(name, b"{}")
    assert (reply.status, reply.error) == (status, kind), reply
    assert words in reply.json()["errorMessage"], reply
    broken.unlink()
    wait_until(lambda: faasd.invoke(name, b"{}").status == 200, "it serves again")


def test_by_default_too_an_init_that_hangs_is_no_lack_of_instances(tmp_path):
    """init_timeout and queue_timeout have one default: the start's own end comes first."""
    with Faasd({"init_timeout": f"{INIT_TIMEOUT_S:.0f}s", "queue_timeout": f"{INIT_TIMEOUT_S:.0f}s"}) as faasd:
        (tmp_path / "app.py").write_text("import os, time\nif os.path.exists('/var/task/broken'):\n    time.sleep(60)\ndef handler(event, context):\n    return 1\n")
        faasd.deploy("slow", tmp_path, "--runtime", "python", "--keep-warm", "50ms")
        wait_until(lambda: not faasd.instances("slow"), "scale to zero")
        (pathlib.Path(faasd.root) / "state/versions" / faasd.describe("slow")["code"] / "broken").touch()
        for _ in range(3):
            reply = faasd.invoke("slow", b"{}")
            assert (reply.status, reply.error) == (504, "Timeout"), reply


# ---- templates that retire ----


def test_idle_children_of_a_retired_template_give_way(faasd):
    faasd.deploy("retired", TURNCOAT, "--runtime", "native", "--template", "on", "--min-warm", "2")
    wait_until(lambda: len(in_state(faasd, "retired", "idle")) == 2, "two are ready")
    template = in_state(faasd, "retired", "template")[0]
    old = {i["id"] for i in in_state(faasd, "retired", "idle")}
    assert faasd.invoke("retired", b"crash").status == 502
    wait_until(lambda: len([i for i in in_state(faasd, "retired", "idle") if i["id"] not in old]) == 2, "two of another template")
    wait_until(lambda: template["id"] not in [i["id"] for i in faasd.instances("retired")], "the old one is gone with its last child")
    assert faasd.invoke("retired").status == 200
