# SPDX-License-Identifier: Apache-2.0
"""What the daemon does while its processes are killed: calls of each kind, asynchronous ones, deploys and removals, each with what was acknowledged of it."""

import collections
import http.client
import pathlib
import random
import re
import shutil
import tempfile
import threading
import time

from harness import HELLO, PROGRAMS, UnixHTTPConnection, wait_until

COMMON = ["--memory", "64M", "--keep-warm", "300ms", "--max-concurrency", "4"]
ASYNC_CONCURRENCY = 3
CLIENTS = 8
PAUSE_S = 0.01
# name -> event, what the whole answer looks like
GOOD = {
    "reuse": (b'{"name":"storm"}', rb'\{"message":"hello storm"\}\n'),
    "sandbox": (b'{"name":"storm"}', rb'\{"message":"hello storm"\}\n'),
    "forks": (b'{"numbers":[1,2,3]}', rb'\{"sum": 6\}'),
    "template": (b"{}", rb"0x[0-9a-f]+"),
    "script": (b"live\n", rb"fine\n"),
}
TEMPLATED = ("forks", "template", "changing2")
# What a request may be told while processes are killed: its own was, or there is none yet.
ALLOWED = {(502, "FunctionCrashed"), (503, "NoCapacity"), (429, "TooManyRequests")}
CUT_OFF = (OSError, http.client.HTTPException)
MARK = "#!/bin/sh\nset -e\necho $FAASD_REQUEST_ID >>/out/ran\nsleep 0.0$(cat)\n"
PYTHON = "def handler(event, context):\n    return {'sum': sum(event['numbers'])}\n"


def deploy_all(faasd, out):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-fn-"))
    (directory / "app.py").write_text(PYTHON)
    faasd.deploy("reuse", HELLO, "--runtime", "native", *COMMON)
    faasd.deploy("sandbox", HELLO, "--runtime", "native", "--isolation", "sandbox", *COMMON)
    faasd.deploy("forks", directory, "--runtime", "python", "--isolation", "fork", *COMMON)
    faasd.deploy("template", PROGRAMS / "turncoat", "--runtime", "native", "--template", "on", *COMMON)
    faasd.deploy_script("script", "#!/bin/sh\nread event\necho fine\n", *COMMON)
    faasd.deploy_script("bad", "#!/bin/sh\nexit 3\n", *COMMON)
    faasd.deploy_script("mark", MARK, "--mount", f"{out}:/out:rw", *COMMON, "--max-concurrency", str(ASYNC_CONCURRENCY), "--async-retries", "0")
    shutil.rmtree(directory)


def invoke(faasd, name, event=b"{}"):
    """By the socket, whose name stays over a restart."""
    return faasd.request("POST", f"/function/{name}", event, socket_path=faasd.root / "run/invoke.sock")


class Worker:
    """Does one thing again and again, in a thread; what surprised it is the storm's failure."""

    def __init__(self, storm, seed):
        self.storm, self.faasd, self.rng = storm, storm.faasd, random.Random(seed)

    def run(self):
        try:
            while not self.storm.stopped.is_set():
                self.once()
        except Exception as e:
            self.storm.surprise(repr(e))

    def pause(self):
        """The load has stopped for a while."""


class Caller(Worker):
    """Calls the good functions on one connection, anew when it is cut off."""

    connection = None

    def once(self):
        name = self.rng.choice(list(GOOD))
        event, expected = GOOD[name]
        try:
            if not self.connection:
                self.connection = UnixHTTPConnection(self.faasd.root / "run/invoke.sock")
            self.connection.request("POST", f"/function/{name}", event)
            response = self.connection.getresponse()
            status, error, body = response.status, response.headers.get("X-Faasd-Error"), response.read()
        except CUT_OFF:
            self.connection.close()
            self.connection = None
            self.storm.count("cut off")
            time.sleep(PAUSE_S)
            return
        self.storm.count((status, error))
        if status == 200 and not re.fullmatch(expected, body) or status != 200 and (status, error) not in ALLOWED:
            self.storm.surprise(f"{name}: {status} {error} {body[:300]!r}")
        time.sleep(self.rng.choice([0, 0, PAUSE_S]))

    def pause(self):
        if self.connection:
            self.connection.close()
            self.connection = None


