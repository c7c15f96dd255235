# SPDX-License-Identifier: Apache-2.0
"""What a person waits for: a deploy until the function serves, and with ten thousand functions the list and the start; and what those cost a warm call."""

import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time

MANY = 10000
FILES = 16
BYTES = 1 << 20
HERE = pathlib.Path(__file__).resolve().parent
DISPATCH_SECONDS, DISPATCH_ROUNDS, DISPATCH_MAX = 1, 9, 1.05
AIMS = {"deploy": ("a directory of 1 MB, until it serves", 50), "ls": (f"faasd ls, {MANY} functions", 100), "start": (f"start with {MANY} functions", 1000)}


def make_directory(directory, hello):
    """1 MB that does not compress, a native program among it."""
    shutil.copy(hello, directory / "hello")
    left = BYTES - (directory / "hello").stat().st_size
    for number in range(FILES):
        (directory / f"data{number}").write_bytes(os.urandom(left // FILES))


def deploys(daemon, hello, samples):
    """Each is of other bytes, so nothing is there already. The command returns when an instance of it is ready; then it is asked."""
    taken = []
    with tempfile.TemporaryDirectory(prefix="faasd-bench-") as name:
        directory = pathlib.Path(name)
        make_directory(directory, hello)
        os.chmod(directory, 0o755)
        for _ in range(samples):
            (directory / "data0").write_bytes(os.urandom(BYTES // FILES))
            began = time.monotonic_ns()
            daemon.deploy("million", directory, "--runtime", "native", "--handler", "hello")
            reply = daemon.invoke("million", b'{"name":"world"}')
            taken.append(time.monotonic_ns() - began)
            assert reply.status == 200, reply
    return taken


def multiply(root):
    """The one function's rows under other names: deploying ten thousand would take longer than all that is measured."""
    db = sqlite3.connect(root / "state" / "db" / "faasd.db")
    columns = [row[1] for row in db.execute("PRAGMA table_info(revisions)")]
    others = ", ".join(c for c in columns if c != "function")
    with db:
        for number in range(MANY - 1):
            db.execute(f"INSERT INTO revisions (function, {others}) SELECT ?, {others} FROM revisions WHERE function = 'one'", (f"function-{number}",))
    db.close()


def warm_us(daemon):
    """The median of warm calls on one connection."""
    done = subprocess.run(["wrk", "-t1", "-c1", f"-d{DISPATCH_SECONDS}s", "--latency", "-s", HERE / "report.lua", f"http://{daemon.host}:{daemon.port}/function/one"],
                          capture_output=True, text=True)
    found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if not found or json.loads(found.group(1))["errors"]:
        raise SystemExit(f"bench: calls failed: {done.stdout}{done.stderr}")
    return json.loads(found.group(1))["p50_us"]


def dispatch(hello, daemon, faasd_class):
    """Of a daemon with ten thousand functions and of one with one, by turns; the best round of each, which is the one that nothing else disturbed."""
    among_many, alone = [], []
    with faasd_class() as other:
        other.deploy("one", hello, "--runtime", "native")
        for _ in range(DISPATCH_ROUNDS):
            alone.append(warm_us(other))
            among_many.append(warm_us(daemon))
    return min(among_many), min(alone)


def many(hello, samples, faasd_class, program):
    listed, started = [], []
    with faasd_class({"functions": MANY}) as daemon:
        daemon.deploy("one", hello, "--runtime", "native")
        daemon.stop()
        multiply(daemon.root)
        for _ in range(max(3, samples // 4)):
            began = time.monotonic_ns()
            daemon.start()
            started.append(time.monotonic_ns() - began)
            daemon.stop()
        daemon.start()
        for _ in range(samples):
            began = time.monotonic_ns()
            done = subprocess.run([program, "ls", "--root", daemon.root], stdout=subprocess.PIPE, check=True)
            listed.append(time.monotonic_ns() - began)
        assert done.stdout.count(b"\n") == MANY + 1
        return listed, started, dispatch(hello, daemon, faasd_class)


def measure(samples, summary, note):
    from harness import FAASD, HELLO, Faasd
    note(f"  deploys of a directory of 1 MB, {samples} samples")
    with Faasd() as daemon:
        results = {"deploy": summary(deploys(daemon, HELLO, samples))}
    note(f"  {MANY} functions")
    listed, started, (among_many, alone) = many(HELLO, samples, Faasd, FAASD)
    results["ls"], results["start"] = summary(listed), summary(started)
    results["dispatch"] = {"many_us": among_many, "one_us": alone, "ratio": among_many / alone}
    return results


def show(results):
    print(f"\n{'what a person waits for':44}{'p50 ms':>9}{'p90 ms':>9}{'max ms':>10}")
    for key, (label, _) in AIMS.items():
        row = results[key]
        print(f"{label:44}{row['p50_ms']:9.1f}{row['p90_ms']:9.1f}{row['max_ms']:10.1f}")
    d = results["dispatch"]
    print(f"a warm call, one connection, by turns: {d['many_us']:.0f} us with {MANY} functions, {d['one_us']:.0f} us with one ({d['ratio']:.2f}x)")


def aims(results):
    ratio = results["dispatch"]["ratio"]
    return [(label, f"{results[key]['p50_ms']:.1f} ms", f"<= {limit} ms", results[key]["p50_ms"] <= limit) for key, (label, limit) in AIMS.items()] + [
        (f"a warm call among {MANY} functions", f"{ratio:.2f}x", f"<= {DISPATCH_MAX}x of one's", ratio <= DISPATCH_MAX)]
