# SPDX-License-Identifier: Apache-2.0
"""Every case of cases.txt on a raw connection, a good request (the canary) right behind it: as a whole over TCP and over invoke.sock, then cut in two at every byte,
then byte by byte. The replies must be the same each time, and the canary runs exactly where the table says so.

That the pieces of a cut request are read one by one is known, not hoped for: on a Unix socket SIOCOUTQ counts what the other side has not read yet (unix(7): freed
when it is received), and the next piece is sent when it says 0. For a sample over TCP the kernel's table of sockets tells the same (rx_queue of the server's end)."""

import fcntl
import random
import re
import socket
import struct
import time

import pytest

import paths  # noqa: F401  (the harness of the integration tests)
import table
from harness import DEADLINE, PROGRAMS, Faasd, receive_all, wait_until
from wire import Replies, send_all

CASES = table.read()
CANARY = b"POST /function/canary HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\ncanary"
SIOCOUTQ = 0x5411
# Longer ones are cut at so many places only: a megabyte has a million.
CUT_EVERYWHERE = 700
CUTS = 24
TCP_SAMPLE = CASES[::25]
VARIABLE = re.compile(rb'X-Request-Id: [^\r]*|X-Duration-Seconds: [^\r]*|Server-Timing: [^\r]*|X-Faasd-Start: [^\r]*|"requestId":"[^"]*"|HTTP/1\.1 100 Continue\r\n\r\n')


@pytest.fixture(scope="module")
def front():
    with Faasd({"request_bytes": "1M"}) as daemon:
        # Hundreds of connections at one time, whose canaries wait for one another.
        for name in ("echo", "canary"):
            daemon.deploy(name, PROGRAMS / "echo", "--runtime", "native", "--queue", "2000", "--min-warm", "1")
        daemon.expected_canaries = 0
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"
        assert canary_runs(daemon) == daemon.expected_canaries, "a canary ran after its connection was closed"


def canary_runs(front):
    counters = front.describe("canary")["counters"]
    return sum(counters[key] for key in ("succeeded", "function_errors", "crashed", "out_of_memory", "timed_out", "throttled", "refused"))


def connect_tcp(front):
    sock = front.connect()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def connect_unix(front):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(DEADLINE)
    sock.connect(front.invoke_path)
    return sock


def finish(sock, case):
    """All is sent: what was said until the other side closed. Where the server is to end the connection, our side stays open."""
    if case.keeps:
        try:
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    return receive_all(sock)


def without_variable_parts(data):
    return VARIABLE.sub(b"", data)


def unread_unix(socks):
    word = bytearray(4)
    count = 0
    for sock in socks:
        fcntl.ioctl(sock, SIOCOUTQ, word)
        count += struct.unpack("i", word)[0] > 0
    return count


def unread_tcp(front, socks):
    """Connections of which a byte is on its way to the server or waits there."""
    ours = {sock.getsockname()[1] for sock in socks}
    unread = set()
    with open("/proc/net/tcp", encoding="ascii") as file:
        next(file)
        for line in file:
            words = line.split()
            local, remote = (int(words[i].rsplit(":", 1)[1], 16) for i in (1, 2))
            tx_queue, rx_queue = (int(n, 16) for n in words[4].split(":"))
            if remote == front.port and local in ours and tx_queue:
                unread.add(local)
            if local == front.port and remote in ours and rx_queue:
                unread.add(remote)
    return len(unread)


def wait_read(unread):
    deadline = time.monotonic() + DEADLINE
    while unread():
        assert time.monotonic() < deadline, "the server does not read what was sent"


def check(case, data):
    replies = Replies(data, case.methods)
    final = [(status, headers, body) for status, headers, body in replies.all if status >= 200]
    statuses = [status for status, _, _ in final]
    if case.keeps:
        assert statuses and statuses.pop() == 200, replies.all
        assert final.pop()[2] == b"canary", "the last reply is not the canary's"
    assert len(statuses) == len(case.statuses) and all(s in allowed for s, allowed in zip(statuses, case.statuses)), (statuses, replies.all)
    if case.body is not None:
        assert final[-1][2] == case.body
    if not case.keeps:
        assert final[-1][1]["connection"] == "close"
    return data


class Canaries:
    """Inside, so many canaries run, and no other."""

    def __init__(self, front, case, connections):
        self.front, self.wanted = front, connections if case.keeps else 0

    def __enter__(self):
        self.before = canary_runs(self.front)

    def __exit__(self, kind, value, trace):
        self.front.expected_canaries += self.wanted
        if kind is None:
            assert canary_runs(self.front) - self.before == self.wanted


def run_whole(front, case, connect):
    with Canaries(front, case, 1), connect(front) as sock:
        send_all(sock, case.data + CANARY)
        return check(case, finish(sock, case))


def run_cut(front, case, connect, unread, whole):
    """One connection for each place, all at one time."""
    data = case.data + CANARY
    cuts = range(1, len(data))
    if len(data) > CUT_EVERYWHERE:
        cuts = sorted(random.Random(case.id).sample(cuts, CUTS))
    with Canaries(front, case, len(cuts)):
        socks = []
        try:
            for cut in cuts:
                socks.append(connect(front))
                send_all(socks[-1], data[:cut])
            wait_read(lambda: unread(socks))
            for cut, sock in zip(cuts, socks):
                send_all(sock, data[cut:])
            for cut, sock in zip(cuts, socks):
                assert without_variable_parts(finish(sock, case)) == whole, f"cut at {cut}: {data[:cut][-40:]!r} + {data[cut:][:40]!r}"
        finally:
            for sock in socks:
                sock.close()


def run_bytewise(front, case, whole):
    data = case.data + CANARY
    with Canaries(front, case, 1), connect_unix(front) as sock:
        for i in range(len(data)):
            send_all(sock, data[i:i + 1])
            wait_read(lambda: unread_unix([sock]))
        assert without_variable_parts(finish(sock, case)) == whole


def test_the_table_is_what_it_is_said_to_be():
    assert len(CASES) >= 200
    rows = {case.row for case in CASES}
    assert rows >= {f"H{n}" for n in (*range(1, 17), 22, 23, 25)}
    assert sum(case.keeps for case in CASES) >= 50


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_a_request_gets_its_reply_however_it_comes(front, case):
    run_whole(front, case, connect_tcp)
    whole = without_variable_parts(run_whole(front, case, connect_unix))
    run_cut(front, case, connect_unix, unread_unix, whole)
    if len(case.data) <= CUT_EVERYWHERE:
        run_bytewise(front, case, whole)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in TCP_SAMPLE])
def test_a_sample_cut_over_tcp(front, case):
    whole = without_variable_parts(run_whole(front, case, connect_tcp))
    run_cut(front, case, connect_tcp, lambda socks: unread_tcp(front, socks), whole)


def test_what_waits_unread_is_seen(front):
    """The two ways to know, held against a server that does not read."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.send(b"x")
        assert unread_unix([ours]) == 1
        theirs.recv(1)
        assert unread_unix([ours]) == 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = type("Front", (), {"port": listener.getsockname()[1]})
        with socket.create_connection(listener.getsockname()) as ours:
            theirs, _ = listener.accept()
            with theirs:
                ours.send(b"x")
                wait_until(lambda: unread_tcp(port, [ours]) == 1, "the byte waits at the other end")
                theirs.recv(1)
                assert unread_tcp(port, [ours]) == 0
