# SPDX-License-Identifier: Apache-2.0
"""Cold, from a template, warm, and fresh for every request: each runtime, beside what people use today (peers.py)."""

import http.client
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import threading

import cold
from harness import HELLO, REPO, wait_until

PLAIN = """import json

def handler(event, context):
    return {"hello": event.get("name")}
"""

# More than 100 ms of imports, all of them Python's own.
HEAVY_IMPORTS = ("asyncio http.server xml.dom.minidom unittest.mock multiprocessing.managers xmlrpc.server sqlite3 email.mime.multipart pydoc ctypes decimal "
                 "logging.config concurrent.futures statistics imaplib ftplib tarfile zipfile")
HEAVY = "".join(f"import {name}\n" for name in HEAVY_IMPORTS.split()) + "\n" + PLAIN

FRESH = """import os

process = None
seen = 0

def handler(event, context):
    global process, seen
    if process is None:
        process = os.urandom(8).hex()
    seen += 1
    return {"process": process, "pid": os.getpid(), "seen": seen}
"""

NODE = """export const handler = async (event) => ({hello: event.name});
"""

LUA = str(REPO / "tests/bench/report.lua")
FRESH_LUA = str(REPO / "tests/bench/fresh.lua")


def write(directory, name, text):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(text)
    return directory


def descendants(pid):
    found = [pid]
    for parent in found:
        try:
            found += [int(p) for p in pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
        except OSError:
            pass
    return found


def wrk(host, port, path, connections, seconds, script=LUA):
    done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script, f"http://{host}:{port}{path}"], capture_output=True, text=True)
    found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if not found:
        raise RuntimeError(f"load on {path} failed: {done.stdout}{done.stderr}")
    return json.loads(found.group(1))


