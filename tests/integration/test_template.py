# SPDX-License-Identifier: Apache-2.0
"""Templates from outside: when instances are forked, what a request waits for, why not, and what a template that lies can do."""

import concurrent.futures
import os
import pathlib
import signal

import pytest

from harness import PROGRAMS, SEPARABLE, Faasd, brief, cgroup_directories, is_alive, wait_until, within

TURNCOAT = PROGRAMS / "turncoat"
SLOW_EVENT = f"slow {within(300):.0f}".encode()


# Nothing is made ahead at the expense of other functions: with a small host's own budget those of earlier tests would hold the spares of later ones back.
COMMON = {"crash_backoff": "200ms", "memory_budget": "64G"}


@pytest.fixture(scope="module")
def faasd():
    with Faasd({"init_timeout": f"{within(10):.0f}s", **COMMON}) as daemon:
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"


def allow_end(faasd, name):
    """Of the request "until NAME"."""
    (pathlib.Path(faasd.root) / "state/versions" / faasd.describe(name)["code"] / name).touch()


def templates(faasd, name):
    return [i for i in faasd.instances(name) if i["state"] == "template"]


def children(faasd, name):
    return [i for i in faasd.instances(name) if i["forked"]]


def servers(faasd, name):
    """Whoever serves: forked, or by itself."""
    return [i for i in faasd.instances(name) if i["state"] != "template"]


def parent_of(pid):
    """0: it is gone."""
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def write_app(tmp_path, text):
    (tmp_path / "app.py").write_text(text)
    return tmp_path


# ---- what is forked ----


def test_python_is_forked_from_one_template(faasd, tmp_path):
    code = write_app(tmp_path, "import os, time\nSTARTED = os.getpid()\ndef handler(event, context):\n"
                               "    time.sleep(event.get('sleep', 0))\n    return [STARTED, os.getpid()]\n")
    faasd.deploy("forked", code, "--runtime", "python", "--max-concurrency", "4")
    assert len(templates(faasd, "forked")) == 1 and "noTemplate" not in faasd.describe("forked")
    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        found = [c.result().json() for c in [clients.submit(faasd.invoke, "forked", b'{"sleep": 0.3}') for _ in range(4)]]
    assert len({started for started, _ in found}) == 1, "the module was imported once"
    # A worker that serves by itself is the process that imported it, and those all have one number, each in its own sandbox.
    assert len({pid for started, pid in found if started != pid}) == (4 if SEPARABLE else 1)
    assert len(templates(faasd, "forked")) == 1


def test_children_of_one_template_live_together_only_where_they_are_kept_apart(faasd):
    faasd.deploy("together", TURNCOAT, "--runtime", "native", "--isolation", "fork", "--max-concurrency", "3")
    with concurrent.futures.ThreadPoolExecutor(3) as clients:
        calls = [clients.submit(faasd.invoke, "together", SLOW_EVENT) for _ in range(6)]
        most = 0
        while not all(call.done() for call in calls):
            parents = [parent_of(i["pid"]) for i in children(faasd, "together") if i["state"] == "busy"]
            most = max([most, *(parents.count(p) for p in parents if p)])
        assert [call.result().status for call in calls] == [200] * 6
    assert most > 1 if SEPARABLE else most == 1


def test_the_start_says_what_a_request_waited_for(faasd):
    faasd.deploy("starts", TURNCOAT, "--runtime", "native", "--isolation", "fork", "--max-concurrency", "1", "--keep-warm", f"{brief(1):.0f}s")
    assert faasd.invoke("starts").headers["X-Faasd-Start"] == "warm"  # the deploy's own child
    wait_until(lambda: not faasd.instances("starts"), "scale to zero, the template too")
    wait_until(lambda: not cgroup_directories("starts"), "its cgroups are gone")
    reply = faasd.invoke("starts")
    assert reply.headers["X-Faasd-Start"] == "cold" and reply.status == 200
    with concurrent.futures.ThreadPoolExecutor(2) as clients:
        starts = [c.result().headers["X-Faasd-Start"] for c in [clients.submit(faasd.invoke, "starts", SLOW_EVENT) for _ in range(2)]]
    assert "fork" in starts, "the second one had to wait for a fork, and for no sandbox"


