# SPDX-License-Identifier: Apache-2.0
"""`faasd learn`: what a function calls becomes its list, `seccomp learned` enforces it, and whoever meets a denied call is told which it was."""

import json
import signal
import subprocess

import pytest

from harness import FAASD, HELLO, PROGRAMS, Faasd, wait_until, within

PROGRAM = PROGRAMS / "system_calls"

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


def test_exec_native_and_provided_functions_are_learnt_too(faasd):
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