class Bench:
    def __init__(self, daemon, build, directory, note):
        self.daemon = daemon
        self.build = build
        self.note = note
        self.sources = {
            "native": (HELLO, ["--runtime", "native"]),
            "python": (write(directory / "plain", "app.py", PLAIN), ["--runtime", "python"]),
            "python, heavy imports": (write(directory / "heavy", "app.py", HEAVY), ["--runtime", "python"]),
        }
        if shutil.which("node", path="/usr/bin"):
            self.sources["node"] = (write(directory / "node", "index.mjs", NODE), ["--runtime", "node"])
        self.fresh = {
            "native": (build / "bench" / "fresh", ["--runtime", "native"]),
            "python": (write(directory / "fresh", "app.py", FRESH), ["--runtime", "python"]),
        }

    def deploy(self, name, source, *options):
        path, runtime = source
        self.daemon.deploy(name, path, *runtime, *options)

    # -- from nothing --

    def cold(self, requester, tree, samples, idle_s):
        results = {}
        for label, source in self.sources.items():
            self.note(f"  cold start, {label}, {samples} samples")
            self.deploy("coldstart", source, "--keep-warm", "10ms")
            requester.fire(["/function/coldstart"])
            taken = cold.measure(self.daemon, requester, ["coldstart"], (tree, samples, idle_s))
            results[label] = [n / 1e6 for n in taken]
            self.daemon.cli("rm", "coldstart")
        return results

    # -- from a template: every request gets a process forked from it --

    def idle_children(self, name):
        return sum(i["state"] == "idle" for i in self.daemon.instances(name))

    def spare(self, requester, samples):
        """A spare child stands ready before each sample."""
        results = {}
        for label, source in self.sources.items():
            if label == "node":
                continue
            self.note(f"  from a template, with a spare, {label}, {samples} samples")
            self.deploy("forked", source, "--isolation", "fork")
            requester.fire(["/function/forked"])
            taken = []
            for _ in range(samples):
                wait_until(lambda: self.idle_children("forked") >= 1, "a spare child")
                taken += requester.fire(["/function/forked"])
            results[label] = [n / 1e6 for n in taken]
            self.daemon.cli("rm", "forked")
        return results

    def no_spare(self, samples):
        """More requests at once than children stand ready: those that waited for a fork say so, and how long it took."""
        results = {}
        for label, source in self.sources.items():
            if label == "node":
                continue
            self.note(f"  from a template, without a spare, {label}")
            taken = []
            while len(taken) < samples:
                self.deploy("burst", source, "--isolation", "fork", "--max-concurrency", "8")
                self.daemon.invoke("burst", b"{}")
                wait_until(lambda: self.idle_children("burst") >= 1, "a spare child")
                before = len(taken)
                threads = [threading.Thread(target=self.ask, args=("burst", taken)) for _ in range(8)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                self.daemon.cli("rm", "burst")
                if len(taken) == before:
                    raise RuntimeError(f"no request of {label} waited for a fork")
            results[label] = taken
        return results

    def ask(self, name, taken):
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=30)
        connection.request("POST", f"/function/{name}", body=b"{}")
        reply = connection.getresponse()
        reply.read()
        if reply.status == 200 and reply.headers["X-Faasd-Start"] == "fork":
            taken.append(float(re.search(r"init;dur=([0-9.]+)", reply.headers["Server-Timing"]).group(1)))
        connection.close()

    # -- warm --

    def warm(self, peers, rounds, seconds):
        targets = {}
        for number, (label, source) in enumerate(self.sources.items()):
            self.deploy(f"warm{number}", source)
            targets[f"faasd, {label}"] = (self.daemon.host, self.daemon.port, f"/function/warm{number}")
        targets.update({name: target[:3] for name, target in peers.items()})
        taken = {}
        for number in range(rounds):
            for connections in (1, 16):
                for name, target in targets.items():
                    self.note(f"  warm, {name}, {connections}, round {number + 1} of {rounds}")
                    taken.setdefault((name, connections), []).append(wrk(*target, connections, seconds))
        for number in range(len(self.sources)):
            self.daemon.cli("rm", f"warm{number}")
        return {name: {c: {k: statistics.median(r[k] for r in taken[name, c]) for k in ("rps", "p50_us", "p99_us")} for c in (1, 16)} for name in targets}

    # -- many at once --

    def many(self, count):
        """Proportional memory (PSS) of `count` idle Python instances, templates and their inits included, per instance."""
        self.note(f"  memory of {count} forked python instances")
        self.deploy("many", self.sources["python"], "--memory", "32M", "--tmp", "1M", "--min-warm", str(count), "--max-concurrency", str(count))
        self.daemon.invoke("many", b"{}")
        wait_until(lambda: self.idle_children("many") >= count, f"{count} instances", 180)
        pss = sum(self.proportional_kib(pid) for root in self.daemon.sandbox_pids() for pid in descendants(root))
        templates = sum(i["state"] == "template" for i in self.daemon.instances("many"))
        self.daemon.cli("rm", "many")
        return {"instances": count, "templates": templates, "pss_kib_each": pss / count}

    @staticmethod
    def proportional_kib(pid):
        try:
            return int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE).group(1))
        except (OSError, AttributeError):
            return 0  # it has ended

    # -- fresh for every request, for long --

    def sustained(self, seconds):
        results = {}
        for isolation in ("fork", "sandbox"):
            for label, source in self.fresh.items():
                self.note(f"  {label}, isolation {isolation}, {seconds} s at saturation")
                self.deploy("fresh", source, "--isolation", isolation)
                r = wrk(self.daemon.host, self.daemon.port, "/function/fresh", 16, seconds, FRESH_LUA)
                self.daemon.cli("rm", "fresh")
                # The last few replies may have come after the last count.
                if r["used"] or r["refused"] or r["fresh"] < r["requests"] - 64:
                    raise RuntimeError(f"isolation {isolation}, {label}: {r}: a request met a process that had seen another, or failed")
                results[f"{label}, {isolation}"] = r
        return results


def fork_by_turns(daemon, build, targets, rounds, seconds):
    """Requests a second, one list per target and faasd's native `isolation: fork` first: each in turn, so that a slow moment of the machine meets them all."""
    daemon.deploy("fresh", build / "bench" / "fresh", "--runtime", "native", "--isolation", "fork")
    targets = {"faasd, native, fork": (daemon.host, daemon.port, "/function/fresh"), **targets}
    taken = {name: [] for name in targets}
    for _ in range(rounds):
        for name, target in targets.items():
            r = wrk(*target[:3], 16, seconds, FRESH_LUA if target[2] == "/function/fresh" else LUA)
            if r.get("used") or r.get("refused") or r.get("errors"):
                raise RuntimeError(f"{name}: {r}")
            taken[name].append(r["rps"])
    daemon.cli("rm", "fresh")
    return taken


def interpreter_start(samples):
    """The plain interpreter with the same imports, no sandbox, no HTTP: what a template saves."""
    results = {}
    for label, code in (("python", "import json"), ("python, heavy imports", "import " + ", ".join(HEAVY_IMPORTS.split()))):
        taken = subprocess.run([str(pathlib.Path("/usr/bin/python3")), "-c", SPAWN, str(samples), code], capture_output=True, text=True, check=True)
        results[label] = [float(line) for line in taken.stdout.split()]
    return results


SPAWN = """
import subprocess, sys, time
for _ in range(int(sys.argv[1])):
    began = time.perf_counter()
    subprocess.run(["/usr/bin/python3", "-W", "ignore", "-c", sys.argv[2]], check=True)
    print((time.perf_counter() - began) * 1e3)
"""