def test_a_spare_is_ready_while_a_function_is_used(faasd):
    faasd.deploy("spare", TURNCOAT, "--runtime", "native", "--template", "on", "--max-concurrency", "3")
    with concurrent.futures.ThreadPoolExecutor(1) as clients:
        first = clients.submit(faasd.invoke, "spare", b"until spare")
        wait_until(lambda: sorted(i["state"] for i in servers(faasd, "spare")) == ["busy", "idle"], "one works and one is ready beside it")
        assert len(children(faasd, "spare")) == (2 if SEPARABLE else 1)
        assert faasd.invoke("spare").headers["X-Faasd-Start"] == "warm"
        allow_end(faasd, "spare")
        assert first.result().status == 200


def test_native_with_reuse_is_not_forked_unless_asked(faasd):
    faasd.deploy("plain", TURNCOAT, "--runtime", "native")
    assert not templates(faasd, "plain") and not children(faasd, "plain")
    faasd.deploy("plain", TURNCOAT, "--runtime", "native", "--template", "on")
    assert len(templates(faasd, "plain")) == 1
    faasd.deploy("plain", TURNCOAT, "--runtime", "native", "--template", "off", "--isolation", "fork")
    assert faasd.invoke("plain").status == 200
    # The former version's template may be in the middle of a fork: it ends when that child is there.
    wait_until(lambda: not templates(faasd, "plain") and not children(faasd, "plain"), "no template of either version")
    assert faasd.invoke("plain").status == 200
    assert not templates(faasd, "plain") and not children(faasd, "plain")


def test_min_warm_is_held(faasd):
    faasd.deploy("kept", TURNCOAT, "--runtime", "native", "--template", "on", "--min-warm", "2", "--keep-warm", "50ms")
    wait_until(lambda: [i["state"] for i in servers(faasd, "kept")] == ["idle"] * 2, "two are ready")
    assert len(children(faasd, "kept")) == (2 if SEPARABLE else 1)
    lost = children(faasd, "kept")[0]
    os.kill(lost["pid"], signal.SIGKILL)
    wait_until(lambda: lost["id"] not in [i["id"] for i in servers(faasd, "kept")] and [i["state"] for i in servers(faasd, "kept")] == ["idle"] * 2, "two again")
    assert faasd.invoke("kept").status == 200


# ---- what is not, and why ----


@pytest.mark.parametrize("code,reason", [
    ("import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True, name='beater').start()\n", "thread"),
    ("import socket\nkept = socket.socketpair()\n", "descriptor"),
])
@pytest.mark.parametrize("isolation", ["reuse", "fork"])
def test_what_can_t_be_forked_serves_and_says_why(faasd, tmp_path, code, reason, isolation):
    write_app(tmp_path, code + "import os\nseen = []\ndef handler(event, context):\n    seen.append(1)\n    return len(seen)\n")
    name = f"unforkable-{reason}-{isolation}"
    deployed = faasd.deploy(name, tmp_path, "--runtime", "python", "--isolation", isolation)
    assert [faasd.invoke(name).json() for _ in range(3)] == ([1, 2, 3] if isolation == "reuse" else [1, 1, 1])
    assert reason in faasd.describe(name)["noTemplate"]
    assert reason in faasd.cli("describe", name).out
    assert not templates(faasd, name)
    assert deployed.returncode == 0


