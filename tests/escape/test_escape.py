# SPDX-License-Identifier: Apache-2.0
"""Attacks run inside functions. Each row: the probe inside, the same probe bare, and what the outside sees afterwards."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import select
import socket
import struct
import subprocess
import time

import pytest

import paths  # noqa: F401  (makes the harness importable)
from harness import HELLO, PROBE, Faasd, wait_until, within
from outside import NOBODY, SOON_S, argument_of, assert_whole, bare_directory, host_targets, lives, show_outside
from rows import MISBEHAVIOURS, ROWS


@pytest.fixture(scope="module")
def faasd():
    with Faasd() as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        daemon.deploy("probe", PROBE, "--runtime", "exec", "--max-concurrency", "2", "--timeout", f"{within(60):.0f}s")
        daemon.deploy("worker", PROBE, "--runtime", "native", "--timeout", "2s")
        # F18: one function has a secret all the while, and the one that attacks has another
        for name in ("kept", "own"):
            daemon.cli("secret", "set", name, input=b"hush")
        daemon.deploy("keeper", HELLO, "--runtime", "native", "--min-warm", "1", "--secret", "kept")
        daemon.cli("config", "probe", "--secret", "own")
        yield daemon
        assert daemon.process.poll() is None, daemon.log_text()


@pytest.fixture(scope="module")
def targets(faasd):
    with host_targets(faasd) as found:
        yield found


@pytest.fixture(autouse=True)
def the_outside_stays_whole(faasd):
    before = (faasd.pid, faasd.gateway_pid())
    yield
    assert_whole(faasd, before)


def run_inside(faasd, row, argument):
    reply = faasd.invoke("probe", f"{row.id} {argument}".strip().encode(), timeout=within(90))
    if reply.status == 200:
        return reply.json()
    return {"result": reply.error, "detail": reply.json()["errorMessage"]}


def reach_another_function(faasd):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        listener = pool.submit(faasd.invoke, "probe", b"N6 listen")
        faasd.deploy("probe2", PROBE, "--runtime", "exec")
        wait_until(lambda: [i for i in faasd.instances("probe") if i["state"] == "busy"], "the listener runs")
        found = json.loads(faasd.invoke("probe2", b"N6 connect").body)
        listener.result()
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_attack(faasd, targets, row, record_property):
    argument = argument_of(row, targets)
    if row.id == "F16":
        run_inside(faasd, row, "write")
    found = reach_another_function(faasd) if row.id == "N6" else run_inside(faasd, row, argument)
    if row.leaves and found["result"] == "DENIED":
        # It is killed before its request's reply is written.
        found = {"result": "OPEN" if lives(argument, SOON_S) else "DENIED", "detail": "none of what it left behind lives"}
    outside = "not tried"
    try:
        assert found["result"] in row.inside.split(" or "), found
        outside = show_outside(row, argument)
    finally:
        record_property("attack", [row.id, row.attack, outside, row.inside, f"{found['result']} {found['detail'][:90]}"])


def test_deep_directories_do_not_slow_the_next_request(faasd, record_property):
    reply = faasd.invoke("probe", b"F15")
    assert reply.status == 200
    faasd.deploy_script("after", "#!/bin/sh\nls -A /tmp | wc -l\n")
    for _ in range(3):
        began = time.monotonic()
        assert json.loads(faasd.invoke("probe", b"F16").body)["result"] == "DENIED"
        took = time.monotonic() - began
    record_property("attack", ["F15", "directories two thousand deep", "there is no next request outside", "gone in < 1 s", f"{reply.json()['detail']}, gone"])
    assert took < within(1)


AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def bare_output(*arguments, within_network=None):
    """As nobody, who may not be able to enter the build directory: a checkout in /root. In the network namespace of a process, if one is given."""
    enter = ["nsenter", f"--net=/proc/{within_network}/ns/net", "--"] if within_network else []
    with bare_directory() as (directory, program):
        done = subprocess.run([*enter, *AS_NOBODY, program, *arguments], cwd=directory, capture_output=True, timeout=within(60))
    return done.stdout


def seen_of(reply):
    return f"{reply.error or reply.status} {reply.json()['errorMessage'][:80] if reply.error else ''}".strip()


# row, attack, what the function is told, the error, how long it may take, the bare probe's arguments
ENDED = [
    ("P11", "ignore every signal", b"P11 for-ever", "Timeout", ["P11"]),
    ("R13", "sleep for ever", b"R13", "Timeout", ["R13", "1"]),
    ("R14", "64 MiB of output", b"R14", "BadReply", ["R14"]),
]


@pytest.mark.parametrize("row, attack, event, error, bare", ENDED, ids=[ended[0] for ended in ENDED])
def test_what_goes_on_for_ever_is_ended(faasd, record_property, row, attack, event, error, bare):
    faasd.deploy(f"ended-{row.lower()}", PROBE, "--runtime", "exec", "--timeout", "1s" if error == "Timeout" else f"{within(60):.0f}s")
    began = time.monotonic()
    reply = faasd.invoke(f"ended-{row.lower()}", event, timeout=within(90))
    took = time.monotonic() - began
    outside = json.loads(bare_output(*bare).lstrip(b"x"))["result"]
    record_property("attack", [row, attack, outside, error, seen_of(reply)])
    assert reply.error == error and outside == "OPEN"
    assert error != "Timeout" or took < within(3)


def test_positive_controls(faasd):
    """A sandbox that denies everything would pass all rows: these must work."""
    faasd.deploy_script("works", "#!/bin/sh\ncat > /tmp/x && cat /tmp/x && head -c 9 /var/task/run && test -r /dev/urandom && test -d /proc/self\n")
    reply = faasd.invoke("works", b"event\n")
    assert reply.status == 200 and reply.body == b"event\n#!/bin/sh"


FRAME, INVOKE_HEAD, INVOKE = struct.Struct("<IHHQ"), struct.Struct("<QII"), 2  # include/faasd/frame.h


def speak_outside(program, how):
    """All that a worker says to a gateway that is this test, until it is silent for half a second, gone, or has dripped for a second."""
    ours, theirs = socket.socketpair()
    worker = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
                              preexec_fn=lambda: os.dup2(theirs.fileno(), 3) if theirs.fileno() != 3 else os.set_inheritable(3, True))
    theirs.close()
    said = b""
    end = time.monotonic() + within(1)
    with contextlib.suppress(OSError):
        ours.sendall(FRAME.pack(INVOKE_HEAD.size + len(how), INVOKE, 0, 1000) + INVOKE_HEAD.pack(0, 0, len(how)) + how.encode())
        while len(said) < 1 << 16 and time.monotonic() < end and select.select([ours], [], [], within(0.5))[0]:
            piece = ours.recv(1 << 16)
            if not piece:
                break
            said += piece
    ours.close()
    worker.kill()
    worker.wait()
    return said


@pytest.fixture(scope="module")
def misbehaves():
    """The ways that differ from a good worker's when nobody judges them."""
    ways = ["be good", *(how for _, how, _ in MISBEHAVIOURS)]
    with bare_directory() as (_, program), concurrent.futures.ThreadPoolExecutor(16) as pool:
        said = dict(zip(ways, pool.map(lambda how: speak_outside(program, how), ways)))
    assert b"fine" in said["be good"]
    return {how for how in ways if said[how] != said["be good"]}


