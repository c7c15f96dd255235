# SPDX-License-Identifier: Apache-2.0
"""docs/PROTOCOL.md is true: its worker runs, its hexadecimal exchange is what that worker and hello really say."""

import os
import re
import socket
import struct
import subprocess

import pytest

from harness import HELLO, PROGRAMS, REPO

VERSION = (REPO / "VERSION").read_text().strip()
TEXT = (REPO / "docs" / "PROTOCOL.md").read_text()


def worker_source():
    return re.search(r"```python\n(.*?)```", TEXT, re.S).group(1)


def hex_frame(name):
    block = re.search(rf"```hex {name}\n(.*?)```", TEXT, re.S).group(1)
    return b"".join(bytes.fromhex(line[4:52].strip()) for line in block.splitlines())


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        assert piece, "the worker has left"
        data += piece
    return data


def read_frame(connection):
    head = read_exactly(connection, 16)
    return head + read_exactly(connection, struct.unpack_from("<I", head)[0])


@pytest.fixture
def start():
    """Starts a program with one end of a socketpair as its fd 3."""
    started = []

    def run(*command):
        ours, theirs = socket.socketpair()
        ours.settimeout(10)

        def keep_only_four():
            os.dup2(theirs.fileno(), 3)
            for fd in range(4, 256):
                try:
                    os.set_inheritable(fd, False)
                except OSError:
                    pass

        process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, close_fds=False, preexec_fn=keep_only_four)
        theirs.close()
        started.append(process)
        return process, ours

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_the_worker_of_the_document_is_short_and_speaks_the_exchange(start, tmp_path):
    program = tmp_path / "worker.py"
    program.write_text(worker_source())
    assert len(worker_source().splitlines()) <= 45
    process, connection = start("/usr/bin/python3", program)
    assert read_frame(connection) == hex_frame("ready")
    connection.sendall(hex_frame("invoke"))
    assert read_frame(connection) == hex_frame("reply")
    connection.close()
    assert process.wait(10) == 0


def test_the_exchange_adds_up():
    for name in ("ready", "invoke", "reply", "template-ready", "fork", "init-error"):
        frame = hex_frame(name)
        assert struct.unpack_from("<I", frame)[0] == len(frame) - 16


def fields_of(frame):
    words = frame[16:].decode().split("\0")
    return dict(zip(words[0:-1:2], words[1::2]))


def test_hello_speaks_the_same_exchange(start):
    process, connection = start(HELLO)
    assert fields_of(read_frame(connection)) == {"runtime": f"libfaasd {VERSION}"}
    connection.sendall(hex_frame("invoke"))
    length, kind, _, request, status = struct.unpack_from("<IHHQI", read_frame(connection))
    assert (kind, request, status) == (3, 1, 200)
    connection.close()
    assert process.wait(10) == 0


def test_hello_is_the_template_of_the_document(start, monkeypatch):
    monkeypatch.setenv("FAASD_TEMPLATE", "yes")
    process, connection = start("setpriv", "--no-new-privs", HELLO)  # as every sandbox has it
    ready, said = read_frame(connection), hex_frame("template-ready")
    assert fields_of(ready) == {**fields_of(said), "runtime": f"libfaasd {VERSION}"}
    assert fields_of(said)["template"] == "yes"
    order = hex_frame("fork")
    order = order[:16] + b"\xff" * 4 + order[20:]  # there is no /run/slots here
    for _ in range(2):
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        ours.settimeout(10)
        socket.send_fds(connection, [order], [theirs.fileno()])
        theirs.close()
        frame, ancillary, _, _ = ours.recvmsg(1024, 256)
        assert frame == hex_frame("ready")
        kinds = {kind: data for _, kind, data in ancillary}
        pid = struct.unpack_from("<I", kinds[socket.SCM_CREDENTIALS])[0]
        assert pid != process.pid
        log = struct.unpack("<i", kinds[socket.SCM_RIGHTS])[0]
        ours.sendall(hex_frame("invoke"))
        assert struct.unpack_from("<HHQI", read_frame(ours), 4) == (3, 0, 1, 200)
        ours.close()
        assert os.read(log, 100) == b""  # it has left, and nobody else holds the other end
        os.close(log)
    connection.close()
    assert process.wait(10) == 0


def test_a_worker_that_cannot_start_says_so_as_the_document_does(start):
    process, connection = start(PROGRAMS / "no_model")
    assert read_frame(connection) == hex_frame("init-error")
    assert process.wait(10) == 1


def test_hello_escapes_nothing_twice_and_refuses_what_is_no_string(start):
    _, connection = start(HELLO)
    read_frame(connection)
    fields = b"request_id\0r\0method\0POST\0path\0\0query\0\0"

    def ask(event):
        payload = struct.pack("<QII", 0, len(fields), len(event)) + fields + event
        connection.sendall(struct.pack("<IHHQ", len(payload), 2, 0, 5) + payload)
        frame = read_frame(connection)
        return struct.unpack_from("<H", frame, 4)[0], frame[32:]

    assert ask(rb'{"name":"J\"\\o"}') == (3, b'content-type\0application/json\0' + rb'{"message":"hello J\"\\o"}' + b"\n")
    assert b"hello world" in ask(b"")[1]
    assert b"hello world" in ask(b"{}")[1]
    for bad in (b'{"name":1}', b'{"name":"open', b'{"name"', b'{"name":"a\nb"}', b'{"name":"\\'):
        assert ask(bad)[0] == 4, bad


def test_the_documents_worker_runs_in_a_sandbox(faasd, tmp_path):
    program = tmp_path / "worker.py"
    program.write_text(worker_source())
    program.chmod(0o755)
    faasd.deploy("pyworker", program, "--runtime", "native")
    reply = faasd.invoke("pyworker", b"hi", path="/you?a=1")
    assert (reply.status, reply.body) == (200, b"hello you")
    assert reply.headers["Content-Type"] == "text/plain"
