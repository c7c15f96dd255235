# SPDX-License-Identifier: Apache-2.0
"""Slow and many clients beside a good one: heads and bodies that come by drops, replies that nobody reads, thousands of idle connections, no descriptor left. The good
client's p99 stays within three times what it was in the same run without them, the gateway does not spin, and what was refused is served again within a second."""

import http.client
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import pytest

import paths
from harness import DEADLINE, PROGRAMS, Faasd, descriptor_limit, limit_descriptors, wait_until, within

ROUNDS = 7
REQUESTS = 150  # of a round
RATIO = 3
IDLE = 5000
SLOW = 1000
READERS = 50
# A round's p99 is its second slowest request. Beside others on the host a request may lose the processor for one slice of theirs, which no p99 of
# a tenth of a millisecond can hold three times: below this many seconds nobody is disturbed.
SLICE = 0.005
REPLY_BYTES = 2 << 20


@pytest.fixture(scope="module")
def front():
    # Long enough that nobody is let go while it is measured.
    with Faasd({"header_deadline": "60s", "body_deadline": "60s", "idle_deadline": "120s"}, args=["--listen", "127.0.0.1:0"]) as daemon:
        daemon.deploy("echo", PROGRAMS / "echo", "--runtime", "native", "--min-warm", "1")
        daemon.deploy_script("large", f"#!/bin/sh\nexec head -c {REPLY_BYTES} /dev/zero\n", "--queue", "1000")
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"


class Attack:
    def __init__(self, front, count, how):
        self.command = [sys.executable, paths.HERE / "attacker.py", front.host, str(front.port), str(count), how]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"
        return self

    def __exit__(self, kind, value, trace):
        self.process.stdin.close()
        self.process.wait(DEADLINE)
        self.process.stdout.close()


def time_requests(front):
    """The p99 of each round, on one connection that stays; the middle one of them."""
    connection = http.client.HTTPConnection(front.host, front.port, timeout=DEADLINE)
    p99 = []
    for _ in range(ROUNDS):
        took = []
        for _ in range(REQUESTS):
            started = time.perf_counter()
            connection.request("POST", "/function/echo", b"good")
            reply = connection.getresponse()
            assert reply.status == 200 and reply.read() == b"good"
            took.append(time.perf_counter() - started)
        p99.append(sorted(took)[-2])
    connection.close()
    return statistics.median(p99)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spent_in(front, seconds):
    """The gateway's share of a processor while nobody asks for anything."""
    gateway = front.gateway_pid()
    before = cpu_seconds(gateway)
    time.sleep(seconds)
    return (cpu_seconds(gateway) - before) / seconds


def assert_undisturbed(capsys, what, quiet, beside):
    with capsys.disabled():
        print(f"\n{what}: p99 {quiet * 1e6:.0f} us quiet, {beside * 1e6:.0f} us beside them")
    assert beside <= max(RATIO * quiet, within(SLICE))


def connections(front):
    return front.system()["connections"]


@pytest.mark.parametrize("how, count", [("headers", SLOW), ("body", SLOW), ("reading", READERS), ("idle", IDLE)])
def test_a_good_client_does_not_notice(front, capsys, how, count):
    quiet = time_requests(front)
    with Attack(front, count, how):
        wait_until(lambda: connections(front) >= count, "all of them are connected")
        if how == "reading":  # each reply was made, and is held for its client
            wait_until(lambda: front.describe("large")["counters"]["succeeded"] == count, "all have their replies")
        assert spent_in(front, 1) < 0.2, "the gateway spins"
        beside = time_requests(front)
    wait_until(lambda: connections(front) == 1, "all of them are gone")
    # Without them again: what else runs on this machine comes and goes meanwhile.
    assert_undisturbed(capsys, f"{count} x {how}", max(quiet, time_requests(front)), beside)
    started = time.monotonic()
    assert front.invoke("echo", b"good").body == b"good"
    assert time.monotonic() - started < within(1)


def test_no_descriptor_left(capsys):
    """Connections that are no more idle hold all of the gateway's descriptors. The good client's stays open and is served; new ones are told, or wait."""
    with Faasd({"header_deadline": "60s"}) as daemon:
        daemon.deploy("echo", PROGRAMS / "echo", "--runtime", "native", "--min-warm", "1")
        quiet = time_requests(daemon)
        good = http.client.HTTPConnection(daemon.host, daemon.port, timeout=DEADLINE)
        good.request("POST", "/function/echo", b"good")
        assert good.getresponse().read() == b"good"
        gateway = daemon.gateway_pid()
        before = descriptor_limit(gateway)
        took = []
        limit_descriptors(gateway, max(int(fd) for fd in os.listdir(f"/proc/{gateway}/fd")) + 8)
        flood = []
        try:
            for _ in range(24):
                flood.append(daemon.connect())
                flood[-1].sendall(b"GET /function/echo HTTP/1.1\r\n")
                # While the flood comes, before an idle connection is what gives way.
                good.request("POST", "/function/echo", b"good")
                started = time.perf_counter()
                assert good.getresponse().read() == b"good"
                took.append(time.perf_counter() - started)
        except (http.client.HTTPException, OSError):
            good.close()  # between two requests it was the longest idle one
        assert spent_in(daemon, 1) < 0.2, "the gateway spins"
        limit_descriptors(gateway, before)
        started = time.monotonic()
        assert daemon.invoke("echo", b"good").body == b"good"
        recovered = time.monotonic() - started
        with capsys.disabled():
            print(f"\nno descriptor left: {len(took)} requests of the good client served meanwhile, quiet p99 {quiet * 1e6:.0f} us, served again after {recovered * 1e3:.0f} ms")
        assert recovered < within(1)
        for sock in flood:
            sock.close()


def test_enough_descriptors_for_this_test():
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] > IDLE + 200, "ulimit -Hn is too low for 5,000 connections"
