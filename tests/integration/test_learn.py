# SPDX-License-Identifier: Apache-2.0
"""`faasd learn`: what a function calls becomes its list, `seccomp learned` enforces it, and whoever meets a denied call is told which it was."""

import json
import os
import pathlib
import signal
import subprocess

import pytest

from harness import FAASD, HELLO, PROGRAMS, Faasd, wait_until, within

PROGRAM = PROGRAMS / "system_calls"
CLIENTS = pathlib.Path(__file__).parent / "runtime_clients"
LEASE_S = 3

HANDLER = """
import os, socket

def handler(event, context):
    what = event.get("what")
    if what == "socket":
        socket.socket(socket.AF_UNIX).close()
    if what == "quiet":
        try:
            socket.socket(socket.AF_UNIX).close()
        except PermissionError:
            return "lived on"
    if what == "file":
        with open("/tmp/file", "w") as f:
            f.write("x")
        os.rename("/tmp/file", "/tmp/other")
    return "done"
"""


@pytest.fixture(scope="module")
def faasd(tmp_path_factory):
    with Faasd() as daemon:
        app = tmp_path_factory.mktemp("learn") / "app.py"
        app.write_text(HANDLER)
        daemon.app = app
        yield daemon


def learning(faasd, name, *options):
    """A learner that waits in the background until the function's new version serves."""
    process = subprocess.Popen([FAASD, "learn", name, *options, "--root", str(faasd.root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=faasd.env)
    wait_until(lambda: process.poll() is not None or faasd.describe(name)["settings"]["seccomp"] == "learning", "it learns")
    return process


def finished(process, status=0):
    out, err = process.communicate(timeout=within(30))
    assert process.returncode == status, (out, err)
    return out + err


def learn_from(faasd, name, *bodies):
    process = learning(faasd, name, "--for", "1h")
    for body in bodies:
        reply = faasd.invoke(name, body)
        assert reply.status == 200, reply
    process.send_signal(signal.SIGINT)
    return finished(process)


def listed(faasd, name):
    return set(faasd.describe(name)["settings"]["system_calls"])


def why(faasd, reply):
    return faasd.cli("why", reply.headers["X-Request-Id"]).out


def event(what):
    return json.dumps({"what": what}).encode()


def test_a_python_functions_list_is_enforced_and_a_denied_call_is_named(faasd):
    faasd.deploy("snake", faasd.app, "--runtime", "python")
    said = learn_from(faasd, "snake", event("file"), event("none"))
    assert "faasd config snake --seccomp learned" in said and "rename" in said
    settings = faasd.describe("snake")["settings"]
    assert settings["seccomp"] == "default"
    calls = set(settings["system_calls"])
    assert {"mmap", "rename"} <= calls and not calls & {"socket", "mount", "ptrace"} and len(calls) < 80
    faasd.cli("config", "snake", "--seccomp", "learned")
    assert faasd.invoke("snake", event("file")).json() == "done"
    assert faasd.invoke("snake", event("quiet")).json() == "lived on"
    reply = faasd.invoke("snake", event("socket"))
    assert reply.status == 500 and reply.error == "PermissionError", reply
    named = "system call socket denied by seccomp profile learned"
    assert reply.json()["errorMessage"].endswith(named), reply
    text = why(faasd, reply)
    assert named in text and "faasd learn snake" in text and "faasd config snake --seccomp default" in text
    # the next request's failure, if any, is not that one's
    assert faasd.invoke("snake", event("none")).json() == "done"


def test_learning_again_adds_to_the_list(faasd):
    faasd.deploy("again", faasd.app, "--runtime", "python")
    learn_from(faasd, "again", event("none"))
    first = listed(faasd, "again")
    assert "socket" not in first
    learn_from(faasd, "again", event("socket"))
    assert listed(faasd, "again") >= first | {"socket"}
    faasd.cli("config", "again", "--seccomp", "learned")
    assert faasd.invoke("again", event("socket")).json() == "done"


def test_exec_and_native_functions_are_learnt_too(faasd):
    faasd.deploy_script("script", "#!/bin/sh\nread line\n[ \"$line\" != link ] || /usr/bin/ln -s a /tmp/b || exit 3\necho done\n")
    faasd.deploy("native", HELLO, "--runtime", "native")
    faasd.deploy("forked", HELLO, "--runtime", "native", "--isolation", "fork")
    for name in ("script", "native", "forked"):
        learn_from(faasd, name, b'{"name":"x"}\n', b"{}\n")
        assert 3 < len(listed(faasd, name)) < 80, name
        faasd.cli("config", name, "--seccomp", "learned")
        for _ in range(3):
            assert faasd.invoke(name, b'{"name":"x"}\n').status == 200, name
    reply = faasd.invoke("script", b"link\n")
    assert reply.status == 500 and "denied by seccomp profile learned" in reply.json()["errorMessage"], reply


def test_a_provided_function_is_learnt_too(faasd):
    faasd.deploy("runtime", CLIENTS / "bash", "--runtime", "provided", "--handler", "function.handler", "--timeout", "20s")
    said = learn_from(faasd, "runtime", b"{}", b"[1]")
    calls = listed(faasd, "runtime")
    assert {"socket", "connect"} <= calls and "socket" in said and len(calls) < 120, calls
    faasd.cli("config", "runtime", "--seccomp", "learned")
    for _ in range(3):
        reply = faasd.invoke("runtime", b'{"a":1}')
        assert reply.status == 200 and b'"a":1' in reply.body, reply
    # without what its runtime fetches events with it does not start, and is told why
    done = faasd.deploy("mute", CLIENTS / "bash", "--runtime", "provided", "--handler", "function.handler", "--seccomp", "learned", "--system-calls", ",".join(sorted(calls - {"connect"})), check=False)
    assert done.returncode != 0 and "system call connect denied by seccomp profile learned" in done.err, done


def test_under_strict_a_denied_call_is_named(faasd):
    faasd.deploy("strict", PROGRAM, "--runtime", "native", "--seccomp", "strict")
    reply = faasd.invoke("strict", b"fail socket")
    assert reply.status == 500 and reply.json()["errorMessage"].endswith("system call socket denied by seccomp profile strict"), reply
    text = why(faasd, reply)
    assert "socket denied by seccomp profile strict" in text and "faasd config strict --seccomp default" in text


def test_a_start_that_fails_names_the_denied_call(faasd, tmp_path):
    app = tmp_path / "app.py"
    app.write_text("import socket\nsocket.socket(socket.AF_UNIX)\ndef handler(event, context):\n    return 1\n")
    done = faasd.cli("deploy", "early", app, "--runtime", "python", "--seccomp", "learned", *[a for name in sorted(listed(faasd, "snake")) for a in ("--system-calls", name)], check=False)
    assert done.returncode != 0 and "system call socket denied by seccomp profile learned" in done.err, done


def test_another_may_end_it(faasd):
    faasd.deploy("shared", HELLO, "--runtime", "native")
    process = learning(faasd, "shared", "--for", "1h")
    assert faasd.invoke("shared", b"{}").status == 200
    assert "system calls" in faasd.cli("learn", "shared", "--stop").out
    assert "ended by another" in finished(process)
    done = faasd.cli("learn", "shared", "--stop", check=False)
    assert done.returncode == 1 and "is not learning" in done.err


def test_it_ends_by_itself(faasd):
    faasd.deploy("timed", HELLO, "--runtime", "native")
    process = learning(faasd, "timed", "--for", "700ms", "--json")
    assert "read" not in json.loads(finished(process))["system_calls"]  # init's, never told
    assert faasd.describe("timed")["settings"]["seccomp"] == "default"


@pytest.fixture(scope="module")
def leased(tmp_path_factory):
    with Faasd({"learn_lease": f"{LEASE_S}s"}) as daemon:
        yield daemon


def kill_learner(faasd, name):
    process = learning(faasd, name, "--for", "1h")
    for body in (b'{"name":"x"}', b"{}"):
        assert faasd.invoke(name, body).status == 200
    process.kill()
    process.communicate()
    return process


def seccomp_is(faasd, name, what):
    return faasd.describe(name)["settings"]["seccomp"] == what


def test_a_killed_learner_leaves_a_list_and_nothing_else(leased):
    leased.deploy("left", HELLO, "--runtime", "native")
    kill_learner(leased, "left")
    wait_until(lambda: seccomp_is(leased, "left", "default"), "it ends by itself", LEASE_S * 2 + 30)
    assert len(listed(leased, "left")) > 3
    assert "nobody waits any more for what the function learns" in leased.log_text()
    leased.cli("config", "left", "--seccomp", "learned")
    assert leased.invoke("left", b"{}").status == 200
    assert leased.cli("learn", "left", "--stop", check=False).returncode == 1


def test_who_looks_keeps_it_learning(leased):
    leased.deploy("kept", HELLO, "--runtime", "native")
    leased.deploy("dropped", HELLO, "--runtime", "native")
    process = learning(leased, "kept", "--for", "1h")
    kill_learner(leased, "dropped")
    wait_until(lambda: seccomp_is(leased, "dropped", "default"), "the other ends by itself", LEASE_S * 2 + 30)
    assert seccomp_is(leased, "kept", "learning")
    assert leased.invoke("kept", b"{}").status == 200
    process.send_signal(signal.SIGINT)
    assert "system calls" in finished(process)


def test_learning_that_a_restart_finds_ends_too(leased):
    leased.deploy("found", HELLO, "--runtime", "native")
    kill_learner(leased, "found")
    os.kill(leased.gateway_pid(), signal.SIGKILL)
    wait_until(lambda: seccomp_is(leased, "found", "default"), "it ends by itself", LEASE_S * 2 + 30)
    assert leased.invoke("found", b"{}").status == 200


def test_a_misspelt_system_call_is_refused_and_the_nearest_is_named(faasd):
    faasd.deploy("spelt", HELLO, "--runtime", "native")
    for written, told in [("read,opnat", "there is no system call 'opnat', did you mean 'openat'?"), ("reed", "did you mean 'read'?"), ("florbl_the_grunch", "there is no system call 'florbl_the_grunch'")]:
        done = faasd.cli("config", "spelt", "--system-calls", written, check=False)
        assert done.returncode == 1 and told in done.err, done
        reply = faasd.control("PATCH", "/v1/functions/spelt", json.dumps({"system_calls": written.split(",")}).encode())
        assert reply.status == 400 and reply.error == "BadRequest" and told in reply.json()["errorMessage"], reply
    assert "did you mean" not in done.err, done
    # a list may be carried between architectures: what only another one has is fine
    faasd.cli("config", "spelt", "--system-calls", "read,arm_fadvise64_64,open")
    assert listed(faasd, "spelt") == {"read", "arm_fadvise64_64", "open"}


def test_bad_input_is_refused(faasd):
    faasd.deploy("plain", HELLO, "--runtime", "native")
    for options, text in [(["--for", "0s"], "not between"), (["--for", "25h"], "not between"), (["--for", "10"], "--for"), (["--stop", "--for", "1s"], "leave --for out")]:
        done = faasd.cli("learn", "plain", *options, check=False)
        assert done.returncode == 2 and text in done.err, done
    assert faasd.cli("learn", "nobody", check=False).returncode == 3
    done = faasd.cli("config", "plain", "--seccomp", "learned", check=False)
    assert done.returncode != 0 and "faasd learn" in done.err
    done = faasd.cli("learn", "strict", check=False)
    assert done.returncode == 1 and "--seccomp default" in done.err
    done = faasd.cli("config", "plain", "--system-calls", "Read", check=False)
    assert done.returncode != 0 and "no system call's name" in done.err


def test_a_list_gives_nothing_that_the_default_has_not(faasd):
    faasd.deploy("greedy", PROGRAM, "--runtime", "native", "--seccomp", "learned", "--system-calls",
                 "mount,ptrace,unshare,bpf,write,mmap,munmap,mprotect,brk,poll,recvfrom,writev,futex,fcntl,set_tid_address,set_robust_list,rseq,getrandom,prlimit64,arch_prctl,newfstatat,pread64,access,clock_nanosleep,exit")
    for number, expected in ((101, b"1"), (272, b"1"), (321, b"1"), (165, b"-31"), ("41 1 1", b"1"), (41, b"97")):
        assert faasd.invoke("greedy", f"call {number}".encode()).body == expected, number


def test_a_flood_of_denied_calls_does_not_keep_others_waiting(faasd):
    faasd.deploy("flood", PROGRAM, "--runtime", "native", "--seccomp", "strict", "--timeout", "2s")
    faasd.deploy("calm", HELLO, "--runtime", "native", "--min-warm", "1")
    process = subprocess.Popen([FAASD, "invoke", "flood", "-d", "flood", "--root", str(faasd.root)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=faasd.env)
    wait_until(lambda: any(i["state"] == "busy" for i in faasd.instances("flood")), "it floods")
    before = gateway_ticks(faasd)
    for _ in range(50):
        assert faasd.invoke("calm", b"{}").status == 200
    assert process.wait(within(30)) == 1  # its deadline
    # 2 s of nothing but denied calls: a small part of a core for the gateway
    assert gateway_ticks(faasd) - before < within(100), "ticks of 10 ms"


def gateway_ticks(faasd):
    fields = open(f"/proc/{faasd.gateway_pid()}/stat").read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
