# SPDX-License-Identifier: Apache-2.0
"""What is done while faults are armed: each a function of the daemon that returns what came of it, as far as it may differ from one good run to the next: not at all.

A scene is bounded by deadlines of its own. What it returns when all is well is a string; when something failed it raises Told (a clear error came) or returns another one.
"""

import http.client
import itertools
import os
import pathlib
import shutil
import tempfile

from harness import HELLO, wait_until, within

CONFIG = {"crash_backoff": "1ms", "init_timeout": "2s", "drain": "1s", "async": {"retry_min": "20ms", "retry_max": "50ms"}}
LOUD = "#!/bin/sh\ncat\necho loud >&2\n"
TIMEOUT = within(12)
KEEP = ("--keep-warm", "1ms")
numbers = itertools.count(1)


class Told(Exception):
    """It failed, and the client was told why."""


class Dropped(Exception):
    """The connection ended without an answer."""


def ask(call):
    """The reply of a request; Told when it is one of faasd's errors, Dropped when there is none."""
    try:
        reply = call()
    except (http.client.HTTPException, ConnectionError) as e:
        raise Dropped(type(e).__name__) from e
    if reply.status < 400:
        return reply
    said = reply.json()["errorMessage"] if reply.error else ""
    if reply.status == 503 and not reply.headers.get("Retry-After"):
        raise AssertionError(f"503 without Retry-After: {said}")
    if not said:
        raise AssertionError(f"an error without a word: {reply}")
    raise Told(f"{reply.status} {reply.error}: {said}")


def command(done):
    if done.returncode == 0:
        return done
    assert done.err.startswith("faasd "), f"exit {done.returncode} and no word: {done.out} {done.err}"
    if any(word in done.err for word in ("closed the connection", "connection was closed", "reset", "daemon")):
        raise Dropped(done.err.strip())
    raise Told(done.err.strip())


def set_up(faasd):
    """The functions that scenes call; on leaving it nothing is warm."""
    faasd.deploy("hello", HELLO, "--runtime", "native")
    faasd.invoke("hello", b"{}")
    faasd.learn_group()
    faasd.cli("config", "hello", *KEEP)
    faasd.deploy_script("loud", LOUD, "--async-backoff", "20ms", *KEEP)
    faasd.deploy_script("sleeper", "#!/bin/sh\nsleep 60\n", "--timeout", "50ms", *KEEP)
    faasd.deploy_script("changed", "#!/bin/sh\necho 0\n", *KEEP)
    for name in ("loud", "sleeper", "changed"):
        faasd.invoke(name, b"")


def native(faasd):
    return ask(lambda: faasd.invoke("hello", b'{"name":"you"}', timeout=TIMEOUT)).body.decode()


def before_fork(faasd):
    if faasd.control("GET", "/v1/functions/forked").status == 404:
        faasd.deploy("forked", HELLO, "--runtime", "native", "--isolation", "fork", *KEEP)
        faasd.invoke("forked", b"{}")


def fork(faasd):
    """A template is started, and children of it are given their groups and are adopted: one serves the first call, another the second."""
    return "".join(ask(lambda: faasd.invoke("forked", b'{"name":"you"}', timeout=TIMEOUT)).body.decode() for _ in range(2))


def program(faasd):
    return ask(lambda: faasd.invoke("loud", b"x" * 20000, timeout=TIMEOUT)).body.decode()


def kill(faasd):
    """A call that runs into its limit: its sandbox is killed."""
    try:
        ask(lambda: faasd.invoke("sleeper", b"", timeout=TIMEOUT))
    except Told as e:
        if str(e).startswith("504 Timeout"):
            return "timed out"
        raise
    return "it came back"


def deploy(faasd):
    """A directory that was never there before: uploaded, unpacked, flushed, looked at, stored, called."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-fn-"))
    try:
        (directory / "run").write_text(f"#!/bin/sh\necho {next(numbers)} {os.getpid()} >/dev/null; echo new\n")
        (directory / "run").chmod(0o755)
        (directory / "sub").mkdir()
        (directory / "sub" / "data").write_bytes(bytes(3000))
        (directory / "link").symlink_to("sub/data")
        command(faasd.deploy("changed", directory, "--runtime", "exec", "--handler", "run", *KEEP, check=False))
    finally:
        shutil.rmtree(directory)
    return "deployed"


def remove(faasd):
    command(faasd.cli("rm", "changed", check=False))
    return "removed"


def before_remove(faasd):
    faasd.deploy_script("changed", "#!/bin/sh\necho 0\n", *KEEP)


def reload(faasd):
    at = len(faasd.log)
    faasd.process.send_signal(1)
    ends = ("is in use", "was read again", "stays", "the gateway is back")  # of both processes: one line may be lost
    said = wait_until(lambda: [line for line in faasd.log[at:] if any(end in line for end in ends)], "the reload's end is told", within(8))
    if "is back" in said[0]:
        raise Dropped(said[0])  # it began with the new one
    if "stays" in said[0]:
        raise Told("; ".join(line for line in faasd.log[at:] if "error: reload: " in line))
    return "reloaded"


def settings(faasd):
    command(faasd.cli("config", "changed", "--description", f"number {next(numbers)}", check=False))
    return "changed"


def queue(faasd):
    reply = ask(lambda: faasd.request("POST", "/async-function/loud", b"x", timeout=TIMEOUT))
    call = reply.json()["id"]

    def ended():
        try:
            status = ask(lambda: faasd.control("GET", f"/v1/calls/{call}")).json()["status"]
        except (Told, Dropped):
            return None  # the fault met this question
        return status if status not in ("queued", "running") else None

    return wait_until(ended, f"call {call} ended", within(8))


def secret(faasd):
    command(faasd.cli("secret", "set", "word", input=b"value", check=False))
    return "set"


SCENES = {"native": native, "fork": fork, "program": program, "kill": kill, "deploy": deploy, "remove": remove, "reload": reload, "settings": settings, "queue": queue, "secret": secret}
BEFORE = {"fork": before_fork, "remove": before_remove, "settings": before_remove}
