# SPDX-License-Identifier: Apache-2.0
"""A daemon in a pid namespace of few pids, beside strangers that take each pid as soon as it is free. test_pid_reuse.py runs it in such a namespace, as its first process; it prints
what was answered, how often the pids began anew, and how each stranger ended."""

import collections
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

from harness import HELLO, PROGRAMS, Faasd

PIDS = 500
STRANGERS = 100
FINE = 42  # how a stranger ends when it is told to
WRAPS = 6  # so often the pids begin anew
SECONDS = 80  # at most


def stranger():
    """Waits for its USR1, which is blocked; whatever else it is sent ends it in another way."""
    pid = os.fork()
    if pid == 0:
        signal.sigwait({signal.SIGUSR1})
        os._exit(FINE)
    return pid


def strangers():
    """One after the other ends and is replaced, until the pids have begun anew often enough or the input ends. Prints how they ended, and how often a pid was smaller than the one before."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    os.set_blocking(0, False)
    rng, ends, wraps, last = random.Random(1), collections.Counter(), 0, 0
    alive = [stranger() for _ in range(STRANGERS)]
    over = False
    while alive:
        at = rng.randrange(len(alive))
        os.kill(alive[at], signal.SIGUSR1)
        _, status = os.waitpid(alive[at], 0)
        ends[str(os.waitstatus_to_exitcode(status))] += 1
        try:
            over = over or wraps == WRAPS or os.read(0, 1) == b""
        except BlockingIOError:
            pass
        if over:
            alive.pop(at)
            continue
        alive[at] = stranger()
        wraps += alive[at] < last
        last = alive[at]
        time.sleep(0.001)
    print(json.dumps({"ends": ends, "wraps": wraps}))


# What is called, with what; the answers that are right.
CALLS = (("sandbox", b'{"name":"x"}', (200, None)), ("forks", b"", (200, None)), ("forks", b"slow 400", (504, "Timeout")), ("forks", b"crash", (502, "FunctionCrashed")),
         ("leaver", b"", (504, "Timeout")), ("script", b"", (200, None)))


class Client(threading.Thread):
    def __init__(self, faasd, number, over):
        super().__init__()
        self.faasd, self.rng, self.over, self.seen = faasd, random.Random(number), over, collections.Counter()

    def run(self):
        while not self.over.is_set():
            name, event, right = self.rng.choice(CALLS)
            reply = self.faasd.invoke(name, event)
            self.seen["right" if (reply.status, reply.error) == right else f"{name} {event!r}: {reply}"] += 1


def deploy(faasd):
    common = ["--keep-warm", "50ms", "--max-concurrency", "3"]
    faasd.deploy("sandbox", HELLO, "--runtime", "native", "--isolation", "sandbox", *common)
    faasd.deploy("forks", PROGRAMS / "turncoat", "--runtime", "native", "--isolation", "fork", "--timeout", "150ms", *common)
    faasd.deploy_script("leaver", "#!/bin/sh\nsetsid sleep 60 &\nsleep 60\n", "--timeout", "150ms", *common)
    faasd.deploy_script("script", "#!/bin/sh\n/bin/true; /bin/true\n", *common)


def main():
    pathlib.Path("/proc/sys/kernel/pid_max").write_text(str(PIDS))
    others = subprocess.Popen([sys.executable, __file__, "strangers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    over = threading.Event()
    with Faasd({"crash_backoff": "5ms", "queue_timeout": "60s"}) as faasd:
        deploy(faasd)
        clients = [Client(faasd, number, over) for number in range(3)]
        for client in clients:
            client.start()
        end, deploys = time.monotonic() + SECONDS, 0
        while time.monotonic() < end and others.poll() is None:
            faasd.deploy_script("again", f"#!/bin/sh\necho {deploys}\n", "--keep-warm", "50ms")
            deploys += 1
        over.set()
        for client in clients:
            client.join()
    seen = sum((client.seen for client in clients), collections.Counter())
    print(json.dumps({"calls": seen, "deploys": deploys, **json.loads(others.communicate("")[0])}))


if __name__ == "__main__":
    strangers() if sys.argv[1:] == ["strangers"] else main()