def test_a_hook_that_fails_fails_the_deploy(faasd, tmp_path):
    write_app(tmp_path, "import os\ndef boom():\n    raise ValueError('not after a fork')\nos.register_at_fork(after_in_child=boom)\n"
                        "import faasd\nfaasd.after_fork(boom)\ndef handler(event, context):\n    return 1\n")
    done = faasd.deploy("hooked", tmp_path, "--runtime", "python", check=False)
    assert done.returncode == 1 and "not after a fork" in done.err, done.err
    assert faasd.control("GET", "/v1/functions/hooked").status == 404
    wait_until(lambda: not cgroup_directories("hooked"), "nothing of it is left")


def test_an_init_that_fails_tells_deployer_and_caller_type_and_message(faasd, tmp_path):
    write_app(tmp_path, "import os\nif os.path.exists('/var/task/broken'):\n    raise LookupError('no model: fetch it first')\ndef handler(event, context):\n    return 1\n")
    faasd.deploy("fails", tmp_path, "--runtime", "python", "--keep-warm", "50ms")
    wait_until(lambda: not faasd.instances("fails"), "scale to zero")
    code = pathlib.Path(faasd.root) / "state/versions" / faasd.describe("fails")["code"]
    (code / "broken").touch()
    reply = faasd.invoke("fails", b"{}")
    assert (reply.status, reply.error) == (500, "LookupError"), reply
    assert reply.json()["errorMessage"] == "no model: fetch it first"
    assert any("app.py" in line for line in reply.json()["trace"])
    (code / "broken").unlink()
    wait_until(lambda: faasd.invoke("fails", b"{}").status == 200, "it serves again")
    (tmp_path / "broken").touch()
    done = faasd.deploy("fails", tmp_path, "--runtime", "python", check=False)
    assert done.returncode == 1 and "LookupError: no model: fetch it first" in done.err, done.err


# ---- crashes ----


def crash(faasd, name, body):
    """The id of the template whose child it was."""
    before = templates(faasd, name)[0]["id"]
    assert faasd.invoke(name, body).status == 502
    wait_until(lambda: faasd.invoke(name).status == 200, "it serves")
    return before


def test_a_crash_that_could_be_a_search_changes_the_layout(faasd):
    faasd.deploy("searched", TURNCOAT, "--runtime", "native", "--isolation", "fork", "--max-concurrency", "1")
    layouts = {faasd.invoke("searched").body for _ in range(4)}
    assert len(layouts) == 1, "children share their template's layout"
    for _ in range(3):
        before = crash(faasd, "searched", b"crash")
        wait_until(lambda: before not in [i["id"] for i in faasd.instances("searched")], "that template is gone with the last of its children")
        layouts.add(faasd.invoke("searched").body)
    assert len(layouts) > 2, "and a new template has another one"


def settle(faasd, name):
    """A child is ready, and the supervisor knows it: it takes one message after the other. Of one that ends before, nobody could tell how."""
    wait_until(lambda: [i for i in children(faasd, name) if i["state"] == "idle"], "a child is ready")
    faasd.deploy(f"{name}-after", TURNCOAT, "--runtime", "native")


def test_an_exit_costs_its_child_alone(faasd):
    faasd.deploy("exiting", TURNCOAT, "--runtime", "native", "--isolation", "fork", "--max-concurrency", "1")
    settle(faasd, "exiting")
    reply = faasd.invoke("exiting", b"exit")
    assert (reply.status, reply.error) == (502, "FunctionCrashed")
    assert "exited with status 3" in reply.json()["errorMessage"]
    settle(faasd, "exiting")
    before = crash(faasd, "exiting", b"exit")
    assert [t["id"] for t in templates(faasd, "exiting")] == [before]


