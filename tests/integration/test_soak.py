# SPDX-License-Identifier: Apache-2.0
"""Many requests, one in ten of which crashes, hangs or runs out of memory: every one gets its own answer, and nothing is left of any of them.

FAASD_SOAK_REQUESTS says how many; the promise is about 100,000.
"""

import collections
import os
import random
import threading
import time

from harness import HELLO, PROBE, Faasd, has_stock, is_sanitized, wait_until
from leftovers import KeptConnection, beneath, is_stock, look, names_of, resident

REQUESTS = int(os.environ.get("FAASD_SOAK_REQUESTS", "12000"))
CLIENTS = 24
# The ring of log lines keeps up to 128 KiB of touched pages until it gives them back; as much again for the tops of heaps.
RESIDENT_SLACK_KB = 256

SCRIPT = """#!/bin/sh
read event
case $event in
fail) echo reason >&2; exit 3 ;;
kill) kill -9 $$ ;;
*) echo fine ;;
esac
"""
HOG = """#!/bin/sh
exec tail /dev/zero
"""
SLEEPER = """#!/bin/sh
setsid sleep 60 &
sleep 60
"""

GOOD = {
    ("hello", b'{"name":"soak"}'): 60,
    ("script", b"live\n"): 15,
    ("worker", b"live"): 15,
}
BAD = {
    ("script", b"fail\n"): (500, "FunctionError"),
    ("script", b"kill\n"): (502, "FunctionCrashed"),
    ("worker", b"abort"): (502, "FunctionCrashed"),
    ("worker", b"exit"): (502, "FunctionCrashed"),
    ("worker", b"garbage"): (502, "BadReply"),
    ("hanger", b"hang"): (504, "Timeout"),
    ("sleeper", b""): (504, "Timeout"),
    ("hog", b""): (502, "OutOfMemory"),
}


def run(faasd, count, seed):
    """`count` requests from CLIENTS connections; every answer that was not the expected one."""
    surprises, tally = [], collections.Counter()
    guard = threading.Lock()

    def client(number):
        rng = random.Random(seed * 1000 + number)
        connection = KeptConnection(faasd)
        good, weights, bad = list(GOOD), list(GOOD.values()), list(BAD)
        mine = collections.Counter()
        for _ in range(count // CLIENTS):
            what = rng.choice(bad) if rng.random() < 0.1 else rng.choices(good, weights)[0]
            expected = BAD.get(what, (200, None))
            status, error, body = connection.call(*what)
            mine[what] += 1
            if (status, error) != expected:
                surprises.append((what, expected, status, error, body[:300]))
        connection.socket.close()
        with guard:
            tally.update(mine)

    failed = []

    def guarded(number):
        try:
            client(number)
        except Exception as e:  # a thread's failure is the test's
            failed.append(repr(e))

    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    return surprises, tally


def come_to_rest(faasd, group):
    """All instances have gone, by keep_warm, with their groups, and every connection is closed."""
    wait_until(lambda: not any(faasd.instances(n) for n in {w[0] for w in [*GOOD, *BAD]}), "the pools are empty")
    wait_until(lambda: not faasd.sandbox_pids(), "no sandbox lives")
    wait_until(lambda: faasd.system()["connections"] == 1, "the connections are closed")
    wait_until(lambda: has_stock(faasd) and is_stock(beneath(group)), "what is made ahead is there again, and nothing else")


def deploy_all(faasd):
    warm = ["--keep-warm", "300ms", "--max-concurrency", "4"]
    faasd.deploy("hello", HELLO, "--runtime", "native", *warm)
    faasd.deploy("worker", PROBE, "--runtime", "native", *warm)
    faasd.deploy("hanger", PROBE, "--runtime", "native", "--timeout", "200ms", *warm, "--max-concurrency", "12")
    faasd.deploy_script("script", SCRIPT, *warm)
    faasd.deploy_script("hog", HOG, "--memory", "16M", *warm)
    faasd.deploy_script("sleeper", SLEEPER, "--timeout", "200ms", *warm, "--max-concurrency", "12")


def test_one_request_in_ten_goes_wrong_and_nothing_is_left_of_it():
    # The backoff of a function whose every request crashes is for its users' good; here it would only make the test wait.
    # As many records as the first requests fill, and a database of failures that is open before the counting begins: both are kept on purpose.
    records = {"memory": 512, "flush": "100ms"}
    with Faasd(config={"crash_backoff": "5ms", "queue_timeout": "60s", "idle_deadline": "10m", "records": records}) as faasd:
        deploy_all(faasd)
        assert faasd.invoke("hello", b"{}").status == 200
        group = names_of(faasd)
        assert beneath(group), "a living sandbox has its groups"
        first = max(REQUESTS // 20, 40 * CLIENTS)
        surprises, _ = run(faasd, first, 1)
        assert not surprises, (len(surprises), surprises[:5], faasd.log_text()[-2000:])
        come_to_rest(faasd, group)
        wait_until(lambda: (faasd.root / "state/db/records.db-wal").exists(), "failures are on disk")
        before, before_kb = look(faasd, group), resident(faasd)

        began = time.monotonic()
        surprises, tally = run(faasd, REQUESTS - first, 2)
        took = time.monotonic() - began
        assert not surprises, (len(surprises), surprises[:5], faasd.log_text()[-2000:])
        come_to_rest(faasd, group)
        wait_until(lambda: look(faasd, group) == before, f"as before: {before}, now {look(faasd, group)}")
        after_kb = resident(faasd)
        bad = sum(tally[w] for w in BAD)
        print(f"\n{sum(tally.values())} requests, {bad} of them bad, in {took:.1f} s; kB before {before_kb}, after {after_kb}; {before}")
        # A sanitizer's runtime keeps freed memory back on purpose.
        for what, then in ({} if is_sanitized() else before_kb).items():
            assert after_kb[what] - then <= RESIDENT_SLACK_KB, f"{what} grew from {then} to {after_kb[what]} kB"
        assert 0.08 < bad / sum(tally.values()) < 0.12
        assert all(tally[w] for w in [*GOOD, *BAD]), tally
