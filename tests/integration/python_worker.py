# SPDX-License-Identifier: Apache-2.0
"""Drives the Python bootstrap without a daemon: an interpreter, one end of a socketpair as its fd 3, frames by hand."""

import array
import ctypes
import json
import os
import re
import pathlib
import socket
import struct
import subprocess
import time

from harness import DEADLINE, REPO

BOOTSTRAP = REPO / "rootfs" / "runtime" / "python" / "bootstrap.py"
# More interpreters to run the tests with: FAASD_TEST_PYTHONS=/opt/py39/bin/python3:/opt/py313/bin/python3
INTERPRETERS = ["/usr/bin/python3", *filter(None, os.environ.get("FAASD_TEST_PYTHONS", "").split(":"))]

READY, INVOKE, REPLY, ERROR, FORK = 1, 2, 3, 4, 5
SAME_ROOT = 0xFFFFFFFF
PR_SET_NO_NEW_PRIVS = 38
LIBC = ctypes.CDLL(None)


class Frame:
    def __init__(self, kind, request, payload):
        self.kind, self.request, self.payload = kind, request, payload

    @property
    def fields(self):
        """Of a READY."""
        words = self.payload.decode().split("\0")
        return dict(zip(words[0:-1:2], words[1::2]))

    def json(self):
        """Of a REPLY, whose head must be the one of a 200 with JSON."""
        assert self.kind == REPLY, self
        status, fields, body, reserved = struct.unpack_from("<IIII", self.payload)
        assert (status, reserved) == (200, 0) and len(self.payload) == 16 + fields + body
        head = self.payload[16:16 + fields]
        assert head.startswith(b"content-type\0application/json\0")
        assert head.count(b"\0") == 2 or re.fullmatch(rb"content-type\0application/json\0faasd-imports\0[\w.,]+\0", head)
        return json.loads(self.payload[16 + fields:])

    @property
    def body(self):
        _, fields, _, _ = struct.unpack_from("<IIII", self.payload)
        return self.payload[16 + fields:]

    @property
    def error(self):
        """Of an ERROR: type, message, trace."""
        assert self.kind == ERROR, self
        a, b, c, reserved = struct.unpack_from("<IIII", self.payload)
        assert reserved == 0 and len(self.payload) == 16 + a + b + c <= 256 << 10
        kind, message, trace = self.payload[16:16 + a], self.payload[16 + a:16 + a + b], self.payload[16 + a + b:]
        assert 1 <= a <= 128 and all(0x21 <= c <= 0x7E for c in kind), kind
        return kind.decode(), message.decode(), json.loads(trace) if trace else []

    def __repr__(self):
        return f"<Frame {self.kind} {self.request} {self.payload[:400]!r}>"


class Peer:
    """faasd's end of a worker's socket."""

    def __init__(self, connection):
        self.connection = connection
        connection.settimeout(DEADLINE)
        self.request = 0x0123456789ABCDEF

    def _read(self, size):
        data = bytearray()
        while len(data) < size:
            piece = self.connection.recv(min(1 << 20, size - len(data)))
            if not piece:
                raise EOFError(f"the worker has left after {bytes(data)!r}")
            data += piece
        return bytes(data)

    def read(self, begin=b""):
        length, kind, reserved, request = struct.unpack("<IHHQ", begin + self._read(16 - len(begin)))
        assert reserved == 0
        return Frame(kind, request, self._read(length))

    def send_invoke(self, event, fields=None, deadline_ms=None):
        self.request += 1
        event = event if isinstance(event, bytes) else json.dumps(event).encode()
        pairs = [("request_id", "4f1c7b1e-0d5a-4c57-9c39-0a1f6f0f3b11"), ("method", "POST"), ("path", ""), ("query", ""), *(fields or [])]
        packed = "".join(f"{name}\0{value}\0" for name, value in pairs).encode("latin-1")
        deadline_ms = int(time.time() * 1000) + 30000 if deadline_ms is None else deadline_ms
        head = struct.pack("<IHHQ", 16 + len(packed) + len(event), INVOKE, 0, self.request)
        self.connection.sendall(head + struct.pack("<QII", deadline_ms, len(packed), len(event)) + packed + event)

    def invoke(self, event, fields=None, deadline_ms=None):
        self.send_invoke(event, fields, deadline_ms)
        frame = self.read()
        assert frame.request == self.request
        return frame

    def call(self, event=None):
        """The value that the handler returned."""
        return self.invoke({} if event is None else event).json()


class Child(Peer):
    """A fork of a template."""

    def __init__(self, connection, log, ready):
        super().__init__(connection)
        self.log, self.ready = log, ready

    def close(self):
        """Ends it; returns what it printed."""
        self.connection.close()
        return self.read_log()

    def read_log(self):
        data = b""
        while True:
            piece = os.read(self.log, 65536)
            if not piece:
                os.close(self.log)
                self.log = -1
                return data.decode()
            data += piece


class Worker(Peer):
    def __init__(self, task, interpreter=INTERPRETERS[0], handler="app.handler", wrapper=(), flags=("-S",), bootstrap=BOOTSTRAP, **environment):
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        self.tmp = pathlib.Path(task).parent / "tmp"
        self.tmp.mkdir(exist_ok=True)
        self.log_path = pathlib.Path(task).parent / "log"

        def become_worker():
            os.dup2(theirs.fileno(), 3)
            LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)

        base = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LAMBDA_TASK_ROOT": str(task), "TMPDIR": str(self.tmp), "_HANDLER": handler, "TZ": ":UTC",
                "AWS_LAMBDA_FUNCTION_NAME": "example", "AWS_LAMBDA_FUNCTION_VERSION": "7", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
                "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/example", "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/02/[7]0123"}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*wrapper, interpreter, *flags, str(bootstrap)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=task,
                                            pass_fds=(3,), preexec_fn=become_worker, env={**base, **environment})
        theirs.close()

    def ready(self):
        frame = self.read()
        assert (frame.kind, frame.request) == (READY, 0), (frame, self.log())
        return frame.fields

    def init_error(self):
        """What it says instead of READY; it then exits with 1."""
        frame = self.read()
        assert frame.request == 0
        assert self.wait() == 1
        return frame.error

    def fork(self, slot=SAME_ROOT, random=None, join=(), payload=None):
        ours, theirs = socket.socketpair()
        payload = payload or struct.pack("<II32s", slot, 0, random or os.urandom(32))
        rights = array.array("i", [theirs.fileno(), *join])
        self.connection.sendmsg([struct.pack("<IHHQ", len(payload), FORK, 0, 0) + payload], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        theirs.close()
        ours.settimeout(DEADLINE)
        first, control, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(64))
        if not first:
            raise EOFError("the child has left")
        log = int.from_bytes(control[0][2][:4], "little") if control else -1
        child = Child(ours, log, None)
        child.ready = child.read(first)
        return child

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait(self):
        return self.process.wait(DEADLINE)

    def close(self):
        """Ends it as faasd does; returns its exit status."""
        self.connection.close()
        return self.wait()

    def kill(self):
        self.connection.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
