# SPDX-License-Identifier: Apache-2.0
"""Limits that bite: memory, time, processes, /tmp, output. After each the next request is served and nothing is left."""

import concurrent.futures
import re
import resource
import time

import pytest

from harness import HELLO, PROBE, Faasd, is_alive, wait_until, within

HOG = """#!/usr/bin/python3
data = bytearray()
while True:
    data += b"x" * 1048576
"""


@pytest.fixture(scope="module", autouse=True)
def hello(faasd):
    faasd.deploy("hello", HELLO, "--runtime", "native")


@pytest.fixture(autouse=True)
def next_request_is_served(faasd):
    yield
    assert faasd.invoke("hello", b"{}").status == 200


@pytest.mark.row("R3")
def test_over_memory_the_instance_dies_and_limit_and_peak_are_named(faasd):
    faasd.deploy_script("hog", HOG, "--memory", "48M")
    reply = faasd.invoke("hog")
    assert (reply.status, reply.error) == (502, "OutOfMemory")
    message = reply.json()["errorMessage"]
    assert "48M" in message and "peak" in message
    assert faasd.invoke("hog").error == "OutOfMemory"


@pytest.mark.row("R4")
def test_a_child_over_memory_takes_its_parent_along(faasd):
    faasd.deploy_script("hogchild", "#!/bin/sh\n/usr/bin/python3 -c 'b = bytearray(200000000)' &\nwait\nsleep 20\n", "--memory", "48M")
    began = time.monotonic()
    reply = faasd.invoke("hogchild")
    assert (reply.status, reply.error) == (502, "OutOfMemory")
    assert time.monotonic() - began < within(15)


@pytest.mark.row("R5")
def test_files_in_tmp_count_as_memory(faasd):
    faasd.deploy_script("tmphog", "#!/bin/sh\nhead -c 33554432 /dev/zero > /tmp/big\n", "--memory", "32M", "--tmp", "32M")
    assert faasd.invoke("tmphog").error == "OutOfMemory"


@pytest.mark.row("R13")
@pytest.mark.parametrize("script", [
    "sleep 60",
    "trap '' TERM INT HUP; while :; do sleep 1; done",
    "setsid sh -c 'trap \"\" TERM; sleep 60' & sleep 60",
    "(sh -c 'sleep 60 & sleep 60') & exec sleep 60",
    "while :; do :; done",
])
def test_over_time_is_504_and_every_process_is_dead(faasd, script):
    faasd.deploy_script("slow", f"#!/bin/sh\n{script}\n", "--timeout", "300ms", "--max-concurrency", "1")
    began = time.monotonic()
    reply = faasd.invoke("slow")
    took = time.monotonic() - began
    assert (reply.status, reply.error) == (504, "Timeout")
    assert "300ms" in reply.json()["errorMessage"]
    assert took >= 0.3
    wait_until(lambda: not [i for i in faasd.instances("slow") if i["state"] != "stopping"], "the instance is gone")


@pytest.mark.row("R1")
def test_a_fork_bomb_is_contained_and_named(faasd):
    faasd.deploy_script("bomb", "#!/bin/bash\nbomb() { bomb | bomb & }; bomb; sleep 30\n", "--timeout", f"{within(1):.0f}s", "--pids", "32")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        bomb = pool.submit(faasd.invoke, "bomb")
        while not bomb.done():
            assert faasd.invoke("hello", b"{}").status == 200
        reply = bomb.result()
    assert reply.status in (500, 502, 504)
    assert "pids" in reply.json()["errorMessage"] and "32" in reply.json()["errorMessage"]


@pytest.mark.row("F12")
def test_a_full_tmp_is_named(faasd):
    faasd.deploy_script("filler", "#!/bin/sh\nhead -c 20000000 /dev/zero > /tmp/big\n", "--tmp", "4M")
    reply = faasd.invoke("filler")
    assert (reply.status, reply.error) == (500, "FunctionError")
    assert "/tmp is full" in reply.json()["errorMessage"] and "4M" in reply.json()["errorMessage"]
    faasd.deploy_script("afterwards", "#!/bin/sh\nls -A /tmp | wc -l\n", "--tmp", "4M")
    assert faasd.invoke("afterwards").body.strip() == b"0"


@pytest.mark.row("R14")
def test_an_output_flood_is_cut_and_named(faasd):
    faasd.deploy_script("flood", "#!/bin/sh\nyes\n", "--timeout", f"{within(20):.0f}s")
    reply = faasd.invoke("flood")
    assert (reply.status, reply.error) == (502, "BadReply")
    assert "reply_bytes" in reply.json()["errorMessage"]


@pytest.mark.row("R14")
def test_a_log_flood_stays_within_its_cap(faasd):
    faasd.deploy_script("chatter", "#!/bin/sh\nhead -c 40000000 /dev/zero | tr '\\0' 'x' | fold -w 200 >&2\n", "--timeout", f"{within(30):.0f}s")
    reply = faasd.invoke("chatter")
    assert reply.status == 200, reply
    directory = faasd.root / "state" / "logs" / "chatter"
    wait_until(lambda: directory.exists(), "a log directory")
    assert sum(f.stat().st_size for f in directory.iterdir()) <= 11 * 1024 * 1024


@pytest.mark.row("R15")
def test_swap_does_not_soften_the_limit(faasd):
    test_over_memory_the_instance_dies_and_limit_and_peak_are_named(faasd)


@pytest.mark.row("R8")
def test_cpu_time_is_held_to_the_quota(faasd):
    faasd.deploy_script("spin", """#!/usr/bin/python3
import re
import resource
import time
began, used = time.monotonic(), time.process_time()
while time.monotonic() - began < 1.0:
    pass
print(time.process_time() - used)
""", "--cpus", "0.25", "--timeout", f"{within(20):.0f}s")
    reply = faasd.invoke("spin")
    assert reply.status == 200, reply
    assert float(reply.body) < 0.6


def test_a_queue_that_is_full_is_429_with_retry_after(faasd):
    faasd.deploy_script("busy", "#!/bin/sh\nsleep 1\n", "--max-concurrency", "1", "--queue", "2")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = [f.result() for f in [pool.submit(faasd.invoke, "busy") for _ in range(8)]]
    statuses = sorted(r.status for r in replies)
    assert statuses.count(200) == 3, statuses
    assert statuses.count(429) == 5, statuses
    throttled = [r for r in replies if r.status == 429][0]
    assert throttled.error == "TooManyRequests" and int(throttled.headers["Retry-After"]) >= 1
    assert "queue" in throttled.json()["errorMessage"]


@pytest.mark.row("I13")
def test_a_crashing_function_costs_only_its_own_requests(faasd):
    faasd.deploy_script("sometimes", "#!/bin/sh\nread x; [ \"$x\" = die ] && kill -9 $$; echo fine\n")
    for n in range(40):
        reply = faasd.invoke("sometimes", b"die" if n % 4 == 0 else b"live")
        assert reply.status == (502 if n % 4 == 0 else 200), reply


@pytest.mark.row("R12")
def test_timers_of_functions_leave_the_hosts_own_their_half():
    """The kernel counts them as those of whoever made the sandbox's user namespace too, root: enough sandboxes, and no service of the host had one left."""
    limit = (300, 300)
    with Faasd(popen={"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_SIGPENDING, limit)}) as daemon:
        daemon.deploy("probe", PROBE, "--runtime", "exec")
        found = daemon.invoke("probe", b"R12").json()
    made = int(re.match(r"after (\d+): EAGAIN", found["detail"]).group(1))
    assert made <= limit[0] // 2, found