@pytest.mark.parametrize("row,how,answers", MISBEHAVIOURS, ids=[f"{m[0]}-{m[1]}" for m in MISBEHAVIOURS])
def test_a_worker_that_misbehaves(faasd, misbehaves, record_property, row, how, answers):
    began = time.monotonic()
    reply = faasd.invoke("worker", how.encode())
    record_property("attack", [row, f"a worker's {how}", "OPEN" if how in misbehaves else "not tried", " or ".join(sorted(str(a or "200") for a in answers)), seen_of(reply)])
    assert how in misbehaves, "outside, the worker says what a good one does: it proves nothing"
    assert (reply.error if reply.error else None) in answers, reply
    assert time.monotonic() - began < within(15)
    if how == "lingering":  # three seconds, for whoever closes it
        assert time.monotonic() - began < within(2)
    if how == "framing":
        assert reply.headers["X-Kept"] == "yes" and reply.body == b"body"
        assert reply.headers["Content-Length"] == "4" and "Transfer-Encoding" not in reply.headers
        assert reply.error is None
    if how.startswith("split"):
        assert "X-Injected" not in reply.headers
    if how in ("status-204", "status-304"):
        assert reply.body == b""
    again = faasd.invoke("worker", b"be good")
    if how in ("twice", "early", "stop-reading", "two-writers"):
        # It misbehaves after its reply: the request that it meets then is its own function's, and the last that it spoils. For "twice" that is so
        # when the first reply has reached its client, and the client's next request the worker, before the second is written.
        assert again.body == b"fine" or again.error in ("BadReply", "Timeout"), again
        again = faasd.invoke("worker", b"be good")
    assert (again.status, again.body) == (200, b"fine"), again


def test_a_stale_reply_never_reaches_the_next_client(faasd):
    """A worker that answers twice, or ahead: what it says too much must not be the next client's reply."""
    for _ in range(20):
        for how in (b"twice", b"early"):
            faasd.invoke("worker", how)
            reply = faasd.invoke("worker", b"be good")
            assert reply.body == b"fine" or reply.error == "BadReply", reply


def test_a_worker_that_stops_reading_is_timed_out(faasd):
    faasd.deploy("deaf", PROBE, "--runtime", "native", "--timeout", "1s", "--max-concurrency", "1")
    assert faasd.invoke("deaf", b"stop-reading").status == 200
    reply = faasd.invoke("deaf", b"x" * (6 << 20))
    assert reply.error == "Timeout"
    assert faasd.invoke("deaf", b"be good").body == b"fine"


def test_descriptors_do_not_pile_up_in_the_gateway(faasd):
    directory = pathlib.Path(f"/proc/{faasd.gateway_pid()}/fd")
    faasd.invoke("worker", b"be good")
    before = len(list(directory.iterdir()))
    for _ in range(10):
        faasd.invoke("worker", b"descriptors")
    faasd.invoke("worker", b"be good")
    wait_until(lambda: len(list(directory.iterdir())) <= before + 8, "the gateway's descriptors are given back")


def test_I12_a_reply_with_anothers_id_reaches_nobody(faasd):
    """While another function's request runs: its reply is its own, whatever ids a worker tries."""
    faasd.deploy_script("bystander", "#!/bin/sh\nsleep 0.5\necho mine\n")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(faasd.invoke, "bystander")
        wait_until(lambda: [i for i in faasd.instances("bystander") if i["state"] == "busy"], "it runs")
        assert faasd.invoke("worker", b"other-ids").error == "BadReply"
        assert running.result().body == b"mine\n"


@pytest.mark.row("N8")
def test_a_name_is_not_resolved_and_fails_at_once(faasd):
    faasd.deploy_script("resolver", "#!/bin/sh\ngetent hosts example.com || echo none\n")
    faasd.invoke("resolver")
    began = time.monotonic()
    reply = faasd.invoke("resolver")
    assert reply.body == b"none\n" and time.monotonic() - began < within(1), reply
