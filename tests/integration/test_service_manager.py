# SPDX-License-Identifier: Apache-2.0
"""What a service manager does with us (systemd's protocols): sockets that it made, readiness, its watchdog."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from harness import DEADLINE, FAASD, Faasd, UnixHTTPConnection, wait_until


class Manager:
    """The datagram socket of NOTIFY_SOCKET."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(DEADLINE)

    def next(self):
        return self.socket.recv(4096).decode()

    def wait(self, text):
        while self.next() != text:
            pass

    def drain(self):
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.recv(4096)
        self.socket.settimeout(DEADLINE)


@pytest.fixture
def manager(tmp_path):
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.socket.close()


def test_it_is_told_of_readiness_reloads_and_the_end(manager):
    with Faasd(env={**os.environ, "NOTIFY_SOCKET": manager.path}) as faasd:
        assert manager.next() == "READY=1"
        faasd.process.send_signal(signal.SIGHUP)
        assert manager.next().startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert manager.next() == "READY=1"
        faasd.process.send_signal(signal.SIGTERM)
        assert manager.next() == "STOPPING=1"


def test_the_watchdog_hears_of_a_loop_that_turns_and_nothing_of_one_that_stands(manager):
    with Faasd(env={**os.environ, "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"}) as faasd:
        for _ in range(5):
            manager.wait("WATCHDOG=1")
        gateway = faasd.gateway_pid()
        os.kill(gateway, signal.SIGSTOP)
        try:
            wait_until(lambda: open(f"/proc/{gateway}/stat").read().rsplit(")", 1)[1].split()[0] == "T", "a gateway that stands")
            time.sleep(0.25)  # two questions: an answer that was on its way is used up
            manager.drain()
            manager.socket.settimeout(0.5)
            with pytest.raises(TimeoutError):
                manager.next()
        finally:
            os.kill(gateway, signal.SIGCONT)
        manager.socket.settimeout(DEADLINE)
        manager.wait("WATCHDOG=1")
        # A gateway that died is replaced, and then heard again.
        os.kill(gateway, signal.SIGKILL)
        wait_until(lambda: faasd.gateway_pid() not in (None, gateway), "a new gateway")
        manager.drain()
        manager.wait("WATCHDOG=1")


def test_a_watchdog_that_is_meant_for_another_process_is_left_alone(manager):
    with Faasd(env={**os.environ, "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}):
        manager.wait("READY=1")
        manager.socket.settimeout(0.4)
        with pytest.raises(TimeoutError):
            manager.next()


# ---- sockets ----

STARTER = """
import fcntl, os, sys
given = [int(fd) for fd in sys.argv[1].split(",")]
first = max(given) + len(given) + 3
above = [fcntl.fcntl(fd, fcntl.F_DUPFD, first) for fd in given]  # clear of both: what is given may have any number
for number, fd in enumerate(above):
    os.dup2(fd, 3 + number)
    os.close(fd)
for fd in given:
    if fd >= 3 + len(given):
        os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(given)), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
"""


def listen_tcp():
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, listener.getsockname()[1]


def listen_unix(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(16)
    return listener


@pytest.fixture
def root():
    """Not under tmp_path: the gateway, an id of its own, must reach it."""
    with tempfile.TemporaryDirectory(prefix="faasd-test-", ignore_cleanup_errors=True) as directory:
        os.chmod(directory, 0o755)
        yield directory


@contextlib.contextmanager
def started(root, sockets, names, *options):
    fds = [s.fileno() for s in sockets]
    process = subprocess.Popen(["/usr/bin/python3", "-c", STARTER, ",".join(map(str, fds)), names, str(FAASD), "serve", "--root", str(root), *options],
                               pass_fds=fds, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE)


def status_of(connection, path="/healthz"):
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().status


def test_sockets_of_a_service_manager_are_served_and_left_to_it(root, tmp_path):
    tcp, port = listen_tcp()
    control = listen_unix(tmp_path / "control.sock")
    invoke = listen_unix(tmp_path / "invoke.sock")
    with contextlib.closing(tcp), contextlib.closing(control), contextlib.closing(invoke):
        with started(root, (tcp, control, invoke), "http:control:invoke") as process:
            line = process.stderr.readline()
            while not line.startswith("ready "):
                assert line, "it ended before it was ready"
                line = process.stderr.readline()
            assert line == f"ready listen=127.0.0.1:{port} control={tmp_path}/control.sock invoke={tmp_path}/invoke.sock\n"
            assert status_of(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)) == 200
            assert status_of(UnixHTTPConnection(tmp_path / "control.sock"), "/v1/functions") == 200
            assert status_of(UnixHTTPConnection(tmp_path / "invoke.sock"), "/v1/functions") == 403, "a socket's name decides what it is for"
        assert process.returncode == 0
        assert (tmp_path / "control.sock").exists() and (tmp_path / "invoke.sock").exists(), "their files are the manager's"


def test_what_was_queued_before_the_start_is_answered(root):
    tcp, port = listen_tcp()
    with contextlib.closing(tcp):
        early = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        early.request("GET", "/healthz")
        with started(root, (tcp,), "faasd.socket"):
            assert early.getresponse().status == 200
            early.close()


def refused(root, sockets, names):
    fds = [s.fileno() for s in sockets]
    done = subprocess.run(["/usr/bin/python3", "-c", STARTER, ",".join(map(str, fds)), names, str(FAASD), "serve", "--root", str(root)],
                          pass_fds=fds, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 1
    return done.stderr


def test_descriptors_that_are_no_listeners_are_refused_by_their_number(root):
    tcp, _ = listen_tcp()
    one, other = socket.socketpair()
    with contextlib.closing(tcp), contextlib.closing(one), contextlib.closing(other):
        assert "descriptor 4 of the service manager is no listening stream socket" in refused(root, (tcp, one), "a:b")


def test_two_control_sockets_are_refused(root, tmp_path):
    one, other = listen_unix(tmp_path / "a"), listen_unix(tmp_path / "b")
    with contextlib.closing(one), contextlib.closing(other):
        assert "two sockets named 'control'" in refused(root, (one, other), "control:control")


def test_sockets_that_are_meant_for_another_process_are_closed():
    with Faasd(env={**os.environ, "LISTEN_PID": "1", "LISTEN_FDS": "1"}) as faasd:
        assert faasd.request("GET", "/healthz").status == 200