class Enqueuer(Worker):
    """Queues calls, and keeps every id that a 202 told."""

    def once(self):
        try:
            reply = self.faasd.request("POST", "/async-function/mark", str(self.rng.randrange(1, 4)).encode(), socket_path=self.faasd.root / "run/invoke.sock")
            if reply.status == 202:
                self.storm.accepted.append(reply.json()["id"])
            elif (reply.status, reply.error) not in ALLOWED:
                self.storm.surprise(f"asynchronous call: {reply}")
        except CUT_OFF:
            pass
        time.sleep(5 * PAUSE_S)


class Deployer(Worker):
    """Deploys one function again and again, and removes it sometimes. What it may answer is known all the time: what was acknowledged last or, where the daemon died under an
    operation, that or what the operation wanted."""

    def __init__(self, storm, seed, number):
        super().__init__(storm, seed)
        self.name, self.is_python = f"changing{number}", number == 2
        self.serial, self.may_be = 0, {None}
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-fn-"))
        for ballast in range(3):  # an upload is more than one file
            (self.directory / f"ballast{ballast}").write_bytes(self.rng.randbytes(1 << 16))

    def once(self):
        self.check()
        if self.rng.random() < 0.15 and self.may_be != {None}:
            wanted, outcome = None, self.remove()
        else:
            self.serial += 1
            wanted, outcome = self.serial, self.deploy()
        self.storm.count(("deploy" if wanted else "removal", outcome))
        if outcome == "done":
            self.may_be = {wanted}
        elif outcome == "cut off":
            self.may_be.add(wanted)

    def deploy(self):
        if self.is_python:
            (self.directory / "app.py").write_text(f"def handler(event, context):\n    return {self.serial}\n")
            what = ["--runtime", "python", "--handler", "app.handler"]
        else:
            (self.directory / "run").write_text(f"#!/bin/sh\necho {self.serial}\n")
            (self.directory / "run").chmod(0o755)
            what = ["--runtime", "exec", "--handler", "run"]
        done = self.faasd.deploy(self.name, self.directory, *what, *COMMON, check=False)
        if done.returncode == 0:
            return "done"
        # An error of the daemon's own names its type: then nothing was changed.
        return "refused" if re.search(r"\(\w+\)\s*$", done.err) else "cut off"

    def remove(self):
        try:
            reply = self.faasd.control("DELETE", f"/v1/functions/{self.name}")
        except CUT_OFF:
            return "cut off"
        return "done" if reply.status < 300 or reply.status == 404 and None in self.may_be else "refused"

    def ask(self):
        """Which version serves, None for none, or "?" when nobody could tell."""
        try:
            reply = invoke(self.faasd, self.name)
        except CUT_OFF:
            return "?"
        if reply.status == 404:
            return None
        if reply.status == 200:
            return int(reply.body)
        if (reply.status, reply.error) not in ALLOWED:
            self.storm.surprise(f"{self.name}: {reply}")
        return "?"

    def check(self):
        served = self.ask()
        if served == "?":
            time.sleep(PAUSE_S)
            return
        if served not in self.may_be:
            self.storm.surprise(f"{self.name} serves {served}, and may be {self.may_be} only")
        self.may_be = {served}

    def check_at_rest(self):
        wait_until(lambda: self.ask() != "?", f"{self.name} answers")
        self.check()


class Load:
    """All of them at once, until `stop`. What was acknowledged is remembered from one time to the next."""

    def __init__(self, faasd, seed):
        self.faasd = faasd
        self.stopped, self.guard = threading.Event(), threading.Lock()
        self.accepted, self.surprises, self.tally = [], [], collections.Counter()
        self.deployers = [Deployer(self, seed + n, n) for n in range(3)]
        self.workers = [*self.deployers, *(Caller(self, seed + 100 + n) for n in range(CLIENTS)), *(Enqueuer(self, seed + 200 + n) for n in range(2))]
        self.threads = []

    def count(self, what):
        with self.guard:
            self.tally[what] += 1

    def surprise(self, text):
        with self.guard:
            self.surprises.append(text)

    def start(self):
        self.stopped.clear()
        self.threads = [threading.Thread(target=worker.run, daemon=True) for worker in self.workers]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        for worker in self.workers:
            worker.pause()