def test_a_template_that_dies_leaves_its_children_at_work(faasd):
    faasd.deploy("orphans", TURNCOAT, "--runtime", "native", "--template", "on")
    with concurrent.futures.ThreadPoolExecutor(1) as clients:
        slow = clients.submit(faasd.invoke, "orphans", b"until orphans")
        wait_until(lambda: [i for i in children(faasd, "orphans") if i["state"] == "busy"], "a child works")
        child = [i for i in children(faasd, "orphans") if i["state"] == "busy"][0]
        parent = parent_of(child["pid"])
        assert parent != templates(faasd, "orphans")[0]["pid"], "init is not the template"
        os.kill(parent, signal.SIGKILL)
        wait_until(lambda: not is_alive(parent), "the template is dead")
        allow_end(faasd, "orphans")
        assert slow.result().status == 200
    wait_until(lambda: not is_alive(child["pid"]) or faasd.invoke("orphans").status == 200, "it goes on")
    assert faasd.invoke("orphans").status == 200


# ---- a hostile template (Z4) ----


@pytest.fixture(scope="module")
def turncoat():
    with Faasd({"init_timeout": f"{brief(1):.0f}s", **COMMON}) as daemon:
        daemon.deploy("turncoat", TURNCOAT, "--runtime", "native", "--isolation", "fork", "--max-concurrency", "2")
        switch = pathlib.Path(daemon.root) / "state/versions" / daemon.describe("turncoat")["code"] / "hostile"
        yield daemon, switch
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"


# A fork that is lost is made up for by an instance of its own; one that hangs is told as that.
ANSWERS = {"exit": {200}, "abort": {200}, "hang": {200, 504}, "garbage": {200}, "ready": {200}, "lie": {200, 500, 502}, "nothing": {200}}


def has_forked(faasd, name):
    """One that hangs may be left of the test before, until 'init_timeout' ends it: its child only starts."""
    return templates(faasd, name) and {child["state"] for child in children(faasd, name)} == {"idle"}


@pytest.mark.parametrize("how", ANSWERS)
def test_a_hostile_template_is_replaced(turncoat, how):
    faasd, switch = turncoat
    switch.unlink(missing_ok=True)
    wait_until(lambda: faasd.invoke("turncoat").status == 200 and has_forked(faasd, "turncoat"), "it serves before, and forks")
    before = templates(faasd, "turncoat")[0]
    switch.write_text(how)
    statuses = [faasd.invoke("turncoat").status for _ in range(4)]
    assert set(statuses) <= ANSWERS[how], statuses
    wait_until(lambda: before["id"] not in [i["id"] for i in faasd.instances("turncoat")], "that template is gone")
    assert not is_alive(before["pid"])
    switch.unlink()
    wait_until(lambda: faasd.invoke("turncoat").status == 200, "its successor serves")
    assert faasd.describe("turncoat")["counts"]["busy"] == 0


def test_after_all_that_nothing_is_left(faasd, turncoat):
    for daemon in (faasd, turncoat[0]):
        for f in daemon.control("GET", "/v1/functions").json()["functions"]:
            daemon.cli("rm", f["name"])
        wait_until(lambda: not daemon.sandbox_pids(), "no sandbox")
        counts = daemon.system()["counts"]
        assert counts["memory_bytes"] == 0, counts


@pytest.mark.parametrize("runtime", ["native", "python"])
def test_without_budget_for_a_child_the_worker_serves_by_itself(tmp_path, runtime):
    program = TURNCOAT if runtime == "native" else write_app(tmp_path, "def handler(event, context):\n    return event\n")
    with Faasd({"memory_budget": "150M"}) as faasd:
        faasd.deploy("tight", program, "--runtime", runtime, "--template", "on", "--memory", "128M")
        for _ in range(3):
            assert faasd.invoke("tight", b"{}").status == 200
        assert not templates(faasd, "tight") and not children(faasd, "tight")


def test_a_template_is_replaced_after_so_many_forks():
    with Faasd({"template_forks": 5}) as faasd:
        faasd.deploy("rotating", TURNCOAT, "--runtime", "native", "--isolation", "fork", "--max-concurrency", "1")
        seen = set()
        for _ in range(20):
            assert faasd.invoke("rotating").status == 200
            seen |= {t["id"] for t in templates(faasd, "rotating")}
        assert len(seen) >= 3
