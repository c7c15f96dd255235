# SPDX-License-Identifier: Apache-2.0
"""Asynchronous calls beside the disk: how many are accepted a second, each durable, how often this disk can flush, and what a million waiting calls cost a start."""

import json
import os
import pathlib
import re
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS = 64
WAITING = 1000000
# Where a disk is likelier than under /tmp.
DISK = "/var/tmp"


def flush_rate(directory, seconds):
    """fdatasync of one page at a time, written over: the least that one durable write costs."""
    with tempfile.TemporaryFile(dir=directory, buffering=0) as f:
        f.write(b"\0" * (1 << 20))
        os.fsync(f.fileno())
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            os.pwrite(f.fileno(), os.urandom(4096), count % 256 * 4096)
            os.fdatasync(f.fileno())
            count += 1
    return count / seconds


def load(daemon, seconds):
    done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", HERE / "enqueue.lua",
                           f"http://{daemon.host}:{daemon.port}/async-function/hold"], capture_output=True, text=True)
    found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if not found or json.loads(found.group(1))["errors"]:
        raise SystemExit(f"bench: queueing failed: {done.stdout}{done.stderr}")
    return json.loads(found.group(1))


def fill(root, count):
    """Rows as the gateway writes them, put in from outside while it is down."""
    db = sqlite3.connect(root / "state" / "db" / "calls.db")
    db.execute("PRAGMA synchronous = OFF")
    head = b"POST /function/hold HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n"
    now, each = db.execute("SELECT queue_ms FROM state").fetchone()[0], 512 + len(head) + 7
    rows = ((os.urandom(16), "hold", now, now, 1, 0, 0, 0, each, 0, "", "", head, b'{"n":1}') for _ in range(count))
    db.executemany("INSERT INTO calls (id, function, due, accepted, accepted_real, attempts, delays, hops, bytes, http_status, error, message, head, body)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    db.execute("UPDATE state SET queued = queued + ?, queued_bytes = queued_bytes + ?", (count, count * each))
    db.commit()
    db.close()


def deploy_hold(daemon):
    """A function that keeps the first of its calls for the whole load: what is measured is acceptance."""
    daemon.deploy_script("hold", "#!/bin/sh\nsleep 600\n", "--max-concurrency", "1", "--timeout", "15m")


def measure(seconds, rounds, note):
    from harness import Faasd
    root = pathlib.Path(tempfile.mkdtemp(prefix="faasd-bench-", dir=DISK))
    config = {"async": {"calls": 10 * WAITING, "bytes": "16G"}, "drain": "0s"}
    taken, floors = [], []
    try:
        with Faasd(config=config, root=root) as daemon:
            deploy_hold(daemon)
            for number in range(rounds):
                note(f"  queueing, {CONNECTIONS} connections, round {number + 1} of {rounds}")
                floors.append(flush_rate(root, 1))
                taken.append(load(daemon, seconds))
        note(f"  a start with {WAITING} calls waiting")
        fill(root, WAITING)
        began = time.monotonic()
        with Faasd(root=root) as daemon:
            ready = time.monotonic() - began
            queued = daemon.control("GET", "/v1/calls").json()["queued"]
            counted = time.monotonic() - began
            assert queued >= WAITING
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return {"rps": statistics.median(r["rps"] for r in taken), "p50_us": statistics.median(r["p50_us"] for r in taken),
            "p99_us": statistics.median(r["p99_us"] for r in taken), "flushes": statistics.median(floors), "waiting": queued,
            "ready_s": ready, "counted_s": counted}


def show(r):
    print(f"\ncalls queued, each on disk, {CONNECTIONS} connections: {r['rps']:.0f} a second, p50 {r['p50_us'] / 1000:.2f} ms, p99 {r['p99_us'] / 1000:.2f} ms;"
          f" this disk flushes {r['flushes']:.0f} times a second ({r['rps'] / r['flushes']:.1f} calls a flush)")
    print(f"a start with {r['waiting']} calls waiting: ready after {r['ready_s']:.2f} s, the queue open after {r['counted_s']:.2f} s")


def aims(r):
    """Name, value, limit, whether it holds."""
    return [("durable calls a second", f"{r['rps']:.0f}", ">= 5000", r["rps"] >= 5000),
            ("start with a million calls waiting", f"{r['counted_s']:.2f} s", "<= 2 s", r["counted_s"] <= 2)]
