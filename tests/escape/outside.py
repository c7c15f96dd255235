# SPDX-License-Identifier: Apache-2.0
"""What stands outside of the sandbox that is attacked: the host's listeners and markers, the same probe without a sandbox, and whether all is as before."""

import contextlib
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import paths  # noqa: F401  (makes the harness importable)
from harness import PROBE, is_alive, wait_until, within
from rows import HOST_LACKS, HOST_SWITCHES

NOBODY = 65534
ROOT_ELSEWHERE = ["unshare", "--mount", "--pid", "--fork", "--net", "--ipc", "--uts"]
# The next good request, on a machine that has time for it.
PROMPT_S = 0.1
# How long one looks for what must be gone.
SOON_S = 0.2


@contextlib.contextmanager
def host_targets(faasd=None):
    """What the host has that a function must not reach: listeners, and a marker file that must stay as it is."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-marker-", dir="/var/tmp"))
    directory.chmod(0o755)
    marker = directory / "marker"
    marker.write_text("untouched")
    tcp = socket.create_server(("127.0.0.1", 0))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    abstract, by_path = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    abstract_name, path = f"faasd-probe-{os.getpid()}", str(directory / "socket")
    abstract.bind("\0" + abstract_name)
    by_path.bind(path)
    os.chmod(path, 0o777)
    for listener in (abstract, by_path):
        listener.listen(5)

    def echo():
        with contextlib.suppress(OSError):
            while True:
                said, who = datagrams.recvfrom(100)
                datagrams.sendto(said, who)

    threading.Thread(target=echo, daemon=True).start()
    try:
        yield {"port": str(tcp.getsockname()[1]), "datagrams": str(datagrams.getsockname()[1]), "abstract": abstract_name, "socket": path,
               "marker": str(marker), "secret": "kept", "tag": f"{os.getpid():x}", "control": faasd.control_path if faasd else path, "invoke": faasd.invoke_path if faasd else path}
        assert marker.read_text() == "untouched" and sorted(entry.name for entry in directory.iterdir()) == ["marker", "socket"]
    finally:
        for s in (tcp, datagrams, abstract, by_path):
            s.close()
        shutil.rmtree(directory)


def argument_of(row, targets):
    return row.argument.format(**targets) if row.argument else (targets["marker"] if row.id == "F1" else "")


def processes_named(name):
    """The newest first: what forks all the time has gone on to another id by the time that all the others were looked at."""
    found = []
    for pid in sorted((int(entry) for entry in os.listdir("/proc") if entry.isdigit()), reverse=True):
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == name and is_alive(pid):
                found.append(pid)
    return found


def lives(name, seconds):
    """Whether one of that name is seen within the time. One look is not enough: what forks all the time may not be where one looks."""
    end = time.monotonic() + seconds
    while not processes_named(name):
        if time.monotonic() > end:
            return False
    return True


def end_left(name):
    """What a probe left behind outside, where nobody else ends it; what forks all the time ends by itself."""
    for pid in processes_named(name):
        with contextlib.suppress(OSError):
            os.kill(pid, 9)
    wait_until(lambda: not lives(name, SOON_S), f"no {name} is left")


def become_nobody():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def raise_limits():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextlib.contextmanager
def terminal():
    """A terminal for the probe to be typed into: what a launcher's would be."""
    master, slave = pty.openpty()
    try:
        yield slave
    finally:
        os.close(master)
        os.close(slave)


def result_of(done):
    said = done.stdout.strip().splitlines()[-1:] or [b""]
    return json.loads(said[0]) if said[0].startswith(b"{") else {"result": "NOTHING", "detail": f"status {done.returncode} {done.stderr[-100:]!r}"}


@contextlib.contextmanager
def bare_directory(owner=NOBODY):
    """A copy of the probe in a directory that it may write."""
    directory = tempfile.mkdtemp(prefix="faasd-bare-", dir="/tmp")
    try:
        program = os.path.join(directory, "probe")
        shutil.copy(PROBE, program)
        os.chmod(program, 0o755)
        os.chmod(directory, 0o777)
        for path in (program, directory):
            os.chown(path, owner, owner)
        yield directory, program
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def run_bare(row, argument):
    """The probe without a sandbox."""
    with bare_directory(0 if row.bare == "root" else NOBODY) as (directory, program), contextlib.ExitStack() as stack:
        command, options = [program, row.id, argument], {"preexec_fn": become_nobody, "stdin": subprocess.DEVNULL}
        if row.bare == "root":
            command, options["preexec_fn"] = [*ROOT_ELSEWHERE, *command], raise_limits
        if row.bare == "terminal":
            command, options["stdin"] = ["setsid", "--ctty", *command], stack.enter_context(terminal())
        if row.id == "F6":
            inherited = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, inherited)
            options["pass_fds"] = [inherited]
        done = subprocess.run(command, cwd=directory, capture_output=True, timeout=within(120), **options)
        if row.leaves:
            found = {"result": "OPEN" if lives(argument, within(4)) else "DENIED", "detail": "what it left behind"}
            end_left(argument)
            return found
        return result_of(done)


def shut_by_the_host(row, bare):
    """What keeps everybody from it on this host, or ""."""
    switch, shut = HOST_SWITCHES.get(row.id, ("", ()))
    value = pathlib.Path(switch).read_text().strip() if switch and os.path.exists(switch) else ""
    if value in shut:
        return f"the host: {switch} = {value}"
    error = bare["detail"].rsplit(" ", 1)[-1]
    return f"the host: {HOST_LACKS[error]}" if error in HOST_LACKS else ""


def show_outside(row, argument):
    """"OPEN", or why it can't be shown here; a probe that finds a shut door outside proves nothing, and fails."""
    if row.bare not in ("nobody", "root", "terminal"):
        return row.bare
    bare = run_bare(row, argument)
    if bare["result"] == "OPEN":
        return "OPEN"
    shut = shut_by_the_host(row, bare)
    assert shut, f"bare, the probe reports {bare}: it proves nothing"
    return shut


def waited_for_a_processor():
    """Seconds since boot in which somebody on this machine wanted to run and had to wait: the kernel's pressure (Documentation/accounting/psi.rst), None without."""
    with contextlib.suppress(OSError):
        return int(re.search(r"some .*total=(\d+)", pathlib.Path("/proc/pressure/cpu").read_text()).group(1)) / 1e6
    return None


class Lateness:
    """How long the machine was short of processors meanwhile: what others take is no fault of the daemon's. On one that is quiet it is nothing. Without the kernel's
    own count: how late a thread was that wanted nothing but to be woken."""

    def __enter__(self):
        self.seconds, self.over, self.began = 0.0, threading.Event(), waited_for_a_processor()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def _watch(self):
        while self.began is None and not self.over.is_set():
            began = time.monotonic()
            time.sleep(0.001)
            self.seconds += time.monotonic() - began - 0.001

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        if self.began is not None:
            self.seconds = waited_for_a_processor() - self.began


def assert_whole(faasd, before):
    """The supervisor and the gateway are who they were, and the next good request has its answer in time."""
    assert faasd.process.poll() is None, "the supervisor died"
    assert (faasd.pid, faasd.gateway_pid()) == before, "the gateway was replaced: " + faasd.log_text()
    with Lateness() as late:
        began = time.monotonic()
        reply = faasd.invoke("hello", b"{}")
        took = time.monotonic() - began
    assert reply.status == 200, "the next good request was not answered"
    assert took - late.seconds < within(PROMPT_S), f"the next good request took {took * 1000:.0f} ms, of which the machine {late.seconds * 1000:.0f}"
